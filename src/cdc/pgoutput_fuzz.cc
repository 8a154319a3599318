// SPDX-License-Identifier: Apache-2.0
// The decoder under any bytes. The input is a list of messages, each behind its length (u16,
// big-endian); length FFFF stands for an end of the connection. The input is decoded twice, without
// a limit and with one that the first byte chooses: both must take and refuse the same messages and
// yield the same transactions but for what overflowed.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "cdc/pgoutput.h"

namespace {

using pgcache::ByteReader;
using pgcache::cdc::Cell;
using pgcache::cdc::CellKind;
using pgcache::cdc::ChangeKind;
using pgcache::cdc::PgoutputDecoder;
using pgcache::cdc::RowChange;
using pgcache::cdc::Transaction;

bool is_stored(const Transaction& transaction, std::string_view view) {
  if (view.empty()) return true;
  return std::any_of(transaction.storage.begin(), transaction.storage.end(), [&](const auto& s) {
    return view.data() >= s->data() && view.data() + view.size() <= s->data() + s->size();
  });
}

void check_row(const Transaction& transaction, const RowChange& change,
               const std::vector<Cell>& row, bool expected) {
  CHECK(row.size() == (expected ? change.relation->columns.size() : 0));
  for (const Cell& cell : row) {
    CHECK(is_stored(transaction, cell.bytes));
    const bool has_bytes = cell.kind == CellKind::kText || cell.kind == CellKind::kBinary;
    CHECK(has_bytes || cell.bytes.empty());
  }
}

void check_transaction(const Transaction& transaction) {
  for (const RowChange& change : transaction.changes) {
    CHECK(change.relation != nullptr);
    const bool has_new = change.kind == ChangeKind::kInsert || change.kind == ChangeKind::kUpdate;
    const bool has_old = change.kind == ChangeKind::kDelete ||
                         (change.kind == ChangeKind::kUpdate && !change.old_row.empty());
    check_row(transaction, change, change.old_row, has_old);
    check_row(transaction, change, change.new_row, has_new);
  }
  for (const auto& message : transaction.messages) {
    CHECK(is_stored(transaction, message.prefix) && is_stored(transaction, message.content));
  }
  CHECK(!transaction.overflowed || transaction.changes.empty());
  CHECK(transaction.overflowed || transaction.overflowed_relations.empty());
}

void check_same(const Transaction& whole, const Transaction& limited) {
  check_transaction(whole);
  check_transaction(limited);
  CHECK(!whole.overflowed);
  CHECK(whole.xid == limited.xid && whole.end_lsn == limited.end_lsn);
  CHECK(whole.changed_relations.size() == limited.changed_relations.size());
  if (!limited.overflowed) {
    CHECK(whole.changes.size() == limited.changes.size());
    CHECK(whole.messages.size() == limited.messages.size());
    return;
  }
  for (const RowChange& change : whole.changes) {
    CHECK(std::any_of(limited.overflowed_relations.begin(), limited.overflowed_relations.end(),
                      [&](const auto& relation) { return relation->oid == change.relation->oid; }));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader in(std::string_view(reinterpret_cast<const char*>(data), size));
  PgoutputDecoder whole(std::uint64_t{1} << 40);
  PgoutputDecoder limited(std::uint64_t{1} << (in.u8() % 16));
  while (!in.at_end()) {
    const std::size_t length = in.u16();
    if (length == 0xFFFF) {
      whole.on_disconnect();
      limited.on_disconnect();
      continue;
    }
    // A block of just this size, so that the sanitizers see a read past its end.
    const std::string_view bytes = in.bytes(std::min(length, in.remaining()));
    const auto block = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), block.get());
    const std::string_view message(block.get(), bytes.size());
    const auto a = whole.feed(message);
    const auto b = limited.feed(message);
    CHECK(a.ok() == b.ok());
    if (!a.ok()) continue;
    CHECK(a.value().has_value() == b.value().has_value());
    if (a.value().has_value()) check_same(*a.value(), *b.value());
  }
  return 0;
}
