// SPDX-License-Identifier: Apache-2.0
#include "sql/partners.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "sql/tree.h"

namespace pgcache::sql {
namespace {

constexpr std::size_t kPartnersMax = 5;
constexpr std::size_t kConjunctsMax = 60;
constexpr std::size_t kTablesMax = 64;  // of one partner: partitions

class Finder {
 public:
  Finder(const ResolvedQuery& query, const pg::Catalog& catalog, PredicateBuilder& predicates,
         const Conditions& conditions)
      : query_(query), catalog_(catalog), predicates_(predicates), conditions_(conditions) {
    for (const Expr* conjunct : conditions_.conjuncts()) {
      if (is_equality(*conjunct) && is_column(conjunct->children[1])) {
        unite(key_of(conjunct->children[0]), key_of(conjunct->children[1]));
      } else if (is_sameness(*conjunct)) {
        const Expr& same = conjunct->children[0];
        unite(key_of(same.children[0]), key_of(same.children[1]));
      }
    }
    for (const Expr* conjunct : conditions_.conjuncts()) {
      if (is_equality(*conjunct)) never_null_.insert(find(key_of(conjunct->children[0])));
    }
  }

  std::vector<Partner> run(std::uint32_t use, const std::set<std::uint32_t>& rows_behind) {
    std::vector<Partner> partners;
    rows_.emplace(use, 0);
    std::set<std::uint32_t> left = conditions_.present();
    for (const std::uint32_t other : mentioned()) {
      if (rows_behind.contains(other)) left.insert(other);
    }
    left.erase(use);
    std::erase_if(left, [&](std::uint32_t other) { return tables_of(other).empty(); });
    while (partners.size() < kPartnersMax && !left.empty()) {
      const std::uint32_t next = choose(left);
      left.erase(next);
      Partner partner;
      partner.links = links_of(next);
      rows_.emplace(next, static_cast<std::uint8_t>(partners.size() + 1));
      partner.condition = condition_on(next);
      if (partner.condition.kind == Predicate::Kind::kTrue && partner.links.empty()) {
        rows_.erase(next);
        continue;
      }
      partner.tables = tables_of(next);
      partners.push_back(std::move(partner));
    }
    return partners;
  }

 private:
  using Kind = Expr::Kind;
  static bool is_column(const Expr& expr) { return expr.kind == Kind::kColumn; }
  static bool is_equality(const Expr& expr) {
    return expr.kind == Kind::kCompare && expr.op == CompareOp::kEq && is_column(expr.children[0]);
  }

  // NOT (column IS DISTINCT FROM column)
  static bool is_sameness(const Expr& expr) {
    if (expr.kind != Kind::kNot || expr.children[0].kind != Kind::kDistinct) return false;
    const std::vector<Expr>& sides = expr.children[0].children;
    return is_column(sides[0]) && is_column(sides[1]);
  }

  static bool is_same_as_itself(const Expr& expr) {
    return is_sameness(expr) &&
           same_expr(expr.children[0].children[0], expr.children[0].children[1]);
  }

  std::set<std::uint32_t> mentioned() const {
    std::set<std::uint32_t> uses;
    for (const Expr* conjunct : conditions_.conjuncts()) {
      each_expr(*conjunct, [&](const Expr& part) {
        if (is_column(part)) uses.insert(part.use);
      });
    }
    return uses;
  }

  // Columns that have the same value, directly or by way of others.
  ColumnKey find(ColumnKey key) const {
    for (auto it = classes_.find(key); it != classes_.end(); it = classes_.find(key)) {
      key = it->second;
    }
    return key;
  }
  void unite(ColumnKey a, ColumnKey b) {
    a = find(a);
    b = find(b);
    if (a != b) classes_[std::max(a, b)] = std::min(a, b);
  }

  std::uint32_t choose(const std::set<std::uint32_t>& left) {
    for (const bool operands_count : {false, true}) {
      for (const std::uint32_t use : left) {
        const std::vector<Partner::Link> links = links_of(use);
        const bool fits = std::any_of(links.begin(), links.end(), [&](const Partner::Link& link) {
          return operands_count || link.other.has_value();
        });
        if (fits) return use;
      }
    }
    return *left.begin();
  }

  ColumnRef column_of(ColumnKey key, std::uint8_t row) const {
    ColumnRef column = predicates_.column_ref(key);
    column.row = row;
    return column;
  }

