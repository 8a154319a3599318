// SPDX-License-Identifier: Apache-2.0
// The origin is restored to an earlier state: a copy of its data folder is put back. System
// identifier, timeline and slot are as they were. Each test asserts that no answer is wrong,
// nothing hangs, the cache is in use afterwards without a restart of pgcache, and what the counters
// tell.
#include "faults.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kFour = "SELECT n FROM watched WHERE id = 4";
constexpr const char* kFive = "SELECT n FROM watched WHERE id = 5";

// The data folder of a server that is down, kept and put back.
class Backup {
 public:
  explicit Backup(Cluster& cluster) : cluster_(cluster) {
    run_command("cp -a " + data() + " " + kept());
  }
  void put_back() const { run_command("rm -rf " + data() + " && cp -a " + kept() + " " + data()); }

 private:
  std::string data() const { return cluster_.folder() + "/data"; }
  std::string kept() const { return cluster_.folder() + "/kept"; }
  Cluster& cluster_;
};

// With a slot of pgcache's in the copy, so that nothing but the history tells the two apart.
Backup take_backup(Stack& stack) {
  EXPECT_TRUE(stack.origin().stop());
  Backup backup(stack.origin());
  stack.origin().start();
  EXPECT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
  return backup;
}

// One more pgcache in front of the same origin.
PgcacheOptions beside(Stack& stack, const std::string& name, std::vector<std::string> level) {
  PgcacheOptions options;
  options.origin = stack.origin().dsn();
  options.arguments = {
      "--workers", "1", "--slot", name, "--publication", name, "--heartbeat-interval", "50ms"};
  options.arguments.insert(options.arguments.end(), level.begin(), level.end());
  return options;
}

// Until it is a hit, within 10 s.
std::string hit(PgcacheProcess& proxy, Connection& session, const std::string& sql) {
  std::string value;
  const auto served = [&] {
    const Routes before = proxy.routes();
    value = session.query(sql).value();
    return (proxy.routes() - before).hit == 1;
  };
  EXPECT_TRUE(wait_until(served, 10000)) << proxy.http("/status").body << proxy.log_tail();
  return value;
}

