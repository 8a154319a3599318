// SPDX-License-Identifier: Apache-2.0
// An origin that lacks something: pgcache says what and how to mend it, and proxies all the same;
// and the command line.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "stack.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";
constexpr const char* kSchema =
    "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'v1');"
    "CREATE ROLE plain LOGIN; GRANT SELECT ON t TO plain";

Outcome pgcache(const std::string& arguments, const std::string& environment = {}) {
  return run_command(environment + " '" + std::getenv("PGCACHE_BINARY") + "' " + arguments);
}

// Not ready, with these words; queries are answered by the origin.
void expect_unready(Stack& stack, const std::vector<std::string>& words) {
  const auto explained = [&] {
    const HttpAnswer answer = stack.proxy().http("/readyz");
    if (answer.status != 503) return false;
    for (const std::string& word : words) {
      if (!contains(answer.body, word)) return false;
    }
    return true;
  };
  EXPECT_TRUE(wait_until(explained, 10000)) << stack.proxy().http("/readyz").body;
  Connection session = stack.client();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(value_of(stack.query(session, kRead, "bypass:starting")), "v1");
  }
  EXPECT_EQ(stack.proxy().http("/healthz").status, 200);
  EXPECT_EQ(stack.proxy().metric("pgcache_ready"), 0);
}

void expect_check(Stack& stack, const std::string& user, int status,
                  const std::vector<std::string>& words) {
  const Outcome outcome = pgcache("check --origin '" + stack.origin().dsn("postgres", user) + "'");
  EXPECT_EQ(outcome.status, status) << outcome.output;
  for (const std::string& word : words)
    EXPECT_TRUE(contains(outcome.output, word)) << outcome.output;
}

StackOptions lacking(const std::vector<std::string>& conf, const std::string& user = "postgres") {
  StackOptions options;
  options.schema = kSchema;
  options.conf = conf;
  options.origin_user = user;
  options.wait_ready = false;
  return options;
}

TEST(OriginLacks, WalLevelAndIsMendedWhileRunning) {
  Stack stack(lacking({"wal_level = replica"}));
  expect_unready(stack, {"wal_level", "ALTER SYSTEM SET wal_level = 'logical'"});
  expect_check(stack, "postgres", 2,
               {"missing: wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'"});
  stack.direct().must("ALTER SYSTEM SET wal_level = 'logical'");
  stack.origin().append_conf("wal_level = logical");
  stack.origin().restart();
  EXPECT_TRUE(stack.proxy().wait_ready(20000)) << stack.proxy().http("/readyz").body;
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "v1");
}

TEST(OriginLacks, PrivilegeToReplicate) {
  Stack stack(lacking({}, "plain"));
  expect_unready(stack, {"REPLICATION"});
  expect_check(stack, "plain", 2,
               {"role plain may not replicate", "ALTER ROLE \"plain\" REPLICATION"});
}

TEST(OriginLacks, RoleThatOwnsNothingProxiesAndSaysWhy) {
  Stack stack([] {
    StackOptions options = lacking({}, "plain");
    options.schema += "; ALTER ROLE plain REPLICATION; GRANT CREATE ON DATABASE postgres TO plain;";
    return options;
  }());
  EXPECT_TRUE(stack.proxy().wait_ready(20000)) << stack.proxy().http("/readyz").body;
  Connection session = stack.client();
  session.must(kRead);
  stack.query_until(session, kRead, "bypass:untracked");
  EXPECT_TRUE(contains(stack.proxy().log_tail(), "a table is not cached"))
      << stack.proxy().log_tail();
}

TEST(OriginLacks, OwnerOfTheTablesNeedsNoMore) {
  Stack stack([] {
    StackOptions options = lacking({}, "plain");
    options.schema +=
        "; ALTER ROLE plain REPLICATION; GRANT CREATE ON DATABASE postgres TO plain;"
        "ALTER TABLE t OWNER TO plain;";
    return options;
  }());
  EXPECT_TRUE(stack.proxy().wait_ready(20000)) << stack.proxy().http("/readyz").body;
  Connection session = stack.client({}, "plain");
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "v1");
  stack.direct().must("UPDATE t SET v = 'v2'");
  stack.settle();
  EXPECT_EQ(session.query(kRead).value(), "v2");
}

TEST(OriginLacks, FreeSlots) {
  Stack stack(lacking({"max_replication_slots = 0"}));
  expect_unready(stack, {"slot"});
  expect_check(stack, "postgres", 2, {"max_replication_slots"});
}

