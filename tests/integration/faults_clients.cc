// SPDX-License-Identifier: Apache-2.0
// Clients that never read, or talk nonsense: others do not notice, memory is bounded, and nothing
// of them stays.
#include <chrono>
#include <random>
#include <thread>

#include "process_faults.h"
#include "support/certificates.h"
#include "transcript.h"

namespace pgcache::testing {
namespace {

using message::be32;
using message::frame;
using message::one_shot;
using message::query;
using message::startup;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";
constexpr const char* kBig = "SELECT v FROM wide WHERE id <= 30";  // 3 MB
constexpr std::uint32_t kSslCode = 80877103;

StackOptions tables() {
  StackOptions options = small_table();
  options.schema += R"(;
    CREATE TABLE wide (id int PRIMARY KEY, v text);
    INSERT INTO wide SELECT i, repeat('y', 100000) FROM generate_series(1, 100) i;)";
  return options;
}

std::string session_startup(const std::string& name = "test") {
  return startup({{"user", "postgres"}, {"database", "postgres"}, {"application_name", name}});
}

// --- those who never read

double seconds_for(Connection& session, int reads) {
  std::vector<double> each;
  for (int i = 0; i < reads; ++i) {
    const auto begin = steady_clock::now();
    EXPECT_EQ(session.must(kRead).value(), "v1");
    each.push_back(std::chrono::duration<double>(steady_clock::now() - begin).count());
  }
  std::sort(each.begin(), each.end());
  return each[each.size() / 2];
}

TEST(FaultsClients, ClientsThatNeverRead) {
  Stack stack(tables());
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  stack.query_until(session, kBig, "hit");
  const double median = seconds_for(session, 200);
  stack.reset_memory_peak();
  const long before = stack.memory_kib("VmRSS");
  const Routes routes = stack.proxy().routes();
  constexpr int kEach = 6;
  {
    std::vector<RawClient> clients;
    std::string many;
    for (int i = 0; i < 1000; ++i) many += i % 2 == 0 ? query(kBig) : one_shot(kBig);
    for (int i = 0; i < kEach; ++i) {
      // Hits; rows of the origin; both, and more questions than any buffer holds.
      clients.push_back(stack.raw({{"application_name", "hits"}}));
      clients.back().send_some(many);
      clients.push_back(stack.raw({{"application_name", "rows"}}));
      clients.back().send(
          query("SELECT repeat('x', 1000) FROM generate_series(1, 10000000) AS endless"));
      clients.push_back(stack.raw({{"application_name", "copy"}}));
      clients.back().send(
          query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000))"
                " TO STDOUT"));
    }
    const auto all_stand = [&] {
      return backends(stack,
                      "application_name IN ('rows', 'copy') AND wait_event = "
                      "'ClientWrite'") == 2 * kEach;
    };
    EXPECT_TRUE(wait_until(all_stand, 20000));
    std::this_thread::sleep_for(milliseconds(500));
    EXPECT_TRUE(all_stand());
    // Buffers of both directions for each.
    EXPECT_LT(stack.memory_kib("VmHWM") - before,
              extra_kib() + 3 * kEach * (patience() > 1 ? 4096 : 1024));
    EXPECT_LT(seconds_for(session, 200), std::max(10 * median, 0.02 * patience()));
    const Routes taken = stack.proxy().routes() - routes;
    EXPECT_LT(taken.hit, 200u + kEach * 20) << "answers to nobody pile up";
    EXPECT_GE(taken.hit, 200u + kEach) << taken.text();
    for (RawClient& client : clients) client.reset();
  }
  expect_all_gone(stack, 1);
  EXPECT_TRUE(wait_until([&] { return stack.memory_kib("VmRSS") - before < extra_kib(); }, 20000));
}

// --- nonsense

Certificates& certificates() {
  static Certificates made;
  static const bool filled = [] {
    made.make("pgcache", "DNS:localhost,IP:127.0.0.1");
    return true;
  }();
  EXPECT_TRUE(filled);
  return made;
}

