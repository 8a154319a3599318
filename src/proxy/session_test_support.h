// SPDX-License-Identifier: Apache-2.0
// A session without sockets for tests: what it asks of the world is recorded, both peers are played
// by the test, and the cache behind it serves the shop of sql/test_catalog.h.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "cache/cache.h"
#include "proxy/session.h"
#include "sql/test_catalog.h"

namespace pgcache::proxy::testing {

using std::string_literals::operator""s;

inline std::string frame(char tag, std::string_view body) {
  std::string out(1, tag);
  append_be32(out, static_cast<std::uint32_t>(body.size() + 4));
  return out.append(body);
}
inline std::string query(std::string_view sql) { return frame('Q', std::string(sql) + '\0'); }
inline std::string ready(char status = 'I') { return frame('Z', std::string(1, status)); }
inline std::string complete(std::string_view tag) { return frame('C', std::string(tag) + '\0'); }
inline std::string row(const std::vector<std::string>& values) {
  std::string body;
  append_be16(body, static_cast<std::uint16_t>(values.size()));
  for (const std::string& value : values) {
    append_be32(body, static_cast<std::uint32_t>(value.size()));
    body += value;
  }
  return frame('D', body);
}
inline std::string row_description(char format = 0) {
  return frame('T', "\0\1id\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0"s + format);
}
inline std::string parse(std::string_view name, std::string_view sql) {
  return frame('P', std::string(name) + '\0' + std::string(sql) + "\0\0\0"s);
}
inline std::string bind(std::string_view name, const std::vector<std::string>& values,
                        std::string_view portal = "") {
  std::string body = std::string(portal) + '\0' + std::string(name) + "\0\0\0"s;
  append_be16(body, static_cast<std::uint16_t>(values.size()));
  for (const std::string& value : values) {
    append_be32(body, static_cast<std::uint32_t>(value.size()));
    body += value;
  }
  return frame('B', body + "\0\0"s);
}
inline std::string describe_portal() { return frame('D', "P\0"s); }
inline std::string execute(std::uint32_t limit = 0) {
  std::string body(1, '\0');
  append_be32(body, limit);
  return frame('E', body);
}
inline std::string sync() { return frame('S', ""); }
inline std::string flush() { return frame('H', ""); }
inline std::string error(std::string_view sqlstate) {
  std::string out;
  wire::append_error_response(out, {"ERROR", sqlstate, "no", {}});
  return out;
}
inline const std::string kParsed = frame('1', ""), kBound = frame('2', "");
// What goes in front of the use of a statement that so far memory alone knows, and the answer.
inline std::string prepare_again(std::string_view name, std::string_view sql) {
  return parse(name, sql) + frame('D', 'S' + std::string(name) + '\0') + flush();
}
inline const std::string kPreparedAgain = kParsed + frame('t', "\0\0"s) + row_description();

class FakeIo final : public SessionIo {
 public:
  TimePoint now() override { return time; }
  ClientTls client_tls() override { return tls; }
  void start_client_tls(std::string_view received, TlsStart /*how*/) override {
    ++client_handshakes;
    hello = received;
  }
  void connect_origin(origin::Encryption how) override {
    ++connects;
    encryption = how;
  }
  bool channel_binding_holds() override { return same_certificate; }
  void on_cancel_key(const std::string& /*key*/) override {}
  void deliver_cancel(std::string key) override { cancels.push_back(std::move(key)); }
  void forward_cancel(std::string key) override { cancels.push_back(std::move(key)); }
  void request_position() override { ++positions_asked; }
  std::function<void()> wake_callback() override {
    return [this] { ++wakes; };
  }
  void set_timer(TimePoint when) override { timer = when; }
  void clear_timer() override { timer.reset(); }

  TimePoint time{std::chrono::hours(1)};
  std::optional<TimePoint> timer;
  ClientTls tls = ClientTls::kNotOffered;
  int client_handshakes = 0;
  std::string hello;
  int connects = 0;
  origin::Encryption encryption = origin::Encryption::kNone;
  bool same_certificate = false;
  int positions_asked = 0;
  int wakes = 0;
  std::vector<std::string> cancels;
};

// The world of one worker: cache, shapes, settings.
struct World {
  World() {
    const std::shared_ptr<const pg::Catalog> catalog = sql::testing::make_shop_catalog();
    shapes.set_catalog(catalog);
    cache.on_catalog_changed(shapes.generation(), catalog);
    cache.on_cold_start(snapshot(100), pg::Lsn{1000});
    cache.on_stream_connected();
    cache.set_snapshot(snapshot(100));
    cache.on_position(pg::Lsn{1000});
    prove_fresh(TimePoint{std::chrono::hours(1)});
    for (const pg::Oid oid : {sql::testing::kUsers, sql::testing::kOrders}) {
      cache.set_tracked(oid, pg::Xid{1});
    }
    cache.set_snapshot(snapshot(101));
    environment.config = &config;
    environment.cache = &cache;
    environment.shapes = &shapes;
    environment.settings = &settings;
    environment.stats = &stats;
    environment.database = "shop";
    environment.settings_epoch = &epoch;
    environment.configuration_checked = &configuration_checked;
    environment.definitions_pending = &definitions_pending;
    environment.on_ddl_seen = [this](bool redefines) {
      ++ddl_seen;
      definitions_pending += redefines ? 1 : 0;
    };
  }
  static pg::Snapshot snapshot(std::uint64_t next) { return {pg::Xid{next}, pg::Xid{next}, {}}; }
  void prove_fresh(TimePoint at) { cache.on_heartbeat(pg::Lsn{1000}, at); }
  std::uint64_t bypasses(sql::BypassReason reason) const {
    return stats.bypasses[static_cast<std::size_t>(reason)].load();
  }
  std::uint64_t fallbacks(FallbackReason reason) const {
    return stats.fallbacks[static_cast<std::size_t>(reason)].load();
  }

