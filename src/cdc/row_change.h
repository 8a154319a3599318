// SPDX-License-Identifier: Apache-2.0
// Committed transactions as the replication stream tells them.
//
// All views point into the Transaction that holds the change: they live as long as it does, and are
// valid on any thread that shares it immutably.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pg/ids.h"

namespace pgcache::cdc {

struct StreamColumn {
  std::string name;
  pg::Oid type = pg::Oid::kInvalid;
  std::int32_t typmod = -1;
  bool is_key = false;  // part of the replica identity
};

// A Relation message: the form in which the following rows of this relation come. Each message
// makes a new one, even if it says the same: it comes again after any DDL on the table, which may
// have rewritten its rows.
struct StreamRelation {
  pg::Oid oid = pg::Oid::kInvalid;
  std::string schema;
  std::string name;
  char replica_identity = 'd';  // d n f i
  std::vector<StreamColumn> columns;
};

enum class CellKind : std::uint8_t {
  kNull,
  kText,
  kBinary,
  kUnchangedToast,  // not sent: the old value, wherever that is known
  kAbsent,          // not part of this image (old images hold key columns only)
};

struct Cell {
  CellKind kind = CellKind::kAbsent;
  std::string_view bytes;
};

enum class ChangeKind : std::uint8_t { kInsert, kUpdate, kDelete, kTruncate };

struct RowChange {
  ChangeKind kind = ChangeKind::kInsert;
  std::shared_ptr<const StreamRelation> relation;
  // Cells in the order of relation->columns. `old_row` is empty when the stream sent none (an
  // UPDATE that left the key alone under REPLICA IDENTITY DEFAULT, an INSERT). `new_row` is empty
  // for DELETE and TRUNCATE. In `new_row` an unchanged TOAST value has already been taken from the
  // old row where that held it.
  std::vector<Cell> old_row;
  std::vector<Cell> new_row;
};

// A logical message (pg_logical_emit_message) of the transaction.
struct LogicalMessage {
  std::string_view prefix;
  std::string_view content;
};

struct Transaction {
  std::uint32_t xid = 0;  // as the stream has it: 32 bits
  pg::Lsn commit_lsn;     // of the commit record
  pg::Lsn end_lsn;        // just behind it: applied position after this transaction
  std::vector<RowChange> changes;
  std::vector<LogicalMessage> messages;
  // When the transaction outgrew the byte limit its changes were dropped: everything in these
  // relations may have changed (changes is empty then). Messages are kept; if they alone outgrow
  // the limit, further ones are kept once for each prefix, with empty content.
  bool overflowed = false;
  std::vector<std::shared_ptr<const StreamRelation>> overflowed_relations;
  // Relations whose Relation message came within this transaction with another form than before
  // (DDL happened somewhere before this point); each relation once, in its latest form.
  std::vector<std::shared_ptr<const StreamRelation>> changed_relations;
  std::uint64_t bytes = 0;                            // memory held
  std::vector<std::unique_ptr<std::string>> storage;  // what the views point into
};

}  // namespace pgcache::cdc
