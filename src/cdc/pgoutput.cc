// SPDX-License-Identifier: Apache-2.0
// The stream's grammar, as protocol version 1 has it; integers are big-endian:
//
//   stream       (transaction | Message)*           Message outside: not transactional, ignored
//   transaction  Begin (Origin | Relation | Type | Insert | Update | Delete | Truncate | Message)*
//   Commit Begin        'B' final lsn u64, commit time i64, xid u32 Commit       'C' flags u8 (0),
//   commit lsn u64, end lsn u64, commit time i64 Origin       'O' lsn u64, name cstring Relation
//   'R' see pgoutput_row.h; comes before the first row of its form on this connection Type 'Y' oid
//   u32, schema cstring, name cstring Insert       'I' relation oid u32, rows as in pgoutput_row.h;
//   Update 'U' and Delete 'D' alike Truncate     'T' count u32, options u8 (1 CASCADE, 2 RESTART
//   IDENTITY), relation oid u32 each Message      'M' flags u8 (1 = transactional), lsn u64, prefix
//   cstring, length u32, content
//
// Every message must end where its grammar does.
#include "cdc/pgoutput.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "cdc/arena.h"
#include "cdc/pgoutput_row.h"

namespace pgcache::cdc {

namespace {

// What an overflowed transaction remembers of messages without content: so many distinct prefixes,
// of so many bytes in all.
constexpr std::size_t kBarePrefixesMax = 1024;
constexpr std::size_t kBarePrefixBytesMax = 256 * 1024;

using RelationPtr = std::shared_ptr<const StreamRelation>;

Error malformed(const char* message) {
  return Error{std::string("the change stream has a malformed ") + message + " message"};
}

// The transaction being received.
class OpenTransaction {
 public:
  OpenTransaction(std::uint32_t xid, std::uint64_t bytes_max) : bytes_max_(bytes_max) {
    transaction_.xid = xid;
  }

  Status add_row(ChangeKind kind, const RelationPtr& relation, std::string_view rows);
  void add_truncate(const RelationPtr& relation);
  Status add_message(std::string_view prefix, std::string_view content);
  void add_changed_relation(const RelationPtr& relation);
  Transaction commit(pg::Lsn commit_lsn, pg::Lsn end_lsn) &&;

 private:
  std::uint64_t held() const { return rows_.bytes() + messages_.bytes() + table_bytes_; }
  bool fits(std::uint64_t more) const { return held() + more <= bytes_max_; }
  void push(RowChange change);
  void overflow();
  void note_overflowed(const RelationPtr& relation);

