// SPDX-License-Identifier: Apache-2.0
// A sharded hash map from (shape text, search path, string rule, parameter types) to the shape. A
// find hashes the text once and allocates nothing; analysis runs outside the locks, and when two
// sessions analyse the same statement at once the first to insert wins. Each shard is bounded,
// oldest first out. A new catalog empties the table of the shapes that may mean something else
// under it, and renews the others; one that was not renewed yet counts as absent, and a shape that
// was being analysed under the old one is not remembered.
#include "cache/shape_table.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

#include "base/hash.h"

namespace pgcache::cache {

namespace {

struct KeyView {
  std::string_view text;
  std::string_view search_path;
  const std::vector<pg::Oid>* parameter_types = nullptr;
  bool standard_conforming_strings = true;
  std::uint64_t hash = 0;

  friend bool operator==(const KeyView& a, const KeyView& b) {
    return a.hash == b.hash && a.text == b.text && a.search_path == b.search_path &&
           a.standard_conforming_strings == b.standard_conforming_strings &&
           *a.parameter_types == *b.parameter_types;
  }
};

KeyView make_key(std::string_view text, const ShapeScope& scope,
                 const std::vector<pg::Oid>& parameter_types) {
  KeyView key{text, scope.search_path, &parameter_types, scope.standard_conforming_strings, 0};
  const std::string_view types(reinterpret_cast<const char*>(parameter_types.data()),
                               parameter_types.size() * sizeof(pg::Oid));
  key.hash = hash_bytes(text) * 0x9e3779b97f4a7c15 ^ hash_bytes(scope.search_path);
  if (!types.empty()) key.hash = key.hash * 0x9e3779b97f4a7c15 ^ hash_bytes(types);
  return key;
}

struct HashOfKeyView {
  std::size_t operator()(const KeyView& key) const noexcept { return key.hash; }
};

// What a key in the map points into.
struct Item {
  std::string text;
  ShapeScope scope;
  std::vector<pg::Oid> parameter_types;
  ShapePtr shape;

  KeyView key(std::uint64_t hash) const {
    return {text, scope.search_path, &parameter_types, scope.standard_conforming_strings, hash};
  }
};

struct alignas(64) Shard {
  std::mutex mutex;
  std::unordered_map<KeyView, std::unique_ptr<Item>, HashOfKeyView> map;
  std::deque<KeyView> order;  // oldest first; views into the items
};

}  // namespace

struct ShapeTable::Impl {
  explicit Impl(std::size_t shapes_max)
      : shards(shapes_max >= 1024 ? 16 : 1),
        per_shard_max(std::max<std::size_t>(1, shapes_max / shards.size())) {}

  Shard& shard_of(const KeyView& key) { return shards[(key.hash >> 56) % shards.size()]; }
  ShapePtr find(const KeyView& key, std::uint64_t generation);
  ShapePtr remember(const KeyView& key, const ShapeScope& scope, ShapePtr shape,
                    const std::atomic<std::uint64_t>& generation);

  std::vector<Shard> shards;
  const std::size_t per_shard_max;
  std::atomic<std::uint64_t> last_id{0};

  std::mutex catalog_mutex;  // guards the catalog, and the generation's writing with it
  std::shared_ptr<const pg::Catalog> catalog;
};

ShapePtr ShapeTable::Impl::find(const KeyView& key, std::uint64_t generation) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.map.find(key);
  if (it == shard.map.end() || !it->second->shape->is_of(generation)) return nullptr;
  return it->second->shape;
}

