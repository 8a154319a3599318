// SPDX-License-Identifier: Apache-2.0
#include "sql/dependencies.h"

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "sql/analysis.h"
#include "sql/conditions.h"
#include "sql/partners.h"
#include "sql/places.h"
#include "sql/predicates.h"
#include "sql/result_bounds.h"
#include "sql/shown.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using pg::Oid;

constexpr std::size_t kDependenciesMax = 400;

class Deriver {
 public:
  Deriver(const ResolvedQuery& query, const pg::Catalog& catalog, CacheableQuery& out)
      : query_(query), catalog_(catalog), out_(out), predicates_(query, catalog, out) {}

  bool run() {
    count_mentions();
    const Places places(query_);
    if (places.list().size() > kDependenciesMax) return false;
    const ShownFinder shown(query_, catalog_, predicates_, mentions_);
    ResultBounds bounds(query_, catalog_, predicates_);
    for (const Place& place : places.list()) {
      const std::size_t before = places_.size();
      add_dependency(place, places.rows_behind(), shown);
      if (places_.size() > before) {
        bounds.add_to(out_.dependencies.back(), place.use, *place.conditions);
      }
    }
    drop_useless_shown();
    find_parents();
    return !predicates_.overflow();
  }

  // The use of each dependency.
  const std::vector<std::uint32_t>& places() const { return places_; }

 private:
  // ---------------------------------------------------------------- one table

  void add_dependency(const Place& place, const std::set<std::uint32_t>& rows_behind,
                      const ShownFinder& shown) {
    const std::uint32_t use_index = place.use;
    const Conditions& conditions = *place.conditions;
    const TableUse& use = query_.uses[use_index];
    Dependency d;
    d.relation = use.relation->oid;
    add_members(use, d);
    d.reads_all_columns = std::all_of(use.columns_read.begin(), use.columns_read.end(),
                                      [](bool read) { return read; });
    for (std::size_t i = 0; !d.reads_all_columns && i < use.columns_read.size(); ++i) {
      if (use.columns_read[i]) d.columns_read.push_back(use.relation->columns[i].name);
    }
    find_columns_shown(use_index, conditions, d);
    d.shown = shown.shown_of(use_index, conditions);
    if (conditions.moves_to(use_index)) d.passes.emplace_back("propagate_equalities");
    std::vector<Predicate> all;
    for (const Expr& condition : conditions.on(use_index)) bind(condition, use_index, all);
    drop_bound(d, all);
    bind_range(d, all);
    if (d.equalities.empty()) bind_value(d, all);
    d.residual = conjunction(std::move(all));
    d.guard = guard_of(conditions.guards());
    for (const auto& [member, bounds] : use.member_bounds) {
      Predicate guard = guard_of(conditions.guards_with(use_index, bounds));
      if (guard.kind != Predicate::Kind::kTrue) d.member_guards.emplace_back(member, guard);
    }
    if (d.guard.kind == Predicate::Kind::kFalse) return;  // it can never hold
    d.partners = partners_of(query_, catalog_, predicates_, use_index, *place.joint, rows_behind);
    if (!d.partners.empty()) d.passes.emplace_back("find_partners");
    places_.push_back(use_index);
    children_.push_back(children_of(use_index, conditions));
    out_.dependencies.push_back(std::move(d));
  }