  Transaction transaction_;
  std::uint64_t bytes_max_;
  Arena rows_;
  Arena messages_;                   // apart, since they outlive an overflow
  std::uint64_t table_bytes_ = 0;    // of the changes and messages themselves
  std::uint64_t message_bytes_ = 0;  // of messages kept with their content
  std::unordered_set<pg::Oid> overflowed_;
  std::unordered_set<std::string> bare_prefixes_;
  std::size_t bare_prefix_bytes_ = 0;
  std::unordered_map<pg::Oid, std::size_t> changed_;  // into transaction_.changed_relations
};

Status OpenTransaction::add_row(ChangeKind kind, const RelationPtr& relation,
                                std::string_view rows) {
  if (!transaction_.overflowed && !fits(rows.size())) overflow();
  // Rows of an overflowed transaction are only checked.
  ByteReader in(transaction_.overflowed ? rows : rows_.copy(rows));
  auto change = read_row_change(kind, in, *relation);
  if (!change || !in.ok() || !in.at_end()) return malformed("row");
  change->relation = relation;
  push(*std::move(change));
  return {};
}

void OpenTransaction::add_truncate(const RelationPtr& relation) {
  RowChange change;
  change.kind = ChangeKind::kTruncate;
  change.relation = relation;
  push(std::move(change));
}

void OpenTransaction::push(RowChange change) {
  const std::uint64_t cost =
      sizeof(RowChange) + (change.old_row.size() + change.new_row.size()) * sizeof(Cell);
  if (!transaction_.overflowed && !fits(cost)) overflow();
  if (transaction_.overflowed) {
    note_overflowed(change.relation);
    return;
  }
  table_bytes_ += cost;
  transaction_.changes.push_back(std::move(change));
}

Status OpenTransaction::add_message(std::string_view prefix, std::string_view content) {
  const std::uint64_t bytes = prefix.size() + content.size() + sizeof(LogicalMessage);
  if (!transaction_.overflowed && !fits(bytes)) overflow();
  if (message_bytes_ + bytes > bytes_max_) {
    // Even the messages are too many: of each kind one is kept, without its content.
    content = {};
    if (!bare_prefixes_.insert(std::string(prefix)).second) return {};
    bare_prefix_bytes_ += prefix.size();
    if (bare_prefixes_.size() > kBarePrefixesMax || bare_prefix_bytes_ > kBarePrefixBytesMax) {
      return Error{"a transaction has too many kinds of logical messages to keep"};
    }
  } else {
    message_bytes_ += bytes;
  }
  const std::string_view kept_prefix = messages_.copy(prefix);
  transaction_.messages.push_back({kept_prefix, messages_.copy(content)});
  table_bytes_ += sizeof(LogicalMessage);
  // The arena allocates ahead, so the limit may be passed only now.
  if (!transaction_.overflowed && !fits(0)) overflow();
  return {};
}

void OpenTransaction::add_changed_relation(const RelationPtr& relation) {
  auto& relations = transaction_.changed_relations;
  const auto [place, added] = changed_.emplace(relation->oid, relations.size());
  if (added) {
    relations.push_back(relation);
  } else {
    relations[place->second] = relation;
  }
}

void OpenTransaction::overflow() {
  transaction_.overflowed = true;
  for (const RowChange& change : transaction_.changes) note_overflowed(change.relation);
  std::vector<RowChange>().swap(transaction_.changes);
  rows_.release();
  table_bytes_ = transaction_.messages.size() * sizeof(LogicalMessage);
}

void OpenTransaction::note_overflowed(const RelationPtr& relation) {
  if (overflowed_.insert(relation->oid).second) {
    transaction_.overflowed_relations.push_back(relation);
  }
}

Transaction OpenTransaction::commit(pg::Lsn commit_lsn, pg::Lsn end_lsn) && {
  transaction_.commit_lsn = commit_lsn;
  transaction_.end_lsn = end_lsn;
  transaction_.bytes = sizeof(Transaction) + held();
  transaction_.changes.shrink_to_fit();
  transaction_.storage = rows_.release();
  for (auto& chunk : messages_.release()) transaction_.storage.push_back(std::move(chunk));
  return std::move(transaction_);
}

}  // namespace

struct PgoutputDecoder::State {
  struct KnownRelation {
    RelationPtr form;
    bool announced = true;  // on this connection: rows may come
  };

  explicit State(std::uint64_t bytes_max) : transaction_bytes_max(bytes_max) {}

  std::uint64_t transaction_bytes_max;
  std::unordered_map<pg::Oid, KnownRelation> relations;
  std::optional<OpenTransaction> open;

