// SPDX-License-Identifier: Apache-2.0
// The last images of rows that the stream showed. Without REPLICA IDENTITY FULL the stream tells of
// a row that is changed or deleted at most its key; what it was before is known when it came by
// earlier. Guarded by the cache's apply mutex; driven by the applier, change by change.
//
// Kept by relation and the text of the replica identity's columns, under a byte budget; the least
// recently used leave first. To leave out any image is always safe: then nothing is known but the
// key.
//
// Why an image that is found is the row's state just before the change
//
//   Let a change c in the stream find the image that a change w left, both to the row with key k.
//   The row's state before c is w's, unless a change x to it came between the two.
//   - x is in the stream: transactions come whole and in the order of their commits, and a row
//     stays locked from its change to the end of the transaction; so x comes between w and c there
//     too, and step() saw it: it takes out the image under x's old key, whatever it is, and leaves
//     x's under the new one. (At every moment at most one row has the key: the identity's index is
//     unique, immediate, without a predicate, over columns that are not null. A key that is not
//     sent as text of a type whose text tells its values apart drops the relation's images.)
//   - x is not in the stream, since the table was not published, or not under this relation, at
//     that time. All such transactions had ended when the relation's gate was taken (tracking.h).
//     w's transaction, which the gate does not see, ended later, and held the row until then; so x
//     came before w. Whoever notices that a relation may have been left out closes the gates and
//     drops the images, those that the log still holds too.
//   - x is no row change: TRUNCATE is in the stream. What rewrites a table without one (ALTER TABLE
//     ... TYPE ... USING) makes the walsender send the Relation message again before the table's
//     next change, and with every such message the decoder begins a new form: images of an
//     earlier form are dropped. Besides, the catalog's change closes the gates like the above.
//   - The stream comes back to a position that it had passed already: after a disconnect, hence
//     with new Relation messages. After a cold start nothing is kept.
//   An overflowed transaction does not tell its changes: the images of its relations are dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "cache/stored_row.h"
#include "cdc/row_change.h"
#include "pg/catalog.h"

namespace pgcache::cache {

class ImageStore {
 public:
  // Zero: off.
  explicit ImageStore(std::uint64_t bytes_max);
  ~ImageStore();

  bool enabled() const { return bytes_max_ > 0; }

  // Goes past the next change of the stream. Yields the row just before it, where that is known and
  // the stream did not send it. `keep`: the row as it is afterwards may be kept. `catalog`: what is
  // known of domains; null: nothing.
  StoredRow step(const cdc::RowChange& change, bool keep, const pg::Catalog* catalog = nullptr);

  // The way to what step() will touch (look_ahead.h). To be used up before the store changes.
  class Approach;
  std::optional<Approach> approach(const cdc::RowChange& change) const;

  void drop(pg::Oid relation);
  void drop_all();
  // As drop_all(), at once: what is left is destroyed here.
  void clear() noexcept;
  // What was dropped, to be destroyed when no lock is held.
  using Remains = std::vector<std::shared_ptr<void>>;
  Remains take_remains();

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t size() const;

 private:
  struct Row;
  struct Table;
  Table* table_of(const cdc::RowChange& change, bool make, const pg::Catalog* catalog);
  void erase(Table& table, Row& row);
  void put(Table& table, Row* place, const std::string& key, StoredRow row);
  void evict();

  const std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::uint64_t uses_ = 0;  // counts; its value tells how long ago a row was used
  std::unordered_map<pg::Oid, std::unique_ptr<Table>> tables_;
  Remains dropped_;
};

class ImageStore::Approach {
 public:
  static constexpr int kSteps = 2;
  void go_on(int step);

 private:
  friend class ImageStore;
  Approach(const Table& table, std::uint64_t hash) : table_(&table), hash_(hash) {}

  const Table* table_;
  std::uint64_t hash_;
  const Row* row_ = nullptr;
};

}  // namespace pgcache::cache