  // Conditions of the query itself on this one row, said in full by predicates, need only hold.
  void find_columns_shown(std::uint32_t use, const Conditions& conditions, Dependency& d) {
    ColumnCounts in_conditions;
    const std::set<const Expr*> conjuncts(conditions.conjuncts().begin(),
                                          conditions.conjuncts().end());
    for (const Expr* conjunct : conjuncts) {
      if (!in_tree_.contains(conjunct) || has_opaque(*conjunct)) continue;
      ColumnCounts columns;
      count_columns(*conjunct, columns);
      const bool own = std::all_of(columns.begin(), columns.end(),
                                   [&](const auto& counted) { return counted.first.first == use; });
      // x = x says something of NULL only, and is not said by predicates.
      const bool same = conjunct->kind == Expr::Kind::kCompare &&
                        same_expr(conjunct->children[0], conjunct->children[1]);
      if (!own || same || columns.empty() || is_unknown(predicates_.build(*conjunct, use)))
        continue;
      for (const auto& [column, count] : columns) in_conditions[column] += count;
    }
    if (in_conditions.empty()) return;
    d.columns_shown.emplace();
    const pg::Relation& relation = *query_.uses[use].relation;
    for (std::uint32_t i = 0; i < relation.columns.size(); ++i) {
      const ColumnKey key{use, i};
      if (count_of(mentions_, key) > count_of(in_conditions, key))
        d.columns_shown->push_back(relation.columns[i].name);
    }
  }

  void count_mentions() {
    const auto count = [&](const Expr& top) {
      each_expr(top, [&](const Expr& part) { in_tree_.insert(&part); });
      count_columns(top, mentions_);
    };
    for (const Block& block : query_.blocks) each_block_expr(block, count);
  }

  // Uses of tables that refer to this one by a foreign key, joined along it.
  std::vector<std::uint32_t> children_of(std::uint32_t use, const Conditions& conditions) const {
    std::vector<std::uint32_t> children;
    std::set<std::uint32_t> others;
    for (const Expr* conjunct : conditions.conjuncts()) {
      each_expr(*conjunct, [&](const Expr& part) {
        if (part.kind == Expr::Kind::kColumn && part.use != use) others.insert(part.use);
      });
    }
    for (const std::uint32_t other : others) {
      const pg::Relation* const child = query_.uses[other].relation;
      if (child == nullptr) continue;
      for (const pg::ForeignKey& key : child->foreign_keys) {
        const auto links = links_along(query_, key, other, use);
        const bool joined = std::all_of(links.begin(), links.end(), [&](const auto& link) {
          return conditions.are_compared(link.first, link.second);
        });
        if (joined && !links.empty()) children.push_back(other);
      }
    }
    return children;
  }