  // As if it were the next to get a row.
  std::vector<Partner::Link> links_of(std::uint32_t use) {
    std::vector<Partner::Link> links;
    const auto own_row = static_cast<std::uint8_t>(rows_.size());
    const std::size_t columns = query_.uses[use].relation->columns.size();
    for (std::uint32_t i = 0; i < columns; ++i) {
      const ColumnKey own{use, i};
      if (const auto other = earlier(own)) {
        links.push_back({column_of(own, own_row), column_of(*other, rows_.at(other->first)), 0,
                         !never_null_.contains(find(own))});
      } else if (const auto operand = operand_of(own)) {
        links.push_back({column_of(own, own_row), std::nullopt, *operand, false});
      }
    }
    return links;
  }

  // A column of a row before that equals it.
  std::optional<ColumnKey> earlier(ColumnKey own) const {
    const ColumnKey first = find(own);
    for (const auto& [use, row] : rows_) {
      const std::size_t columns = query_.uses[use].relation->columns.size();
      for (std::uint32_t i = 0; i < columns; ++i) {
        if (find({use, i}) == first) return ColumnKey{use, i};
      }
    }
    return std::nullopt;
  }

  std::optional<OperandIndex> operand_of(ColumnKey own) {
    for (const Expr* conjunct : conditions_.conjuncts()) {
      if (!is_equality(*conjunct) || conjunct->children[1].kind != Kind::kOperand) continue;
      const OperandSpec& spec = conjunct->children[1].operand;
      if (find(key_of(conjunct->children[0])) == find(own) && predicates_.is_usable(spec)) {
        return predicates_.operand_index(spec);
      }
    }
    return std::nullopt;
  }

  Predicate condition_on(std::uint32_t use) {
    Predicate all = leaf(Predicate::Kind::kAnd);
    const auto add = [&](const Expr& condition) {
      if (is_same_as_itself(condition)) return;
      Predicate p = predicates_.build_joint(condition, rows_);
      if (p.kind != Predicate::Kind::kTrue && p.kind != Predicate::Kind::kUnknown) {
        all.children.push_back(std::move(p));
      }
    };
    Conjuncts own;
    for (const Expr* conjunct : conditions_.conjuncts()) {
      if (!mentions(*conjunct, {use})) continue;
      add(*conjunct);
      own.push_back(conjunct);
    }
    for (const Expr& condition : conditions_.on(use)) {
      const bool known = std::any_of(own.begin(), own.end(), [&](const Expr* conjunct) {
        return same_expr(*conjunct, condition);
      });
      if (!known) add(condition);
    }
    all = simplify(std::move(all), true);
    return all.kind == Predicate::Kind::kUnknown ? leaf(Predicate::Kind::kTrue) : all;
  }

  // Empty: where its rows are is not known.
  std::vector<pg::Oid> tables_of(std::uint32_t use) const {
    const TableUse& table = query_.uses[use];
    std::vector<pg::Oid> tables;
    if (table.relation == nullptr) return tables;
    std::vector<pg::Oid> all{table.relation->oid};
    if (table.inherit) {
      all.insert(all.end(), table.relation->descendants.begin(), table.relation->descendants.end());
    }
    for (const pg::Oid oid : all) {
      const pg::Relation* const relation = catalog_.find_relation(oid);
      if (relation == nullptr) return {};
      if (relation->kind == 'p') continue;  // holds none itself
      if (relation->kind != 'r' || relation->persistence != 'p') return {};
      tables.push_back(oid);
    }
    return tables.size() > kTablesMax ? std::vector<pg::Oid>{} : tables;
  }

  const ResolvedQuery& query_;
  const pg::Catalog& catalog_;
  PredicateBuilder& predicates_;
  const Conditions& conditions_;
  PredicateBuilder::Rows rows_;  // the uses that have got a row
  std::map<ColumnKey, ColumnKey> classes_;
  std::set<ColumnKey> never_null_;  // by the first of the class
};

}  // namespace

std::vector<Partner> partners_of(const ResolvedQuery& query, const pg::Catalog& catalog,
                                 PredicateBuilder& predicates, std::uint32_t use,
                                 const Conditions& conditions,
                                 const std::set<std::uint32_t>& rows_behind) {
  const Conjuncts& conjuncts = conditions.conjuncts();
  if (conjuncts.size() > kConjunctsMax) return {};
  const bool mentions_others =
      std::any_of(conjuncts.begin(), conjuncts.end(), [&](const Expr* conjunct) {
        bool others = false;
        each_expr(*conjunct, [&](const Expr& part) {
          others = others || (part.kind == Expr::Kind::kColumn && part.use != use);
        });
        return others;
      });
  if (!mentions_others) return {};
  return Finder(query, catalog, predicates, conditions).run(use, rows_behind);
}

}  // namespace pgcache::sql
