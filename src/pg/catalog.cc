// SPDX-License-Identifier: Apache-2.0
// The catalog snapshot's tables and look-ups.
#include "pg/catalog.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace pgcache::pg {

namespace {

std::uint64_t cast_key(Oid source, Oid target) {
  return std::uint64_t{to_u32(source)} << 32 | to_u32(target);
}

// The one of `oids` whose object in `objects` lies in `schema`.
template <typename Objects>
const typename Objects::mapped_type* find_in_schema(const Objects& objects,
                                                    const std::vector<Oid>& oids, Oid schema) {
  for (const Oid oid : oids) {
    const auto object = objects.find(oid);
    if (object != objects.end() && object->second.schema == schema) return &object->second;
  }
  return nullptr;
}

template <typename Map, typename Key>
auto find_or_null(const Map& map, const Key& key) -> const typename Map::mapped_type* {
  const auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

}  // namespace

const Column* Relation::find_column(std::string_view column) const {
  const std::optional<std::uint32_t> number = column_number(column);
  return number ? &columns[*number] : nullptr;
}

std::optional<std::uint32_t> Relation::column_number(std::string_view column) const {
  for (std::uint32_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == column) return i;
  }
  return std::nullopt;
}

void Catalog::add_schema(Oid oid, std::string name) {
  const auto [place, added] = schema_names_.emplace(oid, std::move(name));
  if (added) schemas_.emplace(place->second, oid);
}

void Catalog::add_relation(Relation relation) {
  const Oid oid = relation.oid;
  const auto [place, added] = relations_.emplace(oid, std::move(relation));
  if (added) relations_by_name_[place->second.name].push_back(oid);
}

void Catalog::add_function(Function function) {
  std::vector<Function>& same_name = functions_[function.name];
  const bool added =
      function_places_.emplace(function.oid, std::pair(function.name, same_name.size())).second;
  if (added) same_name.push_back(std::move(function));
}

void Catalog::add_operator(Operator op) {
  std::vector<Operator>& same_name = operators_[op.name];
  const auto same_oid = [&op](const Operator& other) { return other.oid == op.oid; };
  if (std::any_of(same_name.begin(), same_name.end(), same_oid)) return;
  same_name.push_back(std::move(op));
}

void Catalog::add_type(Type type) {
  const Oid oid = type.oid;
  const auto [place, added] = types_.emplace(oid, std::move(type));
  if (added) types_by_name_[place->second.name].push_back(oid);
}

void Catalog::add_cast(Cast cast) { casts_.emplace(cast_key(cast.source, cast.target), cast); }

void Catalog::set_database(std::string name, std::string encoding, int server_version_num) {
  database_ = std::move(name);
  encoding_ = std::move(encoding);
  server_version_num_ = server_version_num;
}

void Catalog::finish() {
  // Each relation is entered once into every one of its ancestors. Going in the order of oids makes
  // the lists ascend.
  std::vector<Oid> oids;
  oids.reserve(relations_.size());
  for (auto& [oid, relation] : relations_) {
    relation.descendants.clear();
    oids.push_back(oid);
  }
  std::sort(oids.begin(), oids.end());
  for (const Oid oid : oids) {
    for (const Oid ancestor : ancestors_of(oid)) {
      const auto it = relations_.find(ancestor);
      if (it != relations_.end()) it->second.descendants.push_back(oid);
    }
  }
}

std::vector<Oid> Catalog::ancestors_of(Oid relation) const {
  // Inheritance may have several parents, and one ancestor by several ways.
  std::vector<Oid> ancestors;
  std::unordered_set<Oid> seen{relation};
  std::vector<Oid> todo{relation};
  while (!todo.empty()) {
    const Relation* const at = find_relation(todo.back());
    todo.pop_back();
    if (at == nullptr) continue;
    for (const Oid parent : at->parents) {
      if (!seen.insert(parent).second) continue;
      ancestors.push_back(parent);
      todo.push_back(parent);
    }
  }
  std::sort(ancestors.begin(), ancestors.end());
  return ancestors;
}

Oid Catalog::find_schema(std::string_view name) const {
  const Oid* const oid = find_or_null(schemas_, name);
  return oid == nullptr ? Oid::kInvalid : *oid;
}

const std::string* Catalog::schema_name(Oid oid) const { return find_or_null(schema_names_, oid); }

const Relation* Catalog::find_relation(Oid oid) const { return find_or_null(relations_, oid); }

const Relation* Catalog::find_relation(Oid schema, std::string_view name) const {
  const auto* const oids = find_or_null(relations_by_name_, name);
  return oids == nullptr ? nullptr : find_in_schema(relations_, *oids, schema);
}

bool Catalog::has_name(std::string_view name) const {
  return find_or_null(relations_by_name_, name) != nullptr ||
         find_or_null(types_by_name_, name) != nullptr;
}

const Type* Catalog::find_type(Oid oid) const { return find_or_null(types_, oid); }

const Type* Catalog::find_type(Oid schema, std::string_view name) const {
  const auto* const oids = find_or_null(types_by_name_, name);
  return oids == nullptr ? nullptr : find_in_schema(types_, *oids, schema);
}

const Function* Catalog::find_function(Oid oid) const {
  const auto* const place = find_or_null(function_places_, oid);
  if (place == nullptr) return nullptr;
  return &functions_.find(place->first)->second[place->second];
}

const std::vector<Function>& Catalog::functions_named(std::string_view name) const {
  static const std::vector<Function> kNone;
  const auto* const functions = find_or_null(functions_, name);
  return functions == nullptr ? kNone : *functions;
}

const std::vector<Operator>& Catalog::operators_named(std::string_view name) const {
  static const std::vector<Operator> kNone;
  const auto* const operators = find_or_null(operators_, name);
  return operators == nullptr ? kNone : *operators;
}

const Operator* Catalog::find_operator(Oid schema, std::string_view name, Oid left,
                                       Oid right) const {
  for (const Operator& op : operators_named(name)) {
    if (op.schema == schema && op.left == left && op.right == right) return &op;
  }
  return nullptr;
}

const Cast* Catalog::find_cast(Oid source, Oid target) const {
  return find_or_null(casts_, cast_key(source, target));
}

Oid Catalog::base_type(Oid type) const {
  // A chain of domains ends; the bound only keeps a damaged catalog from looping.
  for (std::size_t steps = 0; steps <= types_.size(); ++steps) {
    const Type* const t = find_type(type);
    if (t == nullptr || t->kind != 'd' || t->base == Oid::kInvalid) return type;
    type = t->base;
  }
  return type;
}

}  // namespace pgcache::pg