std::string random_bytes(std::mt19937& random, std::size_t most) {
  std::string bytes(1 + random() % most, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// A message that has something wrong with it.
std::string damaged(std::mt19937& random) {
  const std::string tags = "QPBDECSHFdcfXpZ\xff";
  std::string bytes;
  switch (random() % 6) {
    case 0:  // of any type, with any body
      return frame(tags[random() % tags.size()], random_bytes(random, 60));
    case 1:  // of any length
      return tags.substr(random() % tags.size(), 1) + be32(static_cast<std::uint32_t>(random())) +
             random_bytes(random, 60);
    case 2:  // with a length that is too large by far, or too small
      return tags.substr(random() % tags.size(), 1) + be32(random() % 2 == 0 ? 0x7fffffff : 3);
    case 3:  // a good one, in part
      bytes = one_shot("SELECT v FROM t WHERE id = $1", {"1"});
      return bytes.substr(0, random() % bytes.size());
    case 4:  // a good one, with some byte another
      bytes = random() % 2 == 0 ? query(kRead) : one_shot("SELECT v FROM t WHERE id = $1", {"1"});
      bytes[random() % bytes.size()] = static_cast<char>(random());
      return bytes;
    default:
      return query(kRead) + random_bytes(random, 30);
  }
}

std::string first_packet(std::mt19937& random) {
  switch (random() % 6) {
    case 0:
      return random_bytes(random, 200);
    case 1:  // a length, and little behind it
      return be32(static_cast<std::uint32_t>(random() % 20000)) + random_bytes(random, 40);
    case 2:
      return be32(0x7fffffff) + be32(196608);
    case 3:  // TLS as far as the first byte tells
      return "\x16" + random_bytes(random, 100);
    case 4:  // a request and what must not be behind it
      return be32(8) + be32(kSslCode) + random_bytes(random, 50);
    default:
      return be32(9 + random() % 30) + be32(static_cast<std::uint32_t>(random())) +
             random_bytes(random, 40);
  }
}

// One such client. Whatever happens to it, it happens soon.
void talk_nonsense(Stack& stack, std::mt19937& random) {
  RawClient client("127.0.0.1", stack.proxy().port());
  try {
    const auto kind = random() % 5;
    if (kind == 0) {
      client.send(first_packet(random));
    } else {
      if (kind == 1 && !client.request_tls()) throw std::runtime_error("no TLS");
      if (kind == 2 && random() % 2 == 0) {
        client.send(be32(8) + be32(kSslCode));
        client.read_bytes(1);
        client.send(random_bytes(random, 300));  // in place of a handshake
      }
      client.send(session_startup("nonsense"));
      if (kind != 2) client.read_until('Z');
      for (int i = 0; i < 3; ++i) client.send(damaged(random));
    }
    switch (random() % 3) {
      case 0:
        client.reset();
        return;
      case 1:
        client.shutdown_sending();
        EXPECT_NE(client.wait_for_end(10000), RawClient::End::kOpen) << "it is waited for";
        return;
      default:
        return;
    }
  } catch (const std::runtime_error&) {
    // It has been refused in the middle of what it said.
  }
}

TEST(FaultsClients, ThousandsThatTalkNonsense) {
  StackOptions options = tables();
  options.arguments = {"--tls-cert",          certificates().path("pgcache.crt"),
                       "--tls-key",           certificates().path("pgcache.key"),
                       "--handshake-timeout", "5s"};
  Stack stack(options);
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  const long before = stack.memory_kib("VmRSS");
  const Routes routes = stack.proxy().routes();
  std::atomic<int> left{2000};
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      while (--left >= 0) talk_nonsense(stack, random);
    });
  }
  std::uint64_t reads = 0;
  while (left > 0) {
    EXPECT_EQ(session.must(kRead).value(), "v1");
    ++reads;
    std::this_thread::sleep_for(milliseconds(2));
  }
  for (std::thread& thread : threads) thread.join();
  const Routes taken = stack.proxy().routes() - routes;
  // What was not understood may have been DDL: until the catalog has been looked at nothing is
  // served, for a moment.
  EXPECT_GT(taken.hit, reads / 2) << taken.text();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "v1");
  expect_all_gone(stack, 1);
  EXPECT_LT(stack.memory_kib("VmRSS") - before, 2 * extra_kib());
}

