// SPDX-License-Identifier: Apache-2.0
// Small tables kept whole, so that it can be told whether a changed row finds the others without
// which it does not matter (sql::Partner), and what an UPDATE or DELETE replaced. Guarded by the
// cache's apply mutex; changed by the applier alone, which goes past each transaction in the
// stream: begin(), step() for each change.
//
// What a copy holds
//
//   A copy begins with the rows that a snapshot S saw, and a position P of the WAL that was read
//   behind it; both while the table was locked against TRUNCATE and ALTER TABLE. Every transaction
//   in the stream that S does not see is applied to it, those that were logged before it came, too;
//   those that S sees are not. Row by row that is right: whoever changes a row waits until the
//   transaction that changed it last is over and visible, so of the changes to a row S sees a first
//   part, in the order of their commits. Once everything before P is applied, all that S sees is,
//   and the copy is the table after the transactions that are applied, neither more nor less: it is
//   usable. (Before that it may lack rows that a transaction deletes which is still to come.)
//   A row that a transaction T removes stays findable until a snapshot V sees T, and everything
//   that V sees is applied. Until then the origin may still show the row: T is in the stream before
//   it is visible, and T2, which commits behind it, may be visible before. A row that T2 brings
//   finds the one that T removes, for whoever asks the origin in between. So what is found is all
//   that the table holds, or may still hold. More than that would do no harm; less would.
//
// A change that does not fit (a row that is not there, another form, TRUNCATE) drops the copy, and
// so does everything that drops row images (image_store.h), and a stream that is connected anew.
//
// Rows are told apart by the replica identity's columns; under REPLICA IDENTITY FULL, whose old
// rows come whole, by all, and of equal ones any stands for any other.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "cache/row_image.h"
#include "cache/stored_row.h"
#include "cdc/table_rows.h"
#include "pg/catalog.h"

namespace pgcache::cache {

class TableCopy {
 public:
  struct Row {
    Row(const RelationForm& form, std::string row_key, StoredRow row);
    Row(const Row&) = delete;
    Row& operator=(const Row&) = delete;

    const std::string key;
    const StoredRow stored;
    const std::vector<cdc::Cell> cells;  // views into `stored`
    const RowImage image;
    std::size_t position = 0;  // among the copy's rows
    pg::Xid gone_by{};         // the transaction that removed it, once it has
  };
  using RowList = std::vector<const Row*>;

  // Null when rows of such a table cannot be told apart, or are more than `bytes_max`. `catalog`:
  // what is known of domains; null: nothing.
  static std::unique_ptr<TableCopy> make(const cdc::TableRows& rows, const pg::Catalog* catalog,
                                         std::uint64_t bytes_max);

  pg::Oid relation() const { return form_.relation().oid; }
  const pg::Snapshot& snapshot() const { return snapshot_; }
  std::uint64_t bytes() const { return bytes_; }
  std::size_t size() const { return rows_.size(); }
  bool usable() const { return usable_; }
  void begin(pg::Lsn applied) { usable_ = usable_ || applied >= position_; }

  // Goes past a change to a row that the snapshot does not see. False: the copy is of no use any
  // more. `before`: gets the row just before the change, if the change does not tell it.
  bool step(const cdc::RowChange& change, pg::Xid xid, StoredRow& before);
  bool is_leaving() const { return !leaving_.empty(); }
  // Rows that transactions removed which `visible` sees: all that it sees is applied.
  void forget(const pg::Snapshot& visible);

  // All rows whose column may equal the value, and perhaps more. Valid until the next change.
  struct Candidates {
    const RowList* rows = nullptr;     // that equal it; null: none
    const RowList* unknown = nullptr;  // whose value is not known
    std::size_t size() const { return (rows ? rows->size() : 0) + unknown->size(); }
  };
  Candidates with_value(const sql::ColumnRef& column, const pg::Value& value);
  const std::vector<std::unique_ptr<Row>>& rows() const { return rows_; }

 private:
  struct Index {
    sql::ColumnRef column;
    std::unordered_map<std::string, RowList, StringHash, std::equal_to<>> rows;
    RowList unknown;

    void add(const Row& row);
    void remove(const Row& row);
    RowList* list_of(const Row& row, bool make);
  };

  TableCopy(std::shared_ptr<const cdc::StreamRelation> form, const pg::Snapshot& snapshot,
            pg::Lsn position);
  bool adopt(const std::shared_ptr<const cdc::StreamRelation>& form);
  std::optional<std::string> key_of(const std::vector<cdc::Cell>& row) const;
  Row* find(const std::string& key);
  bool add(std::string key, StoredRow row);
  void leave(Row& row, pg::Xid xid);
  void erase(Row& row);

  const RelationForm form_;
  std::shared_ptr<const cdc::StreamRelation> stream_form_;  // once a change has come
  const pg::Snapshot snapshot_;
  const pg::Lsn position_;
  bool usable_ = false;
  bool whole_rows_ = false;                 // rows are told apart by all columns
  std::vector<std::size_t> key_positions_;  // else by these
  std::vector<std::unique_ptr<Row>> rows_;
  std::unordered_multimap<std::string_view, Row*, StringHash> by_key_;
  std::vector<Row*> leaving_;
  std::map<std::string, Index> indexes_;  // by column
  std::uint64_t bytes_ = 0;
};

class TableCopies {
 public:
  // Zero: off.
  explicit TableCopies(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  bool enabled() const { return bytes_max_ > 0; }
  // No table may take up more.
  std::uint64_t table_bytes_max() const { return bytes_max_ / 4; }
  bool empty() const { return tables_.empty(); }
  bool holds(pg::Oid relation) const { return tables_.contains(relation); }

  // Whether there was room.
  bool add(std::unique_ptr<TableCopy> copy);
  // `applied`: every commit before this position is applied.
  void begin(pg::Lsn applied);
  // Yields the row just before the change, where it is known and the stream did not send it.
  StoredRow step(const cdc::RowChange& change, pg::Xid xid, const pg::Catalog* catalog);
  // As TableCopy::forget(), between two transactions.
  void forget(const pg::Snapshot& visible);
  // Whether since the last call a change did not fit its table: then what was told of rows before
  // earlier changes may be wrong, too.
  bool take_doubt() { return std::exchange(doubt_, false); }

  // Null when it is not known what the table holds.
  TableCopy* find(pg::Oid relation);

  void drop(pg::Oid relation);
  void drop_all();
  // As drop_all(), at once: what is left is destroyed here.
  void clear() noexcept;
  // What was dropped, to be destroyed when no lock is held.
  using Remains = std::vector<std::shared_ptr<void>>;
  Remains take_remains() { return std::exchange(dropped_, {}); }

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t tables() const { return tables_.size(); }
  std::uint64_t size() const;  // rows

 private:
  void drop_partitions_of(pg::Oid root, const pg::Catalog* catalog);

  const std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::unordered_map<pg::Oid, std::unique_ptr<TableCopy>> tables_;
  Remains dropped_;
  bool doubt_ = false;
  std::vector<pg::Oid> leaving_;  // tables with rows that are gone and still found
};

}  // namespace pgcache::cache