ShapePtr ShapeTable::Impl::remember(const KeyView& key, const ShapeScope& scope, ShapePtr shape,
                                    const std::atomic<std::uint64_t>& generation) {
  auto item = std::make_unique<Item>(
      Item{std::string(key.text), scope, *key.parameter_types, std::move(shape)});
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  // The table is gone through after the generation moved on, shard by shard under the same lock:
  // what gets in here under the old number is looked at there too.
  if (item->shape->generation != generation.load(std::memory_order_acquire)) return item->shape;
  const auto it = shard.map.find(key);
  if (it != shard.map.end()) {
    if (!it->second->shape->is_of(item->shape->generation)) it->second->shape = item->shape;
    return it->second->shape;
  }
  while (shard.map.size() >= per_shard_max) {
    const KeyView oldest = shard.order.front();
    shard.order.pop_front();
    shard.map.erase(oldest);
  }
  const KeyView own = item->key(key.hash);
  ShapePtr remembered = item->shape;
  shard.order.push_back(own);
  try {
    shard.map.try_emplace(own, std::move(item));
  } catch (...) {
    shard.order.pop_back();
    throw;
  }
  return remembered;
}

ShapeTable::ShapeTable(std::size_t shapes_max) : impl_(std::make_shared<Impl>(shapes_max)) {}

void ShapeTable::set_catalog(std::shared_ptr<const pg::Catalog> catalog,
                             const pg::DefinitionChange& change) {
  std::uint64_t now = 0;
  {
    const std::lock_guard lock(impl_->catalog_mutex);
    impl_->catalog.swap(catalog);
    now = generation_.fetch_add(1, std::memory_order_acq_rel) + 1;
  }
  const auto stays = [&](const Shape& shape) {
    if (shape.is_of(now)) return true;  // analysed since
    const sql::CacheableQuery* const query = shape.analysis.cacheable();
    if (query == nullptr || !shape.is_of(now - 1) || change.touches(query->definitions)) {
      return false;
    }
    shape.renewed.store(now, std::memory_order_release);
    return true;
  };
  for (Shard& shard : impl_->shards) {
    std::vector<std::unique_ptr<Item>> gone;  // destroyed behind the lock
    const std::lock_guard lock(shard.mutex);
    gone.reserve(shard.map.size());
    std::erase_if(shard.order, [&](const KeyView& key) {
      const auto it = shard.map.find(key);
      if (stays(*it->second->shape)) return false;
      gone.push_back(std::move(it->second));
      shard.map.erase(it);
      return true;
    });
  }
}

std::shared_ptr<const pg::Catalog> ShapeTable::catalog() const {
  const std::lock_guard lock(impl_->catalog_mutex);
  return impl_->catalog;
}

ShapePtr ShapeTable::find_or_analyze(std::string_view text, const sql::StatementShape& shape,
                                     const ShapeScope& scope,
                                     const std::vector<pg::Oid>& parameter_types) {
  const KeyView key = make_key(shape.text, scope, parameter_types);
  if (ShapePtr known = impl_->find(key, generation())) return known;

  std::shared_ptr<const pg::Catalog> catalog;
  auto made = std::make_shared<Shape>();
  {
    const std::lock_guard lock(impl_->catalog_mutex);
    catalog = impl_->catalog;
    made->generation = generation_.load(std::memory_order_relaxed);
  }
  made->id = ShapeId{impl_->last_id.fetch_add(1, std::memory_order_relaxed) + 1};
  made->text = text;
  // Without a catalog the statement's kind can be told all the same, from an empty one.
  static const pg::Catalog kEmptyCatalog;
  sql::AnalysisContext context;
  context.catalog = catalog ? catalog.get() : &kEmptyCatalog;
  context.search_path = scope.search_path_oids;
  context.parameter_types = parameter_types;
  context.standard_conforming_strings = scope.standard_conforming_strings;
  made->analysis = sql::analyze(text, shape, context);
  if (catalog) return impl_->remember(key, scope, std::move(made), generation_);
  if (made->analysis.kind == sql::StatementKind::kRead) {
    made->analysis.outcome = sql::NotCacheable{sql::BypassReason::kStarting, ""};
  }
  return made;
}

std::vector<ShapePtr> ShapeTable::all() const {
  std::vector<ShapePtr> shapes;
  for (Shard& shard : impl_->shards) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [key, item] : shard.map) shapes.push_back(item->shape);
  }
  return shapes;
}

}  // namespace pgcache::cache