  // What the result shows is of no use where one use of a table is looked at in several places; nor
  // where its rows are read alone and whole, so that their conditions say all. (The key is known of
  // rows of which nothing else is.)
  void drop_useless_shown() {
    std::map<std::uint32_t, int> times;
    for (const std::uint32_t use : places_) ++times[use];
    const bool is_alone = places_.size() == 1 && !query_.blocks[query_.top].limited;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      Dependency& d = out_.dependencies[i];
      if (times[places_[i]] > 1 || (is_alone && !shows_identity(d, places_[i]))) {
        d.shown = {};
      } else if (!d.shown.columns.empty()) {
        d.passes.emplace_back("find_shown");
      }
    }
  }

  bool shows_identity(const Dependency& d, std::uint32_t use) const {
    const std::vector<std::string>& key = query_.uses[use].relation->key_columns;
    return std::all_of(d.shown.columns.begin(), d.shown.columns.end(), [&](const ShownColumn& s) {
      return std::find(key.begin(), key.end(), s.column.name) != key.end();
    });
  }

  // A new row of a parent has no children yet, and one that goes has none left (in the same
  // transaction at the latest): it matters by a change of the child, if by anything. The child's
  // changes must count for that, or those of a child of its own; what refers to itself in a circle
  // has no such end.
  void find_parents() {
    std::set<std::uint32_t> grounded;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (children_[i].empty()) grounded.insert(places_[i]);
    }
    bool again = true;
    while (again) {
      again = false;
      for (std::size_t i = 0; i < places_.size(); ++i) {
        if (out_.dependencies[i].is_parent) continue;
        out_.dependencies[i].is_parent =
            std::any_of(children_[i].begin(), children_[i].end(),
                        [&](std::uint32_t child) { return grounded.contains(child); });
        if (!out_.dependencies[i].is_parent) continue;
        out_.dependencies[i].passes.emplace_back("find_parents");
        grounded.insert(places_[i]);
        again = true;
      }
    }
  }

  static Predicate conjunction(std::vector<Predicate> parts) {
    Predicate all = leaf(Predicate::Kind::kAnd);
    std::erase_if(parts, [](const Predicate& p) { return p.kind == Predicate::Kind::kTrue; });
    all.children = std::move(parts);
    all = simplify(std::move(all), true);
    return all.kind == Predicate::Kind::kUnknown ? leaf(Predicate::Kind::kTrue) : all;
  }

  Predicate guard_of(const std::vector<Expr>& guards) {
    std::vector<Predicate> parts;
    for (const Expr& guard : guards) {
      parts.push_back(predicates_.build_guard(guard));
      if (parts.back().kind == Predicate::Kind::kFalse) return parts.back();
    }
    return conjunction(std::move(parts));
  }

  void add_members(const TableUse& use, Dependency& d) {
    const pg::Relation& relation = *use.relation;
    std::vector<Oid> tables{relation.oid};
    d.members.push_back(relation.oid);
    if (use.inherit) {
      d.members.insert(d.members.end(), relation.descendants.begin(), relation.descendants.end());
      for (const Oid oid : relation.descendants) {
        const pg::Relation* const child = catalog_.find_relation(oid);
        if (child != nullptr && child->kind == 'r') tables.push_back(oid);
      }
    }
    if (relation.is_partition) {
      const std::vector<Oid> ancestors = catalog_.ancestors_of(relation.oid);
      d.members.insert(d.members.end(), ancestors.begin(), ancestors.end());
    }
    for (const Oid oid : tables) {
      if (seen_relations_.insert(oid).second) out_.relations.push_back(oid);
    }
  }

  // ---------------------------------------------------------------- bindings

  // column = operand, column IN (operands), column = ANY (array), or one of them that may also be
  // NULL, binds the column; everything else goes to `rest`.
  void bind(const Expr& condition, std::uint32_t use, std::vector<Predicate>& rest) {
    const Expr* core = &condition;
    const bool or_null =
        condition.kind == Expr::Kind::kNot && condition.children[0].kind == Expr::Kind::kIsFalse;
    if (or_null) core = &condition.children[0].children[0];
    Predicate p = predicates_.build(*core, use);
    EqualityBinding binding;
    if (binds(p, binding)) {
      binding.or_null = or_null;
      candidates_.push_back({std::move(binding), rest.size()});
    }
    rest.push_back(or_null ? predicates_.build(condition, use) : std::move(p));
  }

  static bool binds(const Predicate& p, EqualityBinding& binding) {
    switch (p.kind) {
      case Predicate::Kind::kCompare:
        if (p.op != CompareOp::kEq) return false;
        binding.operands = {p.operand};
        break;
      case Predicate::Kind::kIn:
        binding.operands = p.in_operands;
        break;
      case Predicate::Kind::kAnyOf:
        if (p.all || p.op != CompareOp::kEq || p.children.size() > 1 ||
            p.children[0].kind != Predicate::Kind::kColumn) {
          return false;
        }
        binding.column = p.children[0].column;
        binding.operands = {p.operand};
        binding.array = true;
        return true;
      default:
        return false;
    }
    binding.column = p.column;
    return true;
  }

  // One binding for each column, single operands first; what is bound need not be tested again.
  void drop_bound(Dependency& d, std::vector<Predicate>& rest) {
    std::stable_sort(candidates_.begin(), candidates_.end(), [](const auto& a, const auto& b) {
      return rank(a.binding) < rank(b.binding);
    });
    for (Candidate& candidate : candidates_) {
      const bool bound = std::any_of(
          d.equalities.begin(), d.equalities.end(),
          [&](const EqualityBinding& b) { return b.column.name == candidate.binding.column.name; });
      if (bound) continue;
      d.equalities.push_back(std::move(candidate.binding));
      rest[candidate.place] = leaf(Predicate::Kind::kTrue);
    }
    candidates_.clear();
  }

  static int rank(const EqualityBinding& binding) {
    if (binding.or_null) return 3;
    if (binding.array) return 2;
    return binding.operands.size() == 1 ? 0 : 1;
  }

  // The first equality of what is computed of the row with something that is not.
  static void bind_value(Dependency& d, const std::vector<Predicate>& conditions) {
    for (const Predicate& p : conditions) {
      if (p.kind != Predicate::Kind::kCompareValues || p.op != CompareOp::kEq) continue;
      for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
        const Predicate& value = p.children[side];
        const Predicate& bound = p.children[1 - side];
        if (!mentions_columns(value) || mentions_operands(value) || mentions_columns(bound))
          continue;
        d.value_binding = ValueBinding{value, bound};
        return;
      }
    }
  }

  static bool mentions_columns(const Predicate& predicate) {
    bool mentions = false;
    each_column(predicate, [&](const ColumnRef&) { mentions = true; });
    return mentions;
  }
  // Also where it is a condition, which may have them in other ways.
  static bool mentions_operands(const Predicate& p) {
    using PK = Predicate::Kind;
    const bool is_plain = p.kind == PK::kColumn || p.kind == PK::kCall || p.kind == PK::kCast ||
                          p.kind == PK::kCoalesce || p.kind == PK::kNullIf ||
                          p.kind == PK::kExtreme;
    return !is_plain || std::any_of(p.children.begin(), p.children.end(), mentions_operands);
  }

  // The first column with a bound gives the range; its further bounds stay conditions.
  static void bind_range(Dependency& d, std::vector<Predicate>& conditions) {
    for (Predicate& p : conditions) {
      if (p.kind != Predicate::Kind::kCompare || !p.column.ordered) continue;
      const bool lower = p.op == CompareOp::kGt || p.op == CompareOp::kGe;
      const bool upper = p.op == CompareOp::kLt || p.op == CompareOp::kLe;
      if (!lower && !upper) continue;
      const bool equals_bound =
          std::any_of(d.equalities.begin(), d.equalities.end(),
                      [&](const EqualityBinding& b) { return b.column.name == p.column.name; });
      if (equals_bound || (d.range && d.range->column.name != p.column.name)) continue;
      if (d.range && (lower ? d.range->lower : d.range->upper).has_value()) continue;
      if (!d.range) {
        d.range.emplace();
        d.range->column = p.column;
      }
      if (lower) {
        d.range->lower = p.operand;
        d.range->lower_inclusive = p.op == CompareOp::kGe;
      } else {
        d.range->upper = p.operand;
        d.range->upper_inclusive = p.op == CompareOp::kLe;
      }
      p = leaf(Predicate::Kind::kTrue);
    }
  }

  struct Candidate {
    EqualityBinding binding;
    std::size_t place = 0;  // among the conditions
  };

  const ResolvedQuery& query_;
  const pg::Catalog& catalog_;
  CacheableQuery& out_;
  PredicateBuilder predicates_;
  std::vector<Candidate> candidates_;
  std::vector<std::uint32_t> places_;                 // the use of each dependency
  std::vector<std::vector<std::uint32_t>> children_;  // of each dependency, see children_of()
  ColumnCounts mentions_;                             // in the whole query
  std::set<const Expr*> in_tree_;
  std::unordered_set<Oid> seen_relations_;
};

}  // namespace

bool derive_dependencies(const ResolvedQuery& query, const pg::Catalog& catalog,
                         CacheableQuery& out, std::vector<std::uint32_t>* uses) {
  Deriver deriver(query, catalog, out);
  const bool done = deriver.run();
  if (uses != nullptr) *uses = deriver.places();
  return done;
}

}  // namespace pgcache::sql
