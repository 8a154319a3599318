// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sql/soundness_check_test_support.h"

namespace pgcache::sql::testing {

using State = Operand::State;
using pgcache::testing::Row;

namespace {

Operand read(pg::Oid type, const pg::ValueTypePtr& values, const std::optional<std::string>& text) {
  if (!text) return Operand::null();
  auto value = values ? pg::parse_text(*values, *text) : pg::parse_text(type, *text);
  return value ? Operand::of(*std::move(value)) : Operand{};
}

}  // namespace

Operand TextRow::column(const ColumnRef& column) const {
  const auto it = cells.find(column.name);
  return it == cells.end() ? Operand{} : read(column.type, column.value_type, it->second);
}

namespace {

// Whether column and operand may be related as `holds` says of their order.
template <typename Holds>
bool may_relate(const Operand& column, const Operand& operand, Holds holds) {
  if (column.state == State::kNull || operand.state == State::kNull) return false;
  if (!column.value || !operand.value) return true;
  if (column.value->family() != operand.value->family()) return true;
  const auto order = pg::compare(*column.value, *operand.value);
  return !order || holds(*order);
}

bool may_equal(const Operand& column, const Operand& operand) {
  return may_relate(column, operand, [](auto order) { return order == 0; });
}

bool meets_array(const CacheableQuery& query, const EqualityBinding& binding, const Operand& column,
                 const Operand& array) {
  if (array.state == State::kNull) return false;
  const pg::ValueTypePtr& type = query.operands[binding.operands.front()].value_type;
  if (!array.value || !type) return true;
  const auto elements = pg::array_elements(*type, *array.value);
  if (!elements) return true;
  return std::any_of(elements->begin(), elements->end(),
                     [&](const Operand& element) { return element.state == State::kNull; }) ||
         std::any_of(elements->begin(), elements->end(),
                     [&](const Operand& element) { return may_equal(column, element); });
}

bool meets(const CacheableQuery& query, const EqualityBinding& binding, const TextRow& row,
           const std::vector<Operand>& operands) {
  const Operand column = row.column(binding.column);
  const bool null_operand =
      std::any_of(binding.operands.begin(), binding.operands.end(),
                  [&](OperandIndex i) { return operands[i].state == State::kNull; });
  if (binding.or_null && (column.state == State::kNull || null_operand)) return true;
  if (binding.array) {
    return meets_array(query, binding, column, operands[binding.operands.front()]);
  }
  return std::any_of(binding.operands.begin(), binding.operands.end(),
                     [&](OperandIndex i) { return may_equal(column, operands[i]); });
}

bool lies_in(const RangeBinding& range, const TextRow& row, const std::vector<Operand>& operands) {
  const Operand column = row.column(range.column);
  const bool low_enough =
      !range.upper || may_relate(column, operands[*range.upper], [&](auto order) {
        return order < 0 || (order == 0 && range.upper_inclusive);
      });
  const bool high_enough =
      !range.lower || may_relate(column, operands[*range.lower], [&](auto order) {
        return order > 0 || (order == 0 && range.lower_inclusive);
      });
  return low_enough && high_enough;
}

bool row_matters(const CacheableQuery& query, const Dependency& d, const TextRow& row,
                 const std::vector<Operand>& operands) {
  if (!may_match(d.residual, row, operands)) return false;
  const bool bound = std::all_of(
      d.equalities.begin(), d.equalities.end(),
      [&](const EqualityBinding& binding) { return meets(query, binding, row, operands); });
  return bound && (!d.range || lies_in(*d.range, row, operands));
}

// Whether some row of the result may show `row`.
bool is_shown(const Dependency& d, const TextRow& row, const std::vector<Row>& rows) {
  const std::vector<ShownColumn>& columns = d.shown.columns;
  const bool has_null = std::any_of(columns.begin(), columns.end(), [&](const ShownColumn& shown) {
    return !row.column(shown.column).known();
  });
  return has_null || std::any_of(rows.begin(), rows.end(), [&](const Row& result) {
           return std::all_of(columns.begin(), columns.end(), [&](const ShownColumn& shown) {
             return may_equal(row.column(shown.column),
                              read(shown.type->oid, shown.type, result.at(shown.position)));
           });
         });
}

// ---------------------------------------------------------------- what an UPDATE keeps

bool is_equal(const Operand& column, const Operand& operand) {
  return column.known() && operand.known() && *column.value == *operand.value;
}

bool certainly_meets(const CacheableQuery& query, const EqualityBinding& binding,
                     const TextRow& row, const std::vector<Operand>& operands) {
  const Operand column = row.column(binding.column);
  if (binding.or_null && column.state == State::kNull) return true;
  if (!binding.array) {
    return std::any_of(binding.operands.begin(), binding.operands.end(),
                       [&](OperandIndex i) { return is_equal(column, operands[i]); });
  }
  const OperandIndex array = binding.operands.front();
  const pg::ValueTypePtr& type = query.operands[array].value_type;
  if (!operands[array].known() || !type) return false;
  const auto elements = pg::array_elements(*type, *operands[array].value);
  return elements && std::any_of(elements->begin(), elements->end(),
                                 [&](const Operand& element) { return is_equal(column, element); });
}

bool certainly_lies_in(const RangeBinding& range, const TextRow& row,
                       const std::vector<Operand>& operands) {
  const Operand column = row.column(range.column);
  const auto comparable = [&](const std::optional<OperandIndex>& bound) {
    return !bound || (column.known() && operands[*bound].known() &&
                      pg::compare(*column.value, *operands[*bound].value));
  };
  return comparable(range.lower) && comparable(range.upper) && lies_in(range, row, operands);
}

bool certainly_fulfils(const CacheableQuery& query, const Dependency& d, const TextRow& row,
                       const std::vector<Operand>& operands) {
  const bool bound =
      std::all_of(d.equalities.begin(), d.equalities.end(), [&](const EqualityBinding& binding) {
        return certainly_meets(query, binding, row, operands);
      });
  return bound && (!d.range || certainly_lies_in(*d.range, row, operands)) &&
         evaluate(d.residual, row, operands) == Truth::kTrue;
}

bool agree(const Change& change, const std::vector<std::string>& columns) {
  return std::all_of(columns.begin(), columns.end(), [&](const std::string& name) {
    return change.before->cells.at(name) == change.after->cells.at(name);
  });
}

bool keeps_result(const CacheableQuery& query, const Dependency& d, const Change& change,
                  const std::vector<Operand>& operands) {
  return change.before && change.after && d.columns_shown && agree(change, *d.columns_shown) &&
         certainly_fulfils(query, d, *change.before, operands) &&
         certainly_fulfils(query, d, *change.after, operands);
}

// Whether the result may show what it must show for this image to matter.
bool may_be_shown(const Dependency& d, const Change& change, bool is_before,
                  const std::vector<Row>& rows) {
  const Shown& shown = d.shown;
  if (shown.columns.empty()) return true;
  if (is_before) return !shown.before || is_shown(d, *change.before, rows);
  if (shown.after) return is_shown(d, *change.after, rows);
  if (!shown.before || !shown.columns_tested || !change.before) return true;
  return !agree(change, *shown.columns_tested) || is_shown(d, *change.before, rows);
}

// ---------------------------------------------------------------- what the result tells as a whole

Operand shown_by(const ShownColumn& column, const Row& row) {
  return read(column.type->oid, column.type, row.at(column.position));
}

bool is_number(const Operand& operand, std::uint64_t number) {
  const auto other = pg::parse_text(pg::type::kInt8, std::to_string(number));
  return operand.known() && pg::compare(*operand.value, *other) == std::strong_ordering::equal;
}

// Whether the value comes after that of the last row of a full result.
bool is_cut_off(const Cutoff& cutoff, const TextRow& row, const std::vector<Operand>& operands,
                const std::vector<Row>& rows) {
  if (rows.empty() || !operands[cutoff.limit].known()) return false;
  const auto count = pg::parse_text(pg::type::kInt8, std::to_string(rows.size()));
  const auto limit = pg::compare(*operands[cutoff.limit].value, *count);
  if (!limit || *limit > 0) return false;
  for (const ShownColumn& by : cutoff.by) {
    if (cutoff.place && !is_number(operands[*cutoff.place], by.position + 1u)) continue;
    const Operand value = row.column(by.column);
    const Operand last = shown_by(by, rows.back());
    const auto rank = [&](const Operand& o) { return o.known() ? 1 : cutoff.nulls_first ? 0 : 2; };
    if (value.state == State::kUnknown || last.state == State::kUnknown) return false;
    if (rank(value) != rank(last) || !value.known()) return rank(value) > rank(last);
    const auto order = pg::compare(*value.value, *last.value);
    return order && (cutoff.descending ? *order < 0 : *order > 0);
  }
  return false;
}

bool repeats(const Dependency& d, const TextRow& row, const std::vector<Row>& rows) {
  return !d.repeated.empty() && std::any_of(rows.begin(), rows.end(), [&](const Row& result) {
    return std::all_of(d.repeated.begin(), d.repeated.end(), [&](const ShownColumn& column) {
      const Operand value = row.column(column.column);
      const Operand shown = shown_by(column, result);
      if (value.state == State::kNull) return shown.state == State::kNull;
      return is_equal(value, shown);
    });
  });
}

bool keeps_extremes(const Dependency& d, const TextRow& row, bool is_before,
                    const std::vector<Row>& rows) {
  if (d.extremes.empty() || rows.size() != 1) return false;
  return std::all_of(d.extremes.begin(), d.extremes.end(), [&](const Extreme& extreme) {
    const Operand value = row.column(extreme.value.column);
    const Operand shown = shown_by(extreme.value, rows[0]);
    if (value.state == State::kNull) return true;
    if (!value.known() || !shown.known()) return false;
    const auto order = pg::compare(*value.value, *shown.value);
    if (order && *order == 0) return !is_before && extreme.looks_alike;
    return order && (extreme.greatest ? *order < 0 : *order > 0);
  });
}

bool is_beyond(const Dependency& d, const TextRow& row, bool is_before,
               const std::vector<Operand>& operands, const std::vector<Row>& rows) {
  return (d.cutoff && is_cut_off(*d.cutoff, row, operands, rows)) ||
         (!is_before && repeats(d, row, rows)) || keeps_extremes(d, row, is_before, rows);
}

// ---------------------------------------------------------------- partners

class Combination final : public RowView {
 public:
  std::vector<const TextRow*> rows;
  Operand column(const ColumnRef& column) const override {
    return rows.at(column.row)->column(column);
  }
};

// Whether the first rows of a combination can be joined by one of each further partner.
bool may_complete(const Dependency& d, Combination& combination,
                  const std::vector<Operand>& operands, const TableRows& tables) {
  const std::size_t at = combination.rows.size() - 1;
  if (at == d.partners.size()) return true;
  const Partner& partner = d.partners[at];
  for (const pg::Oid table : partner.tables) {
    for (const TextRow& row : tables.at(table)) {
      combination.rows.push_back(&row);
      const bool linked =
          std::all_of(partner.links.begin(), partner.links.end(), [&](const Partner::Link& link) {
            const Operand other =
                link.other ? combination.column(*link.other) : operands[link.operand];
            const Operand own = combination.column(link.column);
            if (own.state == State::kNull && other.state == State::kNull) return link.nulls_match;
            return may_equal(own, other);
          });
      const bool completed = linked && may_match(partner.condition, combination, operands) &&
                             may_complete(d, combination, operands, tables);
      combination.rows.pop_back();
      if (completed) return true;
    }
  }
  return false;
}

bool finds_partners(const Dependency& d, const TextRow& row, const std::vector<Operand>& operands,
                    const TableRows& tables) {
  Combination combination;
  combination.rows = {&row};
  return may_complete(d, combination, operands, tables);
}

// The tables behind the change.
TableRows changed(const TableRows& tables, const Change& change) {
  TableRows out = tables;
  const auto table = out.find(change.relation);
  if (table == out.end()) return out;
  if (change.before) {
    const auto is_it = [&](const TextRow& row) {
      return std::all_of(row.cells.begin(), row.cells.end(), [&](const auto& cell) {
        return change.before->cells.at(cell.first) == cell.second;
      });
    };
    table->second.erase(std::find_if(table->second.begin(), table->second.end(), is_it));
  }
  if (change.after) table->second.push_back(*change.after);
  return out;
}

bool touches(const Dependency& d, const Change& change) {
  if (!change.before || !change.after) return !d.is_parent;
  return d.reads_all_columns || !agree(change, d.columns_read);
}

bool member_matters(const Dependency& d, pg::Oid member, const std::vector<Operand>& operands) {
  if (std::find(d.members.begin(), d.members.end(), member) == d.members.end()) return false;
  return may_hold(d.guard, operands) &&
         std::all_of(d.member_guards.begin(), d.member_guards.end(), [&](const auto& guarded) {
           return guarded.first != member || may_hold(guarded.second, operands);
         });
}

}  // namespace

bool is_announced(const CacheableQuery& query, const Change& change,
                  const std::vector<Operand>& operands, const std::vector<Row>& rows,
                  const TableRows& tables) {
  const TableRows tables_after = changed(tables, change);
  return std::any_of(
      query.dependencies.begin(), query.dependencies.end(), [&](const Dependency& d) {
        if (!member_matters(d, change.relation, operands)) return false;
        if (change.truncate) return true;
        if (!touches(d, change) || keeps_result(query, d, change, operands)) return false;
        const auto matters = [&](const std::optional<TextRow>& row, bool is_before) {
          return row && row_matters(query, d, *row, operands) &&
                 may_be_shown(d, change, is_before, rows) &&
                 !is_beyond(d, *row, is_before, operands, rows) &&
                 finds_partners(d, *row, operands, is_before ? tables : tables_after);
        };
        return matters(change.after, false) || matters(change.before, true);
      });
}

std::string print(const Change& change, const pg::Catalog& catalog) {
  const auto row = [](const std::optional<TextRow>& r) {
    if (!r) return std::string("nothing");
    std::string out = "(";
    for (const auto& [name, value] : r->cells) out += name + "=" + value.value_or("NULL") + " ";
    return out + ")";
  };
  const std::string& name = catalog.find_relation(change.relation)->name;
  if (change.truncate) return "truncation of " + name;
  return "change of " + name + " " + row(change.before) + " to " + row(change.after);
}

}  // namespace pgcache::sql::testing