// What the copy did not have is gone: nothing of it may be served, nor may changes that come at
// positions which pgcache has passed once be taken for known. At every level.
TEST(FaultsRestored, ToAnEarlierState) {
  Stack stack(fault_options({"--consistency", "session"}));
  PgcacheProcess eventual(beside(stack, "eventual", {"--consistency", "eventual"}));
  PgcacheProcess strict(
      beside(stack, "strict", {"--consistency", "strict", "--strict-verify", "read"}));
  const std::vector<PgcacheProcess*> proxies{&stack.proxy(), &eventual, &strict};
  const Backup backup = take_backup(stack);
  {
    Connection origin(stack.origin().dsn());
    origin.must("UPDATE watched SET n = 100 WHERE id > 2");
    for (PgcacheProcess* proxy : proxies) {
      ASSERT_TRUE(proxy->wait_ready()) << proxy->http("/readyz").body;
      proxy->settle(stack.origin().dsn());
      Connection session(proxy->dsn());
      EXPECT_EQ(hit(*proxy, session, kFive), "100");
    }
    for (int i = 0; i < 50; ++i) origin.must("UPDATE watched SET n = n + 1 WHERE id = 4");
    for (PgcacheProcess* proxy : proxies) proxy->settle(stack.origin().dsn());
  }
  ASSERT_TRUE(stack.origin().stop());
  backup.put_back();
  stack.origin().start();
  Connection origin = connect_within(stack.origin().dsn(), 20000);
  std::vector<Connection> sessions;
  for (PgcacheProcess* proxy : proxies) sessions.push_back(connect_within(proxy->dsn(), 20000));
  for (int i = 0; i < 20; ++i) {
    for (Connection& session : sessions) {
      EXPECT_EQ(session.query(kFour).value(), "0");
      EXPECT_EQ(session.query(kFive).value(), "0");
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  for (std::size_t i = 0; i < proxies.size(); ++i) {
    ASSERT_TRUE(proxies[i]->wait_ready()) << proxies[i]->http("/readyz").body;
    EXPECT_EQ(hit(*proxies[i], sessions[i], kFive), "0");
  }
  origin.must("UPDATE watched SET n = 7 WHERE id = 5");
  for (std::size_t i = 0; i < proxies.size(); ++i) {
    proxies[i]->settle(stack.origin().dsn());
    EXPECT_EQ(hit(*proxies[i], sessions[i], kFive), "7");
    EXPECT_EQ(proxies[i]->metric("pgcache_cold_starts_total", {{"cause", "restored"}}), 1)
        << proxies[i]->log_tail();
  }
  expect_in_use(stack);
}

// With commits that wait for pgcache: the backup's own, those of the lost time, and those after it.
TEST(FaultsRestored, UnderALease) {
  StackOptions options = fault_options({"--consistency", "strict", "--strict-verify", "lease"});
  options.wait_ready = false;
  Stack stack(options);
  become_synchronous(stack);
  const Backup backup = take_backup(stack);
  {
    Connection origin(stack.origin().dsn());
    Connection session = stack.client();
    EXPECT_EQ(hit(stack.proxy(), session, kFive), "0");
    origin.must("UPDATE watched SET n = 100 WHERE id > 2");
    EXPECT_EQ(session.query(kFive).value(), "100");  // by whatever route: it is acknowledged
    EXPECT_EQ(hit(stack.proxy(), session, kFive), "100");
    for (int i = 0; i < 50; ++i) origin.must("UPDATE watched SET n = n + 1 WHERE id = 4");
  }
  ASSERT_TRUE(stack.origin().stop());
  backup.put_back();
  stack.origin().start();
  Connection origin = connect_within(stack.origin().dsn(), 20000);
  Connection session = connect_within(stack.dsn(), 20000);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(session.query(kFour).value(), "0");
    EXPECT_EQ(session.query(kFive).value(), "0");
    std::this_thread::sleep_for(milliseconds(20));
  }
  for (int i = 1; i <= 20; ++i) {  // at positions that pgcache has passed once
    origin.must("UPDATE watched SET n = n + 1 WHERE id = 5");
    EXPECT_EQ(session.query(kFive).value(), std::to_string(i));
  }
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
  EXPECT_EQ(hit(stack.proxy(), session, kFive), "20");
  EXPECT_EQ(cold_starts(stack, "restored"), 1) << stack.proxy().log_tail();
}

// The restored server has gone on beyond all that pgcache knew, and was shut down and started once
// more, before pgcache reached it again: its positions tell nothing.
TEST(FaultsRestored, AndOvertaken) {
  Stack stack(fault_options());
  const Backup backup = take_backup(stack);
  {
    Connection origin(stack.origin().dsn());
    Connection session = stack.client();
    stack.query_until(session, "SELECT n FROM watched WHERE id = 5", "hit");
    origin.must("UPDATE watched SET n = 100 WHERE id > 2");
    stack.settle();
    EXPECT_EQ(stack.query_until(session, "SELECT n FROM watched WHERE id = 5", "hit").value(),
              "100");
  }
  ASSERT_TRUE(stack.origin().stop());
  stack.relay().lead_to(1);  // where nobody listens
  backup.put_back();
  stack.origin().start();
  for (int i = 0; i < 2; ++i) {
    Connection origin(stack.origin().dsn());
    for (int j = 0; j < 50; ++j) origin.must("UPDATE watched SET n = n + 1 WHERE id = 4");
    origin.must("CHECKPOINT");
    stack.origin().restart();
  }
  stack.relay().lead_to(stack.origin().port());
  ASSERT_TRUE(stack.proxy().wait_ready()) << stack.proxy().http("/readyz").body;
  Connection session = connect_within(stack.dsn(), 20000);
  EXPECT_EQ(stack.query_until(session, "SELECT n FROM watched WHERE id = 5", "hit").value(), "0");
  EXPECT_EQ(cold_starts(stack, "restart"), 1) << stack.proxy().log_tail();
  expect_in_use(stack);
}

}  // namespace
}  // namespace pgcache::testing