  config::Config config;
  cache::ShapeTable shapes{100};
  cache::Cache cache{cache::CacheLimits{}, [](const std::vector<pg::Oid>&) {}};
  SettingsTable settings;
  RouteStats stats;
  std::atomic<std::uint64_t> epoch{1};
  std::atomic<TimePoint> configuration_checked{TimePoint::max()};
  std::atomic<std::uint64_t> definitions_pending{0};
  int ddl_seen = 0;
  SessionEnvironment environment;
};

class Peer {
 public:
  explicit Peer(World& the_world, std::string_view database = "shop") : world(the_world) {
    const std::string body = "\0\3\0\0user\0ann\0database\0"s + std::string(database) + "\0\0"s;
    std::string packet;
    append_be32(packet, static_cast<std::uint32_t>(body.size() + 4));
    session.start();
    client(packet + body);
    session.on_origin_connected(false);
    origin(frame('R', "\0\0\0\0"s) + frame('K', "\0\0\0\7\0\0\0\x09"s) + ready());
    to_client();
    to_origin();
  }

  void client(std::string_view bytes) {
    session.client_input().append(bytes);
    session.on_client_bytes();
  }
  void origin(std::string_view bytes) {
    session.origin_input().append(bytes);
    session.on_origin_bytes();
  }
  // The settings query is under way: answer it as a server in its default state would.
  void answer_settings(std::string_view mode = "", std::string_view isolation = "read committed",
                       std::string_view encoding = "UTF8") {
    ASSERT_EQ(to_origin(), query(settings_query()));
    origin(settings_reply(mode, isolation, encoding));
  }
  // The same, after a change of the catalog.
  void answer_with_new_plans() {
    ASSERT_EQ(to_origin(), query("DISCARD PLANS; " + settings_query()));
    origin(complete("DISCARD PLANS") + settings_reply());
  }
  static std::string settings_reply(std::string_view mode = "",
                                    std::string_view isolation = "read committed",
                                    std::string_view encoding = "UTF8",
                                    std::string_view idle_session_timeout = "0") {
    std::vector<std::string> values = default_settings();
    values[2] = isolation;
    values[3] = mode;
    values[4] = encoding;
    values[values.size() - 4] = idle_session_timeout;
    return row_description() + row(values) + complete("SELECT 1") + ready();
  }
  // With columns set apart, by their number from the end.
  static std::string settings_reply(const std::vector<std::pair<std::size_t, std::string>>& set) {
    std::vector<std::string> values = default_settings();
    for (const auto& [from_end, value] : set) values[values.size() - from_end] = value;
    return row_description() + row(values) + complete("SELECT 1") + ready();
  }
  std::string to_client() { return take(session.to_client()); }
  std::string to_origin() { return take(session.to_origin()); }

  World& world;
  FakeIo io;
  Session session{world.environment, io};

 private:
  static std::vector<std::string> default_settings() {
    std::vector<std::string> values(settings_column_count(), "x");
    values[0] = "pg_catalog\x01public";
    values[1] = "f";
    values[2] = "read committed";
    values[3] = "";
    values[4] = "UTF8";
    values[5] = "on";
    for (std::size_t from_end = 2; from_end <= 4; ++from_end) {
      values[values.size() - from_end] = "0";  // timeouts
    }
    values.back() = "read committed";
    return values;
  }
  static std::string take(wire::OutputQueue& queue) {
    std::string bytes;
    while (!queue.empty()) {
      const std::string piece(queue.pieces(1).front());
      bytes += piece;
      queue.consume(piece.size());
    }
    return bytes;
  }
};

inline const std::string kSelect7 = query("SELECT id FROM users WHERE id = 7");
inline const std::string kAnswer7 = row_description() + row({"7"}) + complete("SELECT 1");

// The first read of a session asks for the settings, then loads.
inline void load(Peer& peer, const std::string& request = kSelect7) {
  peer.client(request);
  peer.answer_settings();
  ASSERT_EQ(peer.to_origin(), request);
  peer.origin(kAnswer7 + ready());
  ASSERT_EQ(peer.to_client(), kAnswer7 + ready());
}

}  // namespace pgcache::proxy::testing
