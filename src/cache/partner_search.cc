// SPDX-License-Identifier: Apache-2.0
#include "cache/partner_search.h"

#include <optional>
#include <vector>

namespace pgcache::cache {

namespace {

using State = sql::Operand::State;

// Rows that are tried for one answer.
constexpr int kTriesMax = 2'000;

// The rows of a combination; null: any row.
class Combination final : public sql::RowView {
 public:
  explicit Combination(std::size_t size) : rows_(size, nullptr) {}
  void set(std::size_t row, const RowImage* image) { rows_[row] = image; }
  sql::Operand column(const sql::ColumnRef& column) const override { return look(column); }
  const sql::Operand& look(const sql::ColumnRef& column) const {
    static const sql::Operand kUnknownOperand;
    const RowImage* const row = column.row < rows_.size() ? rows_[column.row] : nullptr;
    return row ? row->look(column) : kUnknownOperand;
  }

 private:
  std::vector<const RowImage*> rows_;
};

bool is_comparable(const pg::Value& value, const sql::ColumnRef& column) {
  return value.family() ==
         (column.value_type ? column.value_type->family : pg::family_of(column.type));
}

class Searcher {
 public:
  Searcher(const sql::Dependency& dependency, const RowImage& row, const BoundOperands& operands,
           TableCopies& copies)
      : partners_(dependency.partners),
        operands_(operands),
        copies_(copies),
        combination_(partners_.size() + 1) {
    combination_.set(0, &row);
  }

  // Whether the first `at` partners, as they are, can be joined by the others.
  bool may_complete(std::size_t at) {
    if (at == partners_.size()) return true;
    const sql::Partner& partner = partners_[at];
    combination_.set(at + 1, nullptr);
    std::vector<TableCopy*> tables;
    for (const pg::Oid oid : partner.tables) {
      TableCopy* const copy = copies_.find(oid);
      if (copy == nullptr) return may_complete(at + 1);
      tables.push_back(copy);
    }
    for (TableCopy* table : tables) {
      if (may_complete_from(*table, at)) return true;
    }
    return false;
  }

 private:
  const sql::Operand& needle(const sql::Partner::Link& link) const {
    return link.other ? combination_.look(*link.other) : operands_.values[link.operand];
  }

  // By the link that leaves the fewest rows.
  bool may_complete_from(TableCopy& table, std::size_t at) {
    std::optional<TableCopy::Candidates> best;
    for (const sql::Partner::Link& link : partners_[at].links) {
      const sql::Operand& value = needle(link);
      if (value.state == State::kNull) {
        if (link.nulls_match) continue;
        return false;
      }
      if (value.state == State::kUnknown || !is_comparable(*value.value, link.column)) continue;
      const TableCopy::Candidates found = table.with_value(link.column, *value.value);
      if (!best || found.size() < best->size()) best = found;
    }
    if (!best) {
      for (const auto& row : table.rows()) {
        if (fits(*row, at)) return true;
      }
      return false;
    }
    for (const TableCopy::RowList* list : {best->rows, best->unknown}) {
      if (list == nullptr) continue;
      for (const TableCopy::Row* row : *list) {
        if (fits(*row, at)) return true;
      }
    }
    return false;
  }

  bool fits(const TableCopy::Row& row, std::size_t at) {
    if (++tries_ > kTriesMax) return true;
    combination_.set(at + 1, &row.image);
    return may_link(at) &&
           sql::may_match(partners_[at].condition, combination_, operands_.values) &&
           may_complete(at + 1);
  }

  bool may_link(std::size_t at) const {
    for (const sql::Partner::Link& link : partners_[at].links) {
      const sql::Operand& own = combination_.look(link.column);
      const sql::Operand& value = needle(link);
      if (own.state == State::kNull || value.state == State::kNull) {
        const bool match = own.state == State::kUnknown || value.state == State::kUnknown ||
                           own.state == value.state;
        if (link.nulls_match && match) continue;
        return false;
      }
      if (own.known() && value.known() && own.value->family() == value.value->family() &&
          !(*own.value == *value.value)) {
        return false;
      }
    }
    return true;
  }

  const std::vector<sql::Partner>& partners_;
  const BoundOperands& operands_;
  TableCopies& copies_;
  Combination combination_;
  int tries_ = 0;
};

}  // namespace

bool may_find_partners(const sql::Dependency& dependency, const RowImage& row,
                       const BoundOperands& operands, TableCopies& copies) {
  if (copies.empty() || dependency.partners.empty()) return true;
  return Searcher(dependency, row, operands, copies).may_complete(0);
}

}  // namespace pgcache::cache
