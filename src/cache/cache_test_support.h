// SPDX-License-Identifier: Apache-2.0
// Values for the cache's tests, made by hand: relations, shapes, transactions, and a cache that
// serves.
#pragma once

#include <chrono>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "cache/cache.h"
#include "cache/cache_impl.h"
#include "pg/value.h"

namespace pgcache::cache {

struct CacheTestAccess {
  static CacheImpl& impl(Cache& cache) { return *cache.impl_; }
};

namespace testing {

inline constexpr pg::Oid kUsers{100};
inline constexpr pg::Oid kOrders{200};
inline TimePoint at_ms(int ms) {
  return TimePoint{} + std::chrono::hours(1) + std::chrono::milliseconds(ms);
}

// id int4 (key), name text, age int4, note text.
inline std::shared_ptr<const cdc::StreamRelation> stream_relation(pg::Oid oid,
                                                                  char identity = 'd') {
  auto relation = std::make_shared<cdc::StreamRelation>();
  relation->oid = oid;
  relation->schema = "public";
  relation->name = "t" + std::to_string(pg::to_u32(oid));
  relation->replica_identity = identity;
  relation->columns = {{"id", pg::type::kInt4, -1, true},
                       {"name", pg::type::kText, -1, identity == 'f'},
                       {"age", pg::type::kInt4, -1, identity == 'f'},
                       {"note", pg::type::kText, -1, identity == 'f'}};
  return relation;
}

inline sql::ColumnRef column(std::string_view name) {
  const bool is_number = name == "id" || name == "age";
  return {std::string(name), is_number ? pg::type::kInt4 : pg::type::kText, true};
}

inline pg::ValueTypePtr value_type(pg::Oid oid) {
  auto type = std::make_shared<pg::ValueType>();
  type->oid = oid;
  type->family = pg::family_of(oid).value();
  return type;
}
// The column's value stands in that result column.
inline sql::ShownColumn shown(std::string_view name, std::uint16_t position) {
  sql::ColumnRef shown = column(name);
  pg::ValueTypePtr type = value_type(shown.type);
  return {std::move(shown), position, std::move(type)};
}
// Which rows that go are in the result its column shows.
inline sql::Shown shows_former(std::string_view name, std::uint16_t position) {
  sql::Shown out;
  out.columns = {shown(name, position)};
  out.before = true;
  return out;
}

inline sql::Operand number(std::int64_t v) {
  return {sql::Operand::State::kValue, pg::Value::integer(v)};
}
inline sql::Operand text(std::string_view v) {
  return {sql::Operand::State::kValue, pg::Value::text(v)};
}
inline sql::Operand null() { return {sql::Operand::State::kNull, std::nullopt}; }
inline sql::Operand unknown() { return {}; }

inline sql::Predicate compare(std::string_view name, sql::CompareOp op, sql::OperandIndex operand) {
  sql::Predicate p;
  p.kind = sql::Predicate::Kind::kCompare;
  p.op = op;
  p.column = column(name);
  p.operand = operand;
  return p;
}

// A guard that cannot hold when the operand is NULL, whatever the column.
inline sql::Predicate operand_is_not_null(sql::OperandIndex index) {
  return compare("id", sql::CompareOp::kEq, index);
}

// Every row of the relation matters.
inline sql::Dependency whole(pg::Oid relation) {
  sql::Dependency d;
  d.relation = relation;
  d.members = {relation};
  return d;
}
inline sql::Dependency where_equal(pg::Oid relation, std::string_view name,
                                   sql::OperandIndex operand = 0) {
  sql::Dependency d = whole(relation);
  d.equalities = {{column(name), {operand}}};
  return d;
}
inline sql::Dependency where_in(pg::Oid relation, std::string_view name,
                                std::vector<sql::OperandIndex> operands) {
  sql::Dependency d = whole(relation);
  d.equalities = {{column(name), std::move(operands)}};
  return d;
}
// name = ANY (operand 0)
inline sql::Dependency where_array(pg::Oid relation, std::string_view name) {
  sql::Dependency d = whole(relation);
  sql::EqualityBinding binding;
  binding.column = column(name);
  binding.operands = {0};
  binding.array = true;
  d.equalities = {binding};
  return d;
}
// operand 0 <= name < operand 1
inline sql::Dependency where_between(pg::Oid relation, std::string_view name) {
  sql::Dependency d = whole(relation);
  sql::RangeBinding range;
  range.column = column(name);
  range.lower = 0;
  range.upper = 1;
  range.lower_inclusive = true;
  d.range = range;
  return d;
}

inline ShapePtr make_shape(std::uint64_t id, std::vector<sql::Dependency> dependencies,
                           std::size_t operands = 2, std::uint64_t generation = 0) {
  auto shape = std::make_shared<Shape>();
  shape->id = ShapeId{id};
  shape->generation = generation;
  shape->text = "shape " + std::to_string(id);
  sql::CacheableQuery query;
  for (std::size_t i = 0; i < operands; ++i) {
    sql::OperandSpec spec;
    spec.source = sql::OperandSpec::Source::kParameter;
    spec.index = static_cast<std::uint16_t>(i);
    query.operands.push_back(spec);
  }
  for (const sql::Dependency& dependency : dependencies) {
    if (std::find(query.relations.begin(), query.relations.end(), dependency.relation) ==
        query.relations.end()) {
      query.relations.push_back(dependency.relation);
    }
    query.definitions.insert(query.definitions.end(), dependency.members.begin(),
                             dependency.members.end());
  }
  std::sort(query.definitions.begin(), query.definitions.end());
  query.dependencies = std::move(dependencies);
  shape->analysis.kind = sql::StatementKind::kRead;
  shape->analysis.outcome = std::move(query);
  return shape;
}

// The same shape with an array of numbers as operand 0.
inline ShapePtr with_array(const ShapePtr& shape) {
  auto element = std::make_shared<pg::ValueType>();
  element->oid = pg::type::kInt4;
  element->family = pg::ValueFamily::kNumber;
  auto array = std::make_shared<pg::ValueType>();
  array->element = std::move(element);
  auto changed = std::make_shared<Shape>();
  changed->id = shape->id;
  changed->text = shape->text;
  changed->analysis = shape->analysis;
  std::get<sql::CacheableQuery>(changed->analysis.outcome).operands[0].value_type =
      std::move(array);
  return changed;
}

// A row as the stream has it; nullopt is NULL.
using Row = std::vector<std::optional<std::string>>;

class TransactionBuilder {
 public:
  explicit TransactionBuilder(std::uint32_t xid, std::uint64_t end_lsn) {
    transaction_.xid = xid;
    transaction_.commit_lsn = {end_lsn - 1};
    transaction_.end_lsn = {end_lsn};
  }
  using Form = std::shared_ptr<const cdc::StreamRelation>;