TEST(OriginLacks, NothingSaysCheck) {
  Stack stack([] {
    StackOptions options;
    options.schema = kSchema;
    return options;
  }());
  stack.proxy().stop();
  expect_check(stack, "postgres", 0, {"ok: the origin has everything"});
}

TEST(OriginLacks, NothingAfterCleanup) {
  Stack stack([] {
    StackOptions options;
    options.schema = kSchema;
    options.arguments = {"--keep-slot", "true"};
    return options;
  }());
  Connection session = stack.client();
  stack.load(session, kRead);
  stack.proxy().stop();
  const Outcome outcome = pgcache("cleanup --origin '" + stack.origin().dsn() + "'");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_EQ(stack.direct().must("SELECT count(*) FROM pg_replication_slots").value(), "0");
  EXPECT_EQ(stack.direct().must("SELECT count(*) FROM pg_publication").value(), "0");
  EXPECT_TRUE(contains(pgcache("cleanup --origin '" + stack.origin().dsn() + "'").output,
                       "nothing to remove"));
}

TEST(OriginLacks, EverythingWhenItIsDown) {
  Stack stack(lacking({}));
  stack.proxy().stop();
  stack.origin().stop();
  stack.proxy().start();
  const HttpAnswer answer = stack.proxy().http("/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THROW(stack.client(), std::runtime_error);
  stack.origin().start();
  EXPECT_TRUE(stack.proxy().wait_ready(20000)) << stack.proxy().http("/readyz").body;
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, kRead, "hit").value(), "v1");
}

TEST(OriginLacks, PublicationMadeByAnotherThatHidesChanges) {
  Stack stack([] {
    StackOptions options = lacking({});
    options.schema +=
        "; CREATE TABLE whole (id int PRIMARY KEY, v text); INSERT INTO whole VALUES (1, 'w1');"
        "CREATE PUBLICATION theirs FOR TABLE t WHERE (id > 5), TABLE whole;";
    options.arguments = {"--publication", "theirs", "--manage-publication", "false"};
    return options;
  }());
  EXPECT_TRUE(stack.proxy().wait_ready(20000)) << stack.proxy().http("/readyz").body;
  Connection session = stack.client();
  session.must(kRead);
  stack.query_until(session, kRead, "bypass:untracked");
  EXPECT_EQ(stack.query_until(session, "SELECT v FROM whole WHERE id = 1", "hit").value(), "w1");
  stack.query_until(session, "SELECT id FROM stack_probe WHERE id = 1", "bypass:untracked");
}

TEST(OriginLacks, SenseOnTheCommandLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"run --no-such-option 1", "no-such-option"},
      {"run --cache-size lots", "cache-size"},
      {"run --cachesize 1GiB", "cache-size"},
      {"run --consistency never", "eventual"},
      {"run --set nothing=1", "nothing"},
      {"run --listen 127.0.0.1:99999", "listen"},
      {"run -c /no/such/file.toml", "/no/such/file.toml"},
      {"run --heartbeat-interval 2s --max-staleness 1s", "heartbeat"},
      {"fly", "fly"},
  };
  for (const auto& [arguments, word] : cases) {
    const Outcome outcome = pgcache(arguments);
    EXPECT_EQ(outcome.status, 1) << arguments << "\n" << outcome.output;
    std::string text = outcome.output;
    for (char& c : text) c = c == '_' ? '-' : c;
    EXPECT_TRUE(contains(text, word)) << arguments << "\n" << outcome.output;
  }
  const Outcome environment = pgcache("run", "PGCACHE_WORKERS=many");
  EXPECT_EQ(environment.status, 1);
  EXPECT_TRUE(contains(environment.output, "PGCACHE_WORKERS")) << environment.output;
  EXPECT_EQ(pgcache("--version").status, 0);
  EXPECT_TRUE(contains(pgcache("--help").output, "--cache-size"));
}

TEST(OriginLacks, PortInUse) {
  Stack stack(lacking({}));
  const Outcome outcome = pgcache("run --origin '" + stack.origin().dsn() +
                                  "' --listen 127.0.0.1:" + std::to_string(stack.proxy().port()) +
                                  " --admin 127.0.0.1:0");
  EXPECT_EQ(outcome.status, 1) << outcome.output;
  EXPECT_TRUE(contains(outcome.output, std::to_string(stack.proxy().port()))) << outcome.output;
}

}  // namespace
}  // namespace pgcache::testing