  Result<std::optional<Transaction>> feed(std::string_view payload);
  Status begin(ByteReader in);
  Result<std::optional<Transaction>> commit(ByteReader in);
  Status inside(std::uint8_t tag, ByteReader in);
  Status on_origin(ByteReader in);
  Status on_relation(ByteReader in);
  Status on_type(ByteReader in);
  Status on_row(ChangeKind kind, ByteReader in);
  Status on_truncate(ByteReader in);
  Status on_message(ByteReader in);
  RelationPtr announced_relation(pg::Oid oid) const;
};

Result<std::optional<Transaction>> PgoutputDecoder::State::feed(std::string_view payload) {
  ByteReader in(payload);
  const std::uint8_t tag = in.u8();
  if (!in.ok()) return Error{"the change stream has an empty message"};
  if (tag == 'C') return commit(in);
  Status status;
  if (tag == 'B') {
    status = begin(in);
  } else if (tag == 'M') {
    status = on_message(in);
  } else {
    status = inside(tag, in);
  }
  if (!status) return status.error();
  return std::optional<Transaction>();
}

Status PgoutputDecoder::State::begin(ByteReader in) {
  (void)in.u64();  // the position of the commit record, which Commit repeats
  (void)in.i64();
  const std::uint32_t xid = in.u32();
  if (!in.ok() || !in.at_end()) return malformed("Begin");
  if (open) return Error{"the change stream begins a transaction inside of another"};
  open.emplace(xid, transaction_bytes_max);
  return {};
}

Result<std::optional<Transaction>> PgoutputDecoder::State::commit(ByteReader in) {
  const std::uint8_t flags = in.u8();
  const pg::Lsn commit_lsn{in.u64()};
  const pg::Lsn end_lsn{in.u64()};
  (void)in.i64();
  if (!in.ok() || !in.at_end() || flags != 0) return malformed("Commit");
  if (!open) return Error{"the change stream commits a transaction that it did not begin"};
  std::optional<Transaction> transaction = std::move(*open).commit(commit_lsn, end_lsn);
  open.reset();
  return transaction;
}

// What only stands between Begin and Commit.
Status PgoutputDecoder::State::inside(std::uint8_t tag, ByteReader in) {
  if (!open) return Error{"the change stream has a message outside of a transaction"};
  switch (tag) {
    case 'O':
      return on_origin(in);
    case 'R':
      return on_relation(in);
    case 'Y':
      return on_type(in);
    case 'I':
      return on_row(ChangeKind::kInsert, in);
    case 'U':
      return on_row(ChangeKind::kUpdate, in);
    case 'D':
      return on_row(ChangeKind::kDelete, in);
    case 'T':
      return on_truncate(in);
    default:
      return Error{"the change stream has a message of unknown type " + std::to_string(tag)};
  }
}

Status PgoutputDecoder::State::on_origin(ByteReader in) {
  (void)in.u64();
  (void)in.cstring();
  if (!in.ok() || !in.at_end()) return malformed("Origin");
  return {};
}

Status PgoutputDecoder::State::on_type(ByteReader in) {
  (void)in.u32();
  (void)in.cstring();
  (void)in.cstring();
  if (!in.ok() || !in.at_end()) return malformed("Type");
  return {};
}

Status PgoutputDecoder::State::on_relation(ByteReader in) {
  auto relation = read_relation(in);
  if (!relation || !in.at_end()) return malformed("Relation");
  KnownRelation& known = relations[relation->oid];
  known.announced = true;
  const bool changed = known.form != nullptr && !same_form(*known.form, *relation);
  known.form = std::make_shared<const StreamRelation>(*std::move(relation));
  if (changed) open->add_changed_relation(known.form);
  return {};
}

RelationPtr PgoutputDecoder::State::announced_relation(pg::Oid oid) const {
  const auto it = relations.find(oid);
  return it != relations.end() && it->second.announced ? it->second.form : nullptr;
}

Status PgoutputDecoder::State::on_row(ChangeKind kind, ByteReader in) {
  const RelationPtr relation = announced_relation(pg::Oid{in.u32()});
  if (!in.ok()) return malformed("row");
  if (relation == nullptr) return Error{"the change stream has a row of an unknown relation"};
  return open->add_row(kind, relation, in.rest());
}

Status PgoutputDecoder::State::on_truncate(ByteReader in) {
  const std::uint32_t count = in.u32();
  (void)in.u8();  // CASCADE is already spelled out; sequences do not matter
  if (!in.ok() || in.remaining() != std::uint64_t{count} * 4) return malformed("Truncate");
  for (std::uint32_t i = 0; i < count; ++i) {
    const RelationPtr relation = announced_relation(pg::Oid{in.u32()});
    if (relation == nullptr) return Error{"the change stream truncates an unknown relation"};
    open->add_truncate(relation);
  }
  return {};
}

Status PgoutputDecoder::State::on_message(ByteReader in) {
  const std::uint8_t flags = in.u8();
  (void)in.u64();
  const std::string_view prefix = in.cstring();
  const std::string_view content = in.bytes(in.u32());
  if (!in.ok() || !in.at_end() || flags > 1) return malformed("logical");
  if (flags == 0) return {};  // belongs to no transaction
  if (!open) return Error{"the change stream has a message outside of its transaction"};
  return open->add_message(prefix, content);
}

PgoutputDecoder::PgoutputDecoder(std::uint64_t transaction_bytes_max)
    : state_(std::make_shared<State>(transaction_bytes_max)) {}

Result<std::optional<Transaction>> PgoutputDecoder::feed(std::string_view payload) {
  auto result = state_->feed(payload);
  // Nothing that follows can be trusted to fit to what came before.
  if (!result) on_disconnect();
  return result;
}

void PgoutputDecoder::on_disconnect() {
  state_->open.reset();
  for (auto& [oid, relation] : state_->relations) relation.announced = false;
}

}  // namespace pgcache::cdc