  TransactionBuilder& insert(const Form& form, const Row& row) {
    return add(cdc::ChangeKind::kInsert, form, {}, cells(row));
  }
  TransactionBuilder& update(const Form& form, const Row& row) {
    return add(cdc::ChangeKind::kUpdate, form, {}, cells(row));
  }
  TransactionBuilder& update(const Form& form, const Row& old_row, const Row& row) {
    return add(cdc::ChangeKind::kUpdate, form, old_cells(form, old_row), cells(row));
  }
  TransactionBuilder& remove(const Form& form, const Row& old_row) {
    return add(cdc::ChangeKind::kDelete, form, old_cells(form, old_row), {});
  }
  TransactionBuilder& truncate(const Form& form) {
    return add(cdc::ChangeKind::kTruncate, form, {}, {});
  }
  TransactionBuilder& add(cdc::ChangeKind kind, const Form& form, std::vector<cdc::Cell> old_row,
                          std::vector<cdc::Cell> new_row) {
    transaction_.changes.push_back({kind, form, std::move(old_row), std::move(new_row)});
    transaction_.bytes += 100;
    return *this;
  }
  TransactionBuilder& changes_form_of(const Form& form) {
    transaction_.changed_relations.push_back(form);
    return *this;
  }
  TransactionBuilder& overflows(const Form& form) {
    transaction_.overflowed = true;
    transaction_.overflowed_relations.push_back(form);
    return *this;
  }
  TransactionPtr build() {
    return std::make_shared<const cdc::Transaction>(std::move(transaction_));
  }
  const cdc::RowChange& last_change() const { return transaction_.changes.back(); }

  std::vector<cdc::Cell> cells(const Row& row) {
    std::vector<cdc::Cell> result;
    for (const auto& value : row) {
      if (!value) {
        result.push_back({cdc::CellKind::kNull, {}});
        continue;
      }
      transaction_.storage.push_back(std::make_unique<std::string>(*value));
      result.push_back({cdc::CellKind::kText, *transaction_.storage.back()});
    }
    return result;
  }
  // Only the key is known unless the identity is FULL.
  std::vector<cdc::Cell> old_cells(const Form& form, const Row& row) {
    std::vector<cdc::Cell> result = cells(row);
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (form->replica_identity != 'f' && !form->columns[i].is_key) result[i] = {};
    }
    return result;
  }