// All that comes until the server closes the connection, of errors what does not name its source.
std::string last_words(int port, const std::string& bytes, bool greeted) {
  RawClient client("127.0.0.1", port);
  std::string text;
  try {
    if (greeted) {
      client.send(session_startup());
      client.read_until('Z');
    }
    client.send(bytes);
    client.shutdown_sending();
    for (;;) {
      const RawFrame answer = client.read_frame(10000);
      text += answer.tag;
      if (answer.tag != 'E') continue;
      text += '(' + answer.field('V') + ' ' + answer.field('C') + ' ' + answer.field('M') + ')';
    }
  } catch (const std::runtime_error& error) {
    if (std::string(error.what()).find("in time") != std::string::npos) text += " and hangs";
  }
  return text;
}

TEST(FaultsClients, NonsenseIsAnsweredAsByPostgres) {
  Stack stack(tables());
  Connection session = stack.client();
  stack.query_until(session, kRead, "hit");
  const std::string nul(1, '\0');
  const std::vector<std::pair<bool, std::string>> cases = {
      {false, be32(3)},
      {false, be32(8) + be32(196608)},
      {false, be32(20000) + be32(196608) + std::string(100, 'x')},
      {false, be32(0x7fffffff) + be32(196608)},
      {false, startup({{"user", "postgres"}}, 131072)},
      {false, startup({{"user", "postgres"}}, 262144)},
      {false, startup({{"database", "postgres"}})},
      {false, startup({{"user", "postgres"}, {"no_such_setting", "x"}})},
      {false, startup({{"user", "nobody"}, {"database", "postgres"}})},
      {true, "y"},
      {true, "y" + be32(4)},
      {true, "Q" + be32(3)},
      {true, "Q" + be32(0)},
      {true, "Q" + be32(0x7fffffff)},
      {true, "Q" + be32(0xffffffff)},
      {true, "S" + be32(20000)},
      {true, frame('Q', "SELECT 1")},
      {true, frame('Q', "SELECT 1" + nul + "more" + nul)},
      {true, query(kRead) + frame('Q', "SELECT 1")},
      {true, frame('P', "name") + message::sync()},
      {true, frame('P', "name" + nul + "SELECT 1" + nul) + message::sync()},
      {true, frame('P', nul + "SELECT 1" + nul + message::be16(9)) + message::sync()},
      {true, frame('B', nul) + message::sync()},
      {true,
       frame('B', nul + "no such" + nul + message::be16(0) + message::be16(0) + message::be16(0)) +
           message::sync()},
      {true, message::parse("", "SELECT $1::int") +
                 frame('B', nul + nul + message::be16(0) + message::be16(1) + be32(100) + "1") +
                 message::sync()},
      {true, message::parse("", "SELECT 1") +
                 frame('B', nul + nul + message::be16(0) + message::be16(-1) + message::be16(0)) +
                 message::sync()},
      {true, frame('D', "X" + nul) + message::sync()},
      {true, frame('C', "X" + nul) + message::sync()},
      {true, frame('E', "") + message::sync()},
      {true, frame('E', nul + be32(1) + "more") + message::sync()},
      {true, frame('S', "more")},
      {true, frame('H', "more") + message::sync()},
      {true, frame('d', "data") + query(kRead)},
      {true, frame('c', "") + query(kRead)},
      {true, frame('F', be32(0)) + query(kRead)},
      {true, frame('p', "password" + nul)},
      {true, "\x16\x03\x01\x02" + std::string(100, 'x')},
      {true, query(kRead) + "\x80"},
  };
  for (const auto& [greeted, bytes] : cases) {
    const std::string expected = last_words(stack.origin().port(), bytes, greeted);
    const std::string got = last_words(stack.proxy().port(), bytes, greeted);
    EXPECT_EQ(got, expected) << frames_text({{' ', bytes}});
  }
  EXPECT_EQ(value_of(stack.query(session, kRead, "hit")), "v1");
  expect_all_gone(stack, 1);
}

}  // namespace
}  // namespace pgcache::testing
