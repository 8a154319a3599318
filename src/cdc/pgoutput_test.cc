// SPDX-License-Identifier: Apache-2.0
// The decoder, fed with messages made byte by byte.
#include "cdc/pgoutput.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cdc/pgoutput_test_support.h"

namespace pgcache::cdc {
namespace {

using pg::Lsn;
using pg::Oid;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace m = cdc::testing;

constexpr Oid kUsers{16400};
constexpr Oid kOrders{16401};
constexpr std::uint64_t kNoLimit = 1ull << 40;

StreamRelation users() {
  return {kUsers,
          "public",
          "users",
          'd',
          {{"id", pg::type::kInt4, -1, true},
           {"name", pg::type::kText, -1, false},
           {"bio", pg::type::kText, -1, false}}};
}

StreamRelation orders() {
  return {kOrders, "shop", "orders", 'f', {{"id", pg::type::kInt8, -1, true}}};
}

std::string shown(const Cell& cell) {
  switch (cell.kind) {
    case CellKind::kNull:
      return "null";
    case CellKind::kText:
      return "t:" + std::string(cell.bytes);
    case CellKind::kBinary:
      return "b:" + std::string(cell.bytes);
    case CellKind::kUnchangedToast:
      return "unchanged";
    case CellKind::kAbsent:
      return "absent";
  }
  return "?";
}

std::vector<std::string> shown(const std::vector<Cell>& row) {
  std::vector<std::string> out;
  for (const Cell& cell : row) out.push_back(shown(cell));
  return out;
}

class Pgoutput : public ::testing::Test {
 protected:
  // Feeds a message from a block of its own that is gone afterwards: what the decoder keeps must be
  // its own copy.
  Result<std::optional<Transaction>> feed(const std::string& message) {
    const auto block = std::make_unique<char[]>(message.size());
    std::copy(message.begin(), message.end(), block.get());
    return decoder_.feed(std::string_view(block.get(), message.size()));
  }

  void accept(const std::string& message) {
    const auto result = feed(message);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_FALSE(result.value().has_value());
  }

  void reject(const std::string& message, std::string_view reason) {
    const auto result = feed(message);
    ASSERT_FALSE(result.ok());
    EXPECT_THAT(result.error().message, HasSubstr(reason));
  }

  // A transaction around these messages.
  Transaction transaction(const std::vector<std::string>& messages) {
    accept(m::begin(700, Lsn{0x100}));
    for (const std::string& message : messages) accept(message);
    auto result = feed(m::commit(Lsn{0x100}, Lsn{0x130}));
    EXPECT_TRUE(result.ok());
    if (!result.ok() || !result->has_value()) return {};
    return *std::move(result).value();
  }

