// SPDX-License-Identifier: Apache-2.0
// What the origin guarantees about the rows of its tables: unique keys, foreign keys, CHECK
// constraints and partition bounds. What is only declared (not validated, not enforced, a trigger
// disabled), or holds by another notion of equality than the columns' own, is left out.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "origin/catalog_draft.h"

namespace pgcache::origin {
namespace {

using pg::Oid;

constexpr int kNestingMax = 64;  // of domains, and of constraints of partitions

Oid base_type(const Draft& draft, Oid type) {
  for (int i = 0; i < kNestingMax; ++i) {
    const auto it = draft.types.find(type);
    if (it == draft.types.end() || it->second.kind != 'd') return type;
    type = it->second.base;
  }
  return Oid::kInvalid;
}

const pg::Column* find_column(const pg::Relation& relation, std::uint32_t attnum) {
  for (const pg::Column& column : relation.columns) {
    if (std::cmp_equal(column.attnum, attnum)) return &column;
  }
  return nullptr;
}

// Whether a default operator class for `input` is the one that a column of type `type` has. A class
// of a type that the column's can be taken for (char(n)'s for text) compares in its own way.
bool is_own_class(const Draft& draft, Oid type, Oid input) {
  constexpr Oid kCidr{650};
  constexpr Oid kInet{869};
  constexpr std::array kPolymorphic{Oid{2277}, Oid{3500}, Oid{3831}, Oid{4537}};  // anyarray ...
  const Oid base = base_type(draft, type);
  return input == base || (base == pg::type::kVarchar && input == pg::type::kText) ||
         (base == kCidr && input == kInet) ||
         std::find(kPolymorphic.begin(), kPolymorphic.end(), input) != kPolymorphic.end();
}

// A row for each column of an index.
void take_unique_keys(Draft& draft, const Reply& reply) {
  for (int i = 0; i < reply.rows();) {
    const Oid index = reply.oid(i, 0);
    pg::Relation* relation = draft.find_relation(reply.oid(i, 1));
    bool fit = relation != nullptr;
    pg::UniqueKey key;
    for (; i < reply.rows() && reply.oid(i, 0) == index; ++i) {
      fit = fit && reply.truth(i, 5) && is_own_class(draft, reply.oid(i, 3), reply.oid(i, 4));
      key.columns.emplace_back(reply.text(i, 2));
    }
    if (!fit) continue;
    relation->unique_keys.push_back(std::move(key));
    draft.unique_indexes.emplace(index, relation);
  }
}

Step unique_keys_step() {
  return {
      "SELECT i.indexrelid, i.indrelid, a.attname, a.atttypid, o.opcintype,"
      " coalesce(o.opcdefault AND k.coll = a.attcollation, false)"
      " FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid"
      " JOIN pg_class c ON c.oid = i.indrelid"
      " CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[])"
      "   WITH ORDINALITY AS k(attnum, opclass, coll, place)"
      " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
      " LEFT JOIN pg_opclass o ON o.oid = k.opclass"
      " WHERE i.indisunique AND i.indisvalid AND i.indisready AND i.indislive AND i.indimmediate"
      " AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL"
      " AND x.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')"
      " AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384"
      " AND k.place <= i.indnkeyatts ORDER BY i.indexrelid, k.place",
      take_unique_keys};
}

struct Constraint {
  Oid parent = Oid::kInvalid;
  Oid relation = Oid::kInvalid;
  Oid referenced = Oid::kInvalid;
  Oid index = Oid::kInvalid;
  bool holds = false;
  bool disabled = false;
  std::vector<Oid> columns;  // attnums
  std::vector<Oid> referenced_columns;
  std::vector<Oid> checked;  // tables with a trigger that looks for the referenced row
  std::vector<Oid> guarded;  // tables with a trigger that looks for rows that refer to one
};
using Constraints = std::unordered_map<Oid, Constraint>;
using Children = std::unordered_map<Oid, std::vector<Oid>>;

// Whether the constraint refers to the table that was declared. What stands for a part of the
// referenced rows alone is below one that refers to another table.
bool is_whole(const Constraints& all, Oid oid) {
  const Oid referenced = all.at(oid).referenced;
  for (int i = 0; i < kNestingMax; ++i) {
    const auto it = all.find(oid);
    if (it == all.end() || it->second.referenced != referenced) return false;
    if (it->second.parent == Oid::kInvalid) return true;
    oid = it->second.parent;
  }
  return false;
}

Oid topmost_constraint(const Constraints& all, Oid oid) {
  for (int i = 0; i < kNestingMax; ++i) {
    const auto it = all.find(oid);
    if (it == all.end() || it->second.parent == Oid::kInvalid) break;
    oid = it->second.parent;
  }
  return oid;
}

// Whether values that are equal for the constraint are equal for the `=` of the two columns.
bool compares_alike(const Draft& draft, const pg::Column& a, const pg::Column& b) {
  if (!a.collation_deterministic || !b.collation_deterministic) return false;
  const auto both_in = [a = base_type(draft, a.type),
                        b = base_type(draft, b.type)](std::initializer_list<Oid> types) {
    return std::find(types.begin(), types.end(), a) != types.end() &&
           std::find(types.begin(), types.end(), b) != types.end();
  };
  return both_in({base_type(draft, a.type)}) ||
         both_in({pg::type::kInt2, pg::type::kInt4, pg::type::kInt8}) ||
         both_in({pg::type::kText, pg::type::kVarchar});
}

std::optional<pg::ForeignKey> to_foreign_key(Draft& draft, const Constraint& constraint) {
  const pg::Relation* from = draft.find_relation(constraint.relation);
  const pg::Relation* to = draft.find_relation(constraint.referenced);
  if (from == nullptr || to == nullptr || !draft.unique_indexes.contains(constraint.index) ||
      constraint.columns.empty() ||
      constraint.columns.size() != constraint.referenced_columns.size()) {
    return std::nullopt;
  }
  pg::ForeignKey key;
  key.referenced = constraint.referenced;
  for (std::size_t i = 0; i < constraint.columns.size(); ++i) {
    const pg::Column* column = find_column(*from, pg::to_u32(constraint.columns[i]));
    const pg::Column* referenced = find_column(*to, pg::to_u32(constraint.referenced_columns[i]));
    if (column == nullptr || referenced == nullptr || !compares_alike(draft, *column, *referenced))
      return std::nullopt;
    key.columns.push_back(column->name);
    key.referenced_columns.push_back(referenced->name);
  }
  return key;
}

Constraints read_constraints(const Reply& reply) {
  Constraints all;
  for (int i = 0; i < reply.rows(); ++i) {
    all.emplace(reply.oid(i, 0), Constraint{.parent = reply.oid(i, 1),
                                            .relation = reply.oid(i, 2),
                                            .referenced = reply.oid(i, 3),
                                            .index = reply.oid(i, 4),
                                            .holds = reply.truth(i, 5),
                                            .disabled = reply.truth(i, 6),
                                            .columns = parse_oids(reply.text(i, 7)),
                                            .referenced_columns = parse_oids(reply.text(i, 8)),
                                            .checked = parse_oids(reply.text(i, 9)),
                                            .guarded = parse_oids(reply.text(i, 10))});
  }
  return all;
}

// The triggers of a constraint and of all its parts, which enforce it together.
struct Enforcement {
  bool disabled = false;
  std::set<Oid> checked;
  std::set<Oid> guarded;
};

std::map<Oid, Enforcement> enforcements(const Constraints& all) {
  std::map<Oid, Enforcement> out;
  for (const auto& [oid, constraint] : all) {
    Enforcement& whole = out[topmost_constraint(all, oid)];
    whole.disabled = whole.disabled || constraint.disabled;
    whole.checked.insert(constraint.checked.begin(), constraint.checked.end());
    whole.guarded.insert(constraint.guarded.begin(), constraint.guarded.end());
  }
  return out;
}

// Whether the relation, or each partition of it that has rows, is in `triggered`.
bool covers_all_rows(const Draft& draft, const Children& children, Oid relation,
                     const std::set<Oid>& triggered, int depth = 0) {
  const auto it = draft.relations.find(relation);
  if (it == draft.relations.end() || depth > kNestingMax) return false;
  if (it->second.kind != 'p') return triggered.contains(relation);
  const auto parts = children.find(relation);
  return parts == children.end() ||
         std::all_of(parts->second.begin(), parts->second.end(), [&](Oid part) {
           return covers_all_rows(draft, children, part, triggered, depth + 1);
         });
}

void take_foreign_keys(Draft& draft, const Reply& reply) {
  const Constraints all = read_constraints(reply);
  const std::map<Oid, Enforcement> enforced = enforcements(all);
  Children children;
  for (const auto& [oid, relation] : draft.relations) {
    for (const Oid parent : relation.parents) children[parent].push_back(oid);
  }
  for (int i = 0; i < reply.rows(); ++i) {
    const Oid oid = reply.oid(i, 0);
    const Constraint& constraint = all.at(oid);
    const Enforcement& by = enforced.at(topmost_constraint(all, oid));
    if (!constraint.holds || by.disabled || !is_whole(all, oid) ||
        !covers_all_rows(draft, children, constraint.relation, by.checked) ||
        !covers_all_rows(draft, children, constraint.referenced, by.guarded)) {
      continue;
    }
    if (auto key = to_foreign_key(draft, constraint)) {
      draft.find_relation(constraint.relation)->foreign_keys.push_back(*std::move(key));
    }
  }
}

// Subscriptions write without looking at foreign keys. From version 18 on there are constraints
// that are not enforced, and others over periods.
Step foreign_keys_step(int version) {
  const std::string holds =
      version >= 180000 ? "c.convalidated AND c.conenforced AND NOT c.conperiod" : "c.convalidated";
  // RI_FKey_check_ins and RI_FKey_check_upd.
  const auto tables_with = [](const std::string& checks) {
    return "(SELECT string_agg(t.tgrelid::text, ' ') FROM pg_trigger t WHERE t.tgconstraint = c.oid"
           " AND t.tgfoid " +
           checks + " (1644, 1645))";
  };
  return {"SELECT c.oid, c.conparentid, c.conrelid, c.confrelid, c.conindid, " + holds +
              ", EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = c.oid"
              "   AND t.tgenabled NOT IN ('O', 'A')),"
              " array_to_string(c.conkey, ' '), array_to_string(c.confkey, ' '), " +
              tables_with("IN") + ", " + tables_with("NOT IN") +
              " FROM pg_constraint c WHERE c.contype = 'f' AND c.confmatchtype IN ('s', 'f')"
              " AND NOT EXISTS (SELECT FROM pg_subscription s JOIN pg_database d"
              "   ON d.oid = s.subdbid WHERE d.datname = current_database()) ORDER BY c.oid",
          take_foreign_keys};
}

// A plain table with children: its keys hold in itself alone, a query of it reads the children too.
Step inherited_keys_step() {
  return {
      "SELECT DISTINCT i.inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent"
      " WHERE c.relkind <> 'p'",
      [](Draft& draft, const Reply& reply) {
        for (int i = 0; i < reply.rows(); ++i) {
          pg::Relation* relation = draft.find_relation(reply.oid(i, 0));
          if (relation == nullptr) continue;
          relation->unique_keys.clear();
          relation->foreign_keys.clear();
        }
      }};
}

// Those that are not inherited hold in the table itself alone.
Step checks_step(int version) {
  const std::string enforced = version >= 180000 ? " AND c.conenforced" : "";
  return {
      "SELECT c.conrelid, pg_get_expr(c.conbin, c.conrelid)"
      " FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid"
      " WHERE c.contype = 'c' AND c.convalidated AND NOT c.connoinherit AND r.oid >= 16384"
      " AND r.relkind IN ('r', 'p') AND r.relpersistence <> 't'" +
          enforced + " ORDER BY c.conrelid, c.conname",
      [](Draft& draft, const Reply& reply) {
        for (int i = 0; i < reply.rows(); ++i) {
          pg::Relation* relation = draft.find_relation(reply.oid(i, 0));
          if (relation == nullptr || reply.is_null(i, 1)) continue;
          relation->checks.emplace_back(reply.text(i, 1));
        }
      }};
}

Step partition_constraints_step() {
  return {
      "SELECT c.oid, pg_get_partition_constraintdef(c.oid) FROM pg_class c"
      " WHERE c.relispartition AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'",
      [](Draft& draft, const Reply& reply) {
        for (int i = 0; i < reply.rows(); ++i) {
          pg::Relation* relation = draft.find_relation(reply.oid(i, 0));
          if (relation != nullptr) relation->partition_constraint = reply.text(i, 1);
        }
      }};
}

}  // namespace

std::vector<Step> guarantee_steps(int server_version, ViewDefinitions definitions) {
  std::vector<Step> steps{unique_keys_step(), foreign_keys_step(server_version),
                          inherited_keys_step()};
  if (definitions == ViewDefinitions::kRead) {
    steps.push_back(checks_step(server_version));
    steps.push_back(partition_constraints_step());
  }
  return steps;
}

}  // namespace pgcache::origin
