// SPDX-License-Identifier: Apache-2.0
// The test cluster itself: starts quickly, survives a crash, leaves nothing behind.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::testing {
namespace {

TEST(Cluster, StartsStopsAndRemovesItself) {
  std::string folder;
  {
    Cluster first;  // may have to make the template
    const auto begin = std::chrono::steady_clock::now();
    Cluster cluster({.conf = {"work_mem = '5MB'"}, .hba = {}, .autovacuum = false});
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took, std::chrono::seconds(10));
    RecordProperty("start_ms", static_cast<int>(took / std::chrono::milliseconds(1)));
    folder = cluster.folder();
    Connection tcp(cluster.dsn());
    EXPECT_EQ(tcp.query("SHOW wal_level").value(), "logical");
    EXPECT_EQ(tcp.query("SHOW work_mem").value(), "5MB");
    Connection local(cluster.unix_dsn());
    EXPECT_EQ(local.query("SELECT 1").value(), "1");
    EXPECT_EQ(local.query("SELECT 1/0").sqlstate, "22012");
    EXPECT_EQ(local.exec_params("SELECT $1::int + 1", {"41"}).value(), "42");
    EXPECT_LT(cluster.port(), 32768);
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Cluster, KeepsDataOverCrashAndRestart) {
  Cluster cluster;
  const int port = cluster.port();
  Connection(cluster.dsn()).must("CREATE TABLE t AS SELECT 7 AS a");
  cluster.restart();
  EXPECT_EQ(Connection(cluster.dsn()).query("SELECT a FROM t").value(), "7");
  cluster.kill9();
  EXPECT_THROW(Connection{cluster.dsn()}, std::runtime_error);
  cluster.start();
  EXPECT_EQ(cluster.port(), port);
  EXPECT_EQ(Connection(cluster.dsn()).query("SELECT a FROM t").value(), "7");
}

TEST(Cluster, VanishesWithAKilledProcess) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    Cluster cluster;
    const std::string said = cluster.folder() + "\n" + std::to_string(cluster.postmaster_pid());
    if (write(ends[1], said.data(), said.size()) < 0) _exit(1);
    pause();
    _exit(1);
  }
  char buffer[256] = {};
  ASSERT_GT(read(ends[0], buffer, sizeof buffer - 1), 0);
  const std::string said = buffer;
  const std::string folder = said.substr(0, said.find('\n'));
  const pid_t server = std::stoi(said.substr(said.find('\n') + 1));
  EXPECT_EQ(kill(server, 0), 0);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  for (int i = 0; i < 1000 && std::filesystem::exists(folder); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace pgcache::testing