  PgoutputDecoder decoder_{kNoLimit};
};

TEST_F(Pgoutput, YieldsAnInsert) {
  const Transaction t = transaction(
      {m::relation(users()), m::insert(kUsers, {m::text("7"), m::text("Ada"), m::null()})});
  EXPECT_EQ(t.xid, 700u);
  EXPECT_EQ(t.commit_lsn, Lsn{0x100});
  EXPECT_EQ(t.end_lsn, Lsn{0x130});
  EXPECT_FALSE(t.overflowed);
  EXPECT_THAT(t.changed_relations, IsEmpty());
  ASSERT_THAT(t.changes, SizeIs(1));
  const RowChange& change = t.changes[0];
  EXPECT_EQ(change.kind, ChangeKind::kInsert);
  EXPECT_EQ(change.relation->name, "users");
  EXPECT_EQ(change.relation->schema, "public");
  EXPECT_EQ(change.relation->columns[0].name, "id");
  EXPECT_TRUE(change.relation->columns[0].is_key);
  EXPECT_FALSE(change.relation->columns[1].is_key);
  EXPECT_EQ(change.relation->columns[1].type, pg::type::kText);
  EXPECT_EQ(change.relation->columns[1].typmod, -1);
  EXPECT_THAT(change.old_row, IsEmpty());
  EXPECT_THAT(shown(change.new_row), ElementsAre("t:7", "t:Ada", "null"));
  EXPECT_GT(t.bytes, 0u);
}

TEST_F(Pgoutput, YieldsEmptyTransactions) {
  const Transaction t = transaction({m::origin("elsewhere")});
  EXPECT_THAT(t.changes, IsEmpty());
  EXPECT_EQ(t.end_lsn, Lsn{0x130});
}

TEST_F(Pgoutput, SeparatesEmptyFromNull) {
  const Transaction t = transaction(
      {m::relation(users()), m::insert(kUsers, {m::text(""), m::null(), m::binary("")})});
  EXPECT_THAT(shown(t.changes.at(0).new_row), ElementsAre("t:", "null", "b:"));
}

TEST_F(Pgoutput, UpdateWithoutOldRow) {
  const Transaction t = transaction(
      {m::relation(users()), m::update(kUsers, {m::text("7"), m::text("Eve"), m::unchanged()})});
  ASSERT_THAT(t.changes, SizeIs(1));
  EXPECT_EQ(t.changes[0].kind, ChangeKind::kUpdate);
  EXPECT_THAT(t.changes[0].old_row, IsEmpty());
  EXPECT_THAT(shown(t.changes[0].new_row), ElementsAre("t:7", "t:Eve", "unchanged"));
}

TEST_F(Pgoutput, OldKeyLeavesOtherColumnsAbsent) {
  const Transaction t =
      transaction({m::relation(users()),
                   m::update(kUsers, 'K', {m::text("7"), m::null(), m::null()},
                             {m::text("8"), m::text("Eve"), m::unchanged()}),
                   m::delete_row(kUsers, 'K', {m::text("8"), m::null(), m::null()})});
  ASSERT_THAT(t.changes, SizeIs(2));
  EXPECT_THAT(shown(t.changes[0].old_row), ElementsAre("t:7", "absent", "absent"));
  EXPECT_THAT(shown(t.changes[0].new_row), ElementsAre("t:8", "t:Eve", "unchanged"));
  EXPECT_EQ(t.changes[1].kind, ChangeKind::kDelete);
  EXPECT_THAT(shown(t.changes[1].old_row), ElementsAre("t:8", "absent", "absent"));
  EXPECT_THAT(t.changes[1].new_row, IsEmpty());
}

TEST_F(Pgoutput, WholeOldRowKnowsItsNullsAndFillsUnchangedToast) {
  const Transaction t =
      transaction({m::relation(users()),
                   m::update(kUsers, 'O', {m::text("7"), m::null(), m::text("long")},
                             {m::text("7"), m::text("Eve"), m::unchanged()}),
                   m::update(kUsers, 'O', {m::text("7"), m::null(), m::unchanged()},
                             {m::text("7"), m::text("Eve"), m::unchanged()}),
                   m::delete_row(kUsers, 'O', {m::text("7"), m::null(), m::text("long")})});
  ASSERT_THAT(t.changes, SizeIs(3));
  EXPECT_THAT(shown(t.changes[0].old_row), ElementsAre("t:7", "null", "t:long"));
  EXPECT_THAT(shown(t.changes[0].new_row), ElementsAre("t:7", "t:Eve", "t:long"));
  EXPECT_THAT(shown(t.changes[1].new_row), ElementsAre("t:7", "t:Eve", "unchanged"));
  EXPECT_THAT(shown(t.changes[2].old_row), ElementsAre("t:7", "null", "t:long"));
}

TEST_F(Pgoutput, TruncateIsAChangeOfEachRelation) {
  const Transaction t =
      transaction({m::relation(users()), m::relation(orders()), m::truncate({kUsers, kOrders}, 3)});
  ASSERT_THAT(t.changes, SizeIs(2));
  EXPECT_EQ(t.changes[0].kind, ChangeKind::kTruncate);
  EXPECT_EQ(t.changes[0].relation->oid, kUsers);
  EXPECT_EQ(t.changes[1].kind, ChangeKind::kTruncate);
  EXPECT_EQ(t.changes[1].relation->oid, kOrders);
  EXPECT_THAT(t.changes[1].old_row, IsEmpty());
  EXPECT_THAT(t.changes[1].new_row, IsEmpty());
}

TEST_F(Pgoutput, KeepsTransactionalMessagesOnly) {
  accept(m::message("pgcache", "outside", false));
  const Transaction t = transaction({m::message("pgcache", "ddl"), m::message("other", "", true),
                                     m::message("pgcache", "at once", false)});
  ASSERT_THAT(t.messages, SizeIs(2));
  EXPECT_EQ(t.messages[0].prefix, "pgcache");
  EXPECT_EQ(t.messages[0].content, "ddl");
  EXPECT_EQ(t.messages[1].prefix, "other");
  EXPECT_EQ(t.messages[1].content, "");
  reject(m::message("pgcache", "outside", true), "outside");
}

TEST_F(Pgoutput, ViewsOutliveDecoderAndMove) {
  std::string large(100000, 'x');
  auto decoder = std::make_unique<PgoutputDecoder>(kNoLimit);
  std::optional<Transaction> t;
  for (const std::string& message : {m::begin(1, Lsn{1}), m::relation(users()),
                                     m::insert(kUsers, {m::text("1"), m::text("small"), m::null()}),
                                     m::insert(kUsers, {m::text("2"), m::text(large), m::null()}),
                                     m::message("prefix", "content"), m::commit(Lsn{1}, Lsn{2})}) {
    auto result = decoder->feed(message);
    ASSERT_TRUE(result.ok());
    if (result->has_value()) t = *std::move(result).value();
  }
  decoder.reset();
  ASSERT_TRUE(t);
  const Transaction moved = *std::move(t);
  EXPECT_EQ(moved.changes.at(0).new_row.at(1).bytes, "small");
  EXPECT_EQ(moved.changes.at(1).new_row.at(1).bytes, large);
  EXPECT_EQ(moved.messages.at(0).content, "content");
  EXPECT_GE(moved.bytes, large.size());
}

TEST_F(Pgoutput, ReportsAChangedForm) {
  const auto short_row = m::insert(kUsers, {m::text("1"), m::null(), m::null()});
  Transaction t = transaction({m::relation(users()), m::relation(orders()), short_row});
  const auto first = t.changes.at(0).relation;
  t = transaction({short_row});
  EXPECT_EQ(t.changes.at(0).relation, first);
  t = transaction({m::relation(users()), short_row});  // announced again, as it was
  EXPECT_THAT(t.changed_relations, IsEmpty());
  EXPECT_NE(t.changes.at(0).relation, first) << "something happened to it";
  StreamRelation wider = users();
  wider.columns.push_back({"age", pg::type::kInt4, -1, false});
  const auto row = m::insert(kUsers, {m::text("1"), m::null(), m::null()});
  const auto wide_row = m::insert(kUsers, {m::text("1"), m::null(), m::null(), m::text("3")});
  t = transaction({row, m::relation(wider), wide_row});
  ASSERT_THAT(t.changed_relations, SizeIs(1));
  EXPECT_THAT(t.changed_relations[0]->columns, SizeIs(4));
  // Each row comes with the form it was sent in.
  EXPECT_THAT(t.changes.at(0).relation->columns, SizeIs(3));
  EXPECT_THAT(t.changes.at(1).relation->columns, SizeIs(4));
  StreamRelation renamed = wider;
  renamed.name = "people";
  StreamRelation other_identity = renamed;
  other_identity.replica_identity = 'f';
  t = transaction({m::relation(renamed), m::relation(other_identity)});
  ASSERT_THAT(t.changed_relations, SizeIs(1));
  EXPECT_EQ(t.changed_relations[0]->replica_identity, 'f');
}

TEST_F(Pgoutput, ForgetsOnDisconnectAllButTheForms) {
  (void)transaction({m::relation(users())});
  accept(m::begin(701, Lsn{0x200}));
  decoder_.on_disconnect();
  accept(m::begin(701, Lsn{0x200}));  // sent again from its start
  reject(m::insert(kUsers, {m::text("1"), m::null(), m::null()}), "unknown relation");
  StreamRelation wider = users();
  wider.columns.push_back({"age", pg::type::kInt4, -1, false});
  const Transaction t = transaction({m::relation(wider)});
  EXPECT_THAT(t.changed_relations, SizeIs(1));  // changed while there was no connection
}

TEST_F(Pgoutput, SchemaDefaultsToPgCatalog) {
  StreamRelation r = orders();
  r.schema = "pg_catalog";
  const Transaction t = transaction({m::relation(r), m::insert(kOrders, {m::text("1")})});
  EXPECT_EQ(t.changes.at(0).relation->schema, "pg_catalog");
}

TEST_F(Pgoutput, OverflowKeepsRelationsAndMessages) {
  PgoutputDecoder decoder(4000);
  const auto run = [&decoder](const std::vector<std::string>& messages) {
    std::optional<Transaction> t;
    for (const std::string& message : messages) {
      auto result = decoder.feed(message);
      EXPECT_TRUE(result.ok());
      if (result.ok() && result->has_value()) t = *std::move(result).value();
    }
    return t;
  };
  const std::string row = m::insert(kUsers, {m::text("1"), m::text("x"), m::null()});
  std::vector<std::string> messages = {m::begin(1, Lsn{1}), m::relation(users()),
                                       m::relation(orders()), m::message("pgcache", "ddl")};
  for (int i = 0; i < 100; ++i) messages.push_back(row);
  messages.push_back(m::truncate({kOrders}));
  messages.push_back(m::message("pgcache", "more"));
  messages.push_back(m::commit(Lsn{1}, Lsn{2}));
  auto t = run(messages);
  ASSERT_TRUE(t);
  EXPECT_TRUE(t->overflowed);
  EXPECT_THAT(t->changes, IsEmpty());
  ASSERT_THAT(t->overflowed_relations, SizeIs(2));
  EXPECT_EQ(t->overflowed_relations[0]->oid, kUsers);
  EXPECT_EQ(t->overflowed_relations[1]->oid, kOrders);
  ASSERT_THAT(t->messages, SizeIs(2));
  EXPECT_EQ(t->messages[0].content, "ddl");
  EXPECT_EQ(t->messages[1].content, "more");
  EXPECT_LT(t->bytes, 4000u);
  // The next one starts with the whole limit.
  t = run({m::begin(2, Lsn{3}), row, m::commit(Lsn{3}, Lsn{4})});
  ASSERT_TRUE(t);
  EXPECT_FALSE(t->overflowed);
  EXPECT_THAT(t->changes, SizeIs(1));
  EXPECT_THAT(t->overflowed_relations, IsEmpty());
}

TEST_F(Pgoutput, OneLargeRowOverflowsWithoutBeingCopied) {
  PgoutputDecoder decoder(1000);
  const std::string large(5000, 'x');
  ASSERT_TRUE(decoder.feed(m::begin(1, Lsn{1})).ok());
  ASSERT_TRUE(decoder.feed(m::relation(users())).ok());
  ASSERT_TRUE(decoder.feed(m::insert(kUsers, {m::text("1"), m::text(large), m::null()})).ok());
  auto result = decoder.feed(m::commit(Lsn{1}, Lsn{2}));
  ASSERT_TRUE(result.ok() && result->has_value());
  EXPECT_TRUE((*result)->overflowed);
  EXPECT_THAT((*result)->overflowed_relations, SizeIs(1));
  EXPECT_LT((*result)->bytes, 1000u);
}

TEST_F(Pgoutput, ManyMessagesKeepTheirPrefix) {
  PgoutputDecoder decoder(1000);
  ASSERT_TRUE(decoder.feed(m::begin(1, Lsn{1})).ok());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(decoder.feed(m::message("outbox", std::string(90, 'x'))).ok());
  }
  ASSERT_TRUE(decoder.feed(m::message("pgcache", std::string(900, 'y'))).ok());
  auto result = decoder.feed(m::commit(Lsn{1}, Lsn{2}));
  ASSERT_TRUE(result.ok() && result->has_value());
  const Transaction& t = **result;
  EXPECT_TRUE(t.overflowed);
  EXPECT_LT(t.messages.size(), 12u);
  EXPECT_EQ(t.messages.front().content.size(), 90u);
  EXPECT_EQ(t.messages.back().prefix, "pgcache");
  EXPECT_EQ(t.messages.back().content, "");
}

TEST_F(Pgoutput, RowsOfAnOverflowedTransactionAreStillChecked) {
  PgoutputDecoder decoder(0);
  ASSERT_TRUE(decoder.feed(m::begin(1, Lsn{1})).ok());
  ASSERT_TRUE(decoder.feed(m::relation(users())).ok());
  const std::string row = m::insert(kUsers, {m::text("1"), m::null(), m::null()});
  ASSERT_TRUE(decoder.feed(row).ok());
  EXPECT_FALSE(decoder.feed(row + "x").ok());
}

TEST_F(Pgoutput, RejectsDataOutsideOfTransactions) {
  const std::vector<std::string> messages = {
      m::relation(users()),  m::insert(kUsers, {m::text("1"), m::null(), m::null()}),
      m::truncate({kUsers}), m::type(Oid{1}, "s", "t"),
      m::origin("o"),        m::commit(Lsn{1}, Lsn{2})};
  for (const std::string& message : messages) {
    EXPECT_FALSE(feed(message).ok()) << message[0];
  }
  accept(m::begin(1, Lsn{1}));
  reject(m::begin(2, Lsn{2}), "inside");
}

TEST_F(Pgoutput, RejectsUnknownMessagesAndRelations) {
  reject("", "empty");
  for (const char tag : {'S', 'E', 'c', 'A', 'b', 'P', 'K', 'r', 'p', '\0', '\xFF'}) {
    accept(m::begin(1, Lsn{1}));
    reject(std::string(1, tag), "unknown type");
  }
  accept(m::begin(1, Lsn{1}));
  reject(m::insert(kUsers, {m::text("1")}), "unknown relation");
  accept(m::begin(1, Lsn{1}));
  reject(m::truncate({kUsers}), "unknown relation");
}

TEST_F(Pgoutput, RejectsRowsThatDoNotFitTheRelation) {
  const std::vector<std::string> rows = {
      m::insert(kUsers, {m::text("1")}),
      m::insert(kUsers, {m::null(), m::null(), m::null(), m::null()}),
      m::insert(kUsers, {m::null(), m::null(), m::WireCell{'x', {}}}),
      m::update(kUsers, 'X', {m::null(), m::null(), m::null()}, {m::null(), m::null(), m::null()}),
      m::update(kUsers, 'K', {m::null()}, {m::null(), m::null(), m::null()}),
      m::delete_row(kUsers, 'N', {m::null(), m::null(), m::null()}),
  };
  for (const std::string& row : rows) {
    accept(m::begin(1, Lsn{1}));
    accept(m::relation(users()));
    reject(row, "malformed");
  }
}

TEST_F(Pgoutput, CountsBeyondTheMessageAllocateNothing) {
  accept(m::begin(1, Lsn{1}));
  std::string many = "R";
  append_be32(many, 5);
  many += std::string("s\0t\0d", 5);
  append_be16(many, 65535);
  reject(many + "abc", "malformed");
  accept(m::begin(1, Lsn{1}));
  accept(m::relation(users()));
  std::string truncate = "T";
  append_be32(truncate, 0xFFFFFFFF);
  truncate += '\0';
  append_be32(truncate, to_u32(kUsers));
  reject(truncate, "malformed");
  accept(m::begin(1, Lsn{1}));
  accept(m::relation(users()));
  std::string row = "I";
  append_be32(row, to_u32(kUsers));
  row += 'N';
  append_be16(row, 3);
  row += 't';
  append_be32(row, 0xFFFFFFFF);
  reject(row + "abc", "malformed");
}

// Every message cut short anywhere, or with a byte too many, is an error and never a wrong reading.
TEST_F(Pgoutput, RejectsEveryTruncatedMessage) {
  const std::vector<std::string> messages = {
      m::relation(users()),
      m::insert(kUsers, {m::text("7"), m::text("Ada"), m::null()}),
      m::update(kUsers, 'K', {m::text("7"), m::null(), m::null()},
                {m::text("8"), m::binary("Eve"), m::unchanged()}),
      m::delete_row(kUsers, 'O', {m::text("7"), m::null(), m::text("long")}),
      m::truncate({kUsers}),
      m::message("prefix", "content"),
      m::origin("name"),
      m::type(Oid{70000}, "public", "mood"),
      m::commit(Lsn{1}, Lsn{2}),
  };
  for (const std::string& message : messages) {
    for (std::size_t length = 0; length <= message.size() + 1; ++length) {
      if (length == message.size()) continue;
      std::string cut = message;
      cut.resize(length, '\0');
      accept(m::begin(1, Lsn{1}));
      accept(m::relation(users()));
      EXPECT_FALSE(feed(cut).ok()) << message[0] << " at " << length;
    }
  }
  const std::string begin = m::begin(1, Lsn{1});
  for (std::size_t length = 0; length < begin.size(); ++length) {
    EXPECT_FALSE(feed(begin.substr(0, length)).ok());
  }
}

TEST_F(Pgoutput, AfterAnErrorStartsFromNothing) {
  (void)transaction({m::relation(users())});
  accept(m::begin(1, Lsn{1}));
  reject("?", "unknown");
  reject(m::commit(Lsn{1}, Lsn{2}), "did not begin");
  accept(m::begin(2, Lsn{1}));
  reject(m::insert(kUsers, {m::text("1"), m::null(), m::null()}), "unknown relation");
}

}  // namespace
}  // namespace pgcache::cdc