 private:
  cdc::Transaction transaction_;
};

inline pg::Snapshot snapshot(std::uint64_t xmin, std::uint64_t xmax,
                             std::initializer_list<std::uint64_t> xip = {}) {
  pg::Snapshot s{{xmin}, {xmax}, {}};
  for (const std::uint64_t x : xip) s.xip.push_back({x});
  return s;
}

inline CachedResult result_of(std::string rows) {
  CachedResult r;
  r.row_description = "T";
  r.rows = std::move(rows);
  r.row_count = 1;
  r.load_time = std::chrono::microseconds(5);
  return r;
}

// One DataRow frame.
inline std::string data_row(const std::vector<std::optional<std::string>>& fields) {
  std::string body;
  append_be16(body, static_cast<std::uint16_t>(fields.size()));
  for (const auto& field : fields) {
    append_be32(body, field ? static_cast<std::uint32_t>(field->size()) : 0xffffffff);
    if (field) body += *field;
  }
  std::string frame = "D";
  append_be32(frame, static_cast<std::uint32_t>(body.size() + 4));
  return frame + body;
}
inline std::string command_complete() { return std::string("C\0\0\0\x0dSELECT 1\0", 14); }

// A catalog that knows both relations, in the form of stream_relation(), with id as their key.
inline std::shared_ptr<pg::Catalog> test_catalog() {
  auto catalog = std::make_shared<pg::Catalog>();
  for (const pg::Oid oid : {kUsers, kOrders}) {
    pg::Relation relation;
    relation.oid = oid;
    relation.name = "t" + std::to_string(pg::to_u32(oid));
    const auto form = stream_relation(oid);
    for (const cdc::StreamColumn& column : form->columns) {
      pg::Column c;
      c.attnum = static_cast<std::int16_t>(relation.columns.size() + 1);
      c.name = column.name;
      c.type = column.type;
      relation.columns.push_back(c);
    }
    relation.key_columns = {"id"};
    relation.has_replica_identity = true;
    catalog->add_relation(std::move(relation));
  }
  catalog->finish();
  return catalog;
}

// A cache that serves at at_ms(0): stream begun at xid 1000, both relations tracked.
struct ServingCache {
  explicit ServingCache(CacheLimits limits = {})
      : cache(limits, [this](std::vector<pg::Oid> oids) {
          asked.insert(asked.end(), oids.begin(), oids.end());
        }) {
    cache.on_cold_start(snapshot(1000, 1000), {5000});
    cache.on_stream_connected();
    cache.set_tracked(kUsers, {1000});
    cache.set_tracked(kOrders, {1000});
    cache.set_snapshot(snapshot(1000, 1000));
    cache.on_heartbeat({5000}, at_ms(0));
  }

  LookupRequest request(std::string_view key, const ShapePtr& shape,
                        const std::vector<sql::Operand>& operands) {
    LookupRequest r;
    r.key = key;
    r.shape = shape;
    r.operands = &operands;
    return r;
  }
  LookupOutcome lookup(std::string_view key, const ShapePtr& shape,
                       const std::vector<sql::Operand>& operands) {
    return cache.lookup(request(key, shape, operands), at_ms(0));
  }
  std::unique_ptr<Load> start(std::string_view key, const ShapePtr& shape,
                              const std::vector<sql::Operand>& operands) {
    LookupOutcome outcome = lookup(key, shape, operands);
    auto* started = std::get_if<StartLoad>(&outcome);
    return started ? std::move(started->load) : nullptr;
  }
  PublishOutcome fill(std::string_view key, const ShapePtr& shape,
                      const std::vector<sql::Operand>& operands) {
    std::unique_ptr<Load> load = start(key, shape, operands);
    return cache.publish(std::move(load), result_of("rows of " + std::string(key)));
  }
  bool has(std::string_view key, const ShapePtr& shape) {
    LookupRequest r;
    r.key = key;
    r.shape = shape;
    r.hit_only = true;
    return std::holds_alternative<Hit>(cache.lookup(r, at_ms(0)));
  }

  std::vector<pg::Oid> asked;
  Cache cache;
};

}  // namespace testing
}  // namespace pgcache::cache
