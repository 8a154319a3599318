// SPDX-License-Identifier: Apache-2.0
#include "origin/replication_stream.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "origin/publication.h"
#include "origin/wal_position.h"

namespace pgcache::origin {
namespace {

TEST(ReplicationStream, ParsesXLogData) {
  std::string bytes = "w" + std::string(24, '\0') + "Bxyz";
  const auto message = parse_stream_message(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<XLogData>(*message).payload, "Bxyz");
  bytes.resize(24);
  EXPECT_FALSE(parse_stream_message(bytes));
}

TEST(ReplicationStream, ParsesKeepalive) {
  std::string bytes = "k";
  append_be64(bytes, 0x1234567890);
  append_be64(bytes, 7'000'000);
  bytes += '\1';
  const auto message = parse_stream_message(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<Keepalive>(*message).end.value, 0x1234567890u);
  EXPECT_TRUE(std::get<Keepalive>(*message).reply_requested);
  EXPECT_EQ(std::get<Keepalive>(*message).seconds, 946684807);
  EXPECT_FALSE(parse_stream_message(bytes + "x"));
  EXPECT_FALSE(parse_stream_message("k"));
  EXPECT_FALSE(parse_stream_message(""));
  EXPECT_FALSE(parse_stream_message("z123"));
}

TEST(ReplicationStream, MakesStatusUpdates) {
  const auto epoch = std::chrono::system_clock::time_point(std::chrono::seconds(946684801));
  const std::string bytes = make_status_update(pg::Lsn{0xAB}, epoch, true);
  ASSERT_EQ(bytes.size(), 34u);
  EXPECT_EQ(bytes[0], 'r');
  for (std::size_t at : {1u, 9u, 17u}) EXPECT_EQ(load_be64(bytes.data() + at), 0xABu);
  EXPECT_EQ(load_be64(bytes.data() + 25), 1000000u);
  EXPECT_EQ(bytes[33], '\1');
}

TEST(WalPosition, StepsBackOverPageHeadersOnly) {
  const WalGeometry geometry{8192, 1u << 20};
  const auto back = [&](std::uint64_t v) {
    return without_page_header(pg::Lsn{v}, geometry).value;
  };
  EXPECT_EQ(back(3 * 8192 + 24), 3u * 8192);
  EXPECT_EQ(back(3 * 8192 + 40), 3u * 8192 + 40);  // 16 bytes of a record lie there
  EXPECT_EQ(back((5u << 20) + 40), 5u << 20);      // a segment's long header
  EXPECT_EQ(back((5u << 20) + 8192 + 24), (5u << 20) + 8192);
  EXPECT_EQ(back(3 * 8192), 3u * 8192);
  EXPECT_EQ(back(3 * 8192 + 32), 3u * 8192 + 32);
}

TEST(Publication, KnowsWhichReleasesNeedALock) {
  EXPECT_TRUE(addition_needs_lock(150012));
  EXPECT_FALSE(addition_needs_lock(150013));
  EXPECT_TRUE(addition_needs_lock(140017));
  EXPECT_FALSE(addition_needs_lock(140018));
  EXPECT_TRUE(addition_needs_lock(170004));
  EXPECT_FALSE(addition_needs_lock(160009));
  EXPECT_FALSE(addition_needs_lock(180000));
  EXPECT_TRUE(addition_needs_lock(130022));
}

TEST(Publication, AllowAndDenyLists) {
  pg::Relation relation;
  relation.schema_name = "shop";
  relation.name = "orders";
  config::Config config;
  EXPECT_FALSE(denied_by_configuration(config, relation));
  config.deny_tables = {"shop.users"};
  EXPECT_FALSE(denied_by_configuration(config, relation));
  config.deny_tables = {"shop.*"};
  EXPECT_TRUE(denied_by_configuration(config, relation));
  config.deny_tables = {};
  config.allow_tables = {"shop.users"};
  EXPECT_TRUE(denied_by_configuration(config, relation));
  config.allow_tables = {"shop.users", "shop.orders"};
  EXPECT_FALSE(denied_by_configuration(config, relation));
  config.deny_tables = {"shop.orders"};
  EXPECT_TRUE(denied_by_configuration(config, relation));
}

TEST(Link, QuotesAndHidesSecrets) {
  EXPECT_EQ(quote_identifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quote_literal("it's"), "'it''s'");
  EXPECT_EQ(without_secrets("invalid port: \"postgresql://u:secret@h:x/d\""),
            "invalid port: (the connection string)");
  EXPECT_EQ(without_secrets("missing = after \"foo\" in password=secret"),
            "missing = after (the connection string)");
  EXPECT_EQ(without_secrets("connection refused"), "connection refused");
}

}  // namespace
}  // namespace pgcache::origin
