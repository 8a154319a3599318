// SPDX-License-Identifier: Apache-2.0
// A tiny PostgreSQL in memory: multi-version rows, transactions, snapshots, and the change stream
// of a logical slot.
//
//   A transaction gets its id at its first write; writes versions; puts its commit record into the
//   log (state kCommitting: from here on the stream may show it); and becomes visible later, in any
//   order among those that are committing. It counts as visible from `visible_at` on, the number of
//   the moment; a View says which moment it looks at.
//
// Every column holds a small number or NULL; a text column shows it as "n5".
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cdc/row_change.h"
#include "pg/catalog.h"
#include "pg/ids.h"
#include "simulator/random.h"

namespace pgcache::simulator {

using Number = std::optional<int>;
inline constexpr std::size_t kColumnsMax = 4;
using Row = std::array<Number, kColumnsMax>;

enum class TableId : std::uint8_t {
  kT1,     // public.t1 (id, grp, v, note text)
  kT2,     // public.t2 (id, t1_id, v)
  kT3,     // public.t3 (id, name text, v), REPLICA IDENTITY FULL
  kT4,     // public.t4 (id, v), REPLICA IDENTITY NOTHING: cannot be published
  kAltT1,  // alt.t1, of the form of public.t1
};
inline constexpr std::size_t kTableCount = 5;
// By table.
using Moments = std::array<std::uint64_t, kTableCount>;
inline constexpr std::array<TableId, kTableCount> kTables = {
    TableId::kT1, TableId::kT2, TableId::kT3, TableId::kT4, TableId::kAltT1};

struct ColumnSpec {
  std::string_view name;
  bool is_text = false;
};
struct TableSpec {
  std::string_view schema;
  std::string_view name;
  pg::Oid oid = pg::Oid::kInvalid;
  char replica_identity = 'd';
  std::vector<ColumnSpec> columns;  // the first is the key
};
const TableSpec& spec(TableId table);
std::string to_text(int value, bool is_text);

// The same tables for the analysis, with the functions and operators that the statements use.
std::shared_ptr<const pg::Catalog> make_catalog();

struct Change {
  cdc::ChangeKind kind = cdc::ChangeKind::kInsert;
  TableId table = TableId::kT1;
  Row before;
  Row after;
  std::uint64_t lsn = 0;
};

enum class TxState : std::uint8_t { kRunning, kCommitting, kVisible, kAborted };

struct Tx {
  pg::Xid xid;
  TxState state = TxState::kRunning;
  int command = 0;  // statements so far; a statement sees what earlier ones wrote
  std::uint64_t visible_at = 0;
  bool applied = false;  // handed to the cache, or older than the stream
  std::vector<Change> changes;
};

struct View {
  std::uint64_t at = 0;
  const Tx* own = nullptr;
  int command = 0;
};

enum class WriteError : std::uint8_t { kNone, kDuplicate, kLocked, kSerialization };
struct WriteResult {
  WriteError error = WriteError::kNone;
  std::uint64_t rows = 0;
};

struct WalEntry {
  std::shared_ptr<const cdc::Transaction> data;
  Tx* tx = nullptr;
};

class Origin {
 public:
  explicit Origin(Random& random);

  // --- reading
  std::uint64_t moment() const { return moment_; }
  std::vector<Row> rows(TableId table, const View& view,
                        const std::function<bool(const Row&)>& matches) const;
  // The latest moment up to which every visible transaction has been applied.
  std::uint64_t applied_moment() const;

  // --- writing
  Tx& begin();
  WriteResult insert(Tx& tx, TableId table, const Row& row, const View& view);
  using Match = std::function<bool(const Row&)>;
  WriteResult remove(Tx& tx, TableId table, const View& view, const Match& matches);
  WriteResult update(Tx& tx, TableId table, const View& view, const Match& matches,
                     const std::function<void(Row&)>& set);
  WriteResult truncate(Tx& tx, TableId table);
  void abort(Tx& tx);
  void write_commit_record(Tx& tx);
  void make_visible(Tx& tx);
  const std::vector<Tx*>& in_progress() const { return in_progress_; }

  // --- what the links ask
  pg::Snapshot snapshot() const;
  pg::Lsn position() const { return {lsn_}; }
  void other_wal() { lsn_ += 64; }
  // pg_current_xact_id() in a transaction of its own: above every id assigned so far.
  pg::Xid assign_xid();
  // From now on the relation's changes are in the stream. False when that is impossible.
  bool publish(pg::Oid relation);
  std::shared_ptr<const cdc::StreamRelation> form(TableId table) const {
    return forms_[static_cast<std::size_t>(table)];
  }
  // Makes a new slot. What it returns sees all that has a commit record; the stream has the rest.
  pg::Snapshot create_slot();
  // Sees all that has a commit record, visible or not.
  pg::Snapshot snapshot_by_wal() const;
  std::deque<WalEntry>& wal() { return wal_; }
  std::function<void(const std::string&)> trace;  // when set: told of each change
  void note_applied(Tx& tx);                      // the stream has handed it to the cache

  // Forgets row versions that no view at or behind `moment` sees.
  void prune(std::uint64_t moment);

 private:
  struct Version {
    Row row;
    const Tx* creator = nullptr;
    int created_by = 0;  // command number
    const Tx* deleter = nullptr;
    int deleted_by = 0;
  };
  std::vector<Version>& versions(TableId table) {
    return versions_[static_cast<std::size_t>(table)];
  }
  static bool sees(const Version& version, const View& view);
  WriteError check_deletable(const Version& version, const Tx& tx) const;
  WriteError check_key(TableId table, Number id, const Tx& tx) const;
  bool locked_by_truncate(TableId table, const Tx& tx) const;
  void note(Tx& tx, cdc::ChangeKind kind, TableId table, const Row& before, const Row& after);
  std::shared_ptr<cdc::Transaction> decode(const Tx& tx) const;
  void leave(Tx& tx);

  Random& random_;
  std::deque<Tx> transactions_;
  std::array<std::vector<Version>, kTableCount> versions_;
  std::array<std::uint64_t, kTableCount> published_since_{};  // a position; 0: not published
  std::array<const Tx*, kTableCount> truncating_{};
  std::array<std::shared_ptr<const cdc::StreamRelation>, kTableCount> forms_;
  std::vector<Tx*> in_progress_;  // running or committing
  std::vector<Tx*> visible_not_applied_;
  std::uint64_t moment_ = 1;
  std::uint64_t lsn_ = 0;
  std::uint64_t next_xid_ = 0;
  std::uint64_t latest_completed_ = 0;
  bool has_slot_ = false;
  std::deque<WalEntry> wal_;
};

}  // namespace pgcache::simulator
