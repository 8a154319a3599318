// SPDX-License-Identifier: Apache-2.0
// What the other tests rely on: a pgcache that does not end well makes their program fail, however
// well its answers looked. Shell scripts stand in for pgcache.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/command.h"
#include "support/pgcache_process.h"

namespace pgcache::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReport =
    "echo '==1==ERROR: AddressSanitizer: heap-use-after-free'; "
    "echo 'SUMMARY: AddressSanitizer: heap-use-after-free x.cc:1 in f()'";

class Harness : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (fs::temp_directory_path() / "pgcache-harness-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A pgcache that does this when it has started, and that when it is told to end.
  PgcacheOptions stand_in(const std::string& at_start, const std::string& at_end) const {
    const std::string path = folder_ + "/pgcache";
    std::ofstream(path) << "#!/bin/sh\ntrap \"" << at_end << "\" TERM\n"
                        << "echo 'pgcache listens on 127.0.0.1:1, admin on 127.0.0.1:2, more'\n"
                        << at_start << "\nwhile :; do sleep 0.01; done\n";
    fs::permissions(path, fs::perms::owner_all);
    PgcacheOptions options;
    options.binary = path;
    options.wait_ready = false;
    return options;
  }

 private:
  std::string folder_;
};

// Runs one, and ends as a test program does that finds nothing wrong itself.
[[noreturn]] void run_well(const PgcacheOptions& options) {
  { const PgcacheProcess process(options); }
  std::exit(0);
}

TEST_F(Harness, AGoodEndIsNone) {
  EXPECT_EXIT(run_well(stand_in("", "exit 0")), ::testing::ExitedWithCode(0), "");
}

TEST_F(Harness, AnExitStatusFails) {
  EXPECT_EXIT(run_well(stand_in("", "exit 66")), ::testing::ExitedWithCode(1),
              "did not end well: status");
}

TEST_F(Harness, ACrashFails) {
  EXPECT_EXIT(run_well(stand_in("", "kill -SEGV $$")), ::testing::ExitedWithCode(1),
              "did not end well: status");
}

TEST_F(Harness, AReportFailsWhateverTheStatus) {
  EXPECT_EXIT(run_well(stand_in(kReport, "exit 0")), ::testing::ExitedWithCode(1),
              "did not end well: SUMMARY: AddressSanitizer");
}

TEST_F(Harness, AReportOfAKilledProcessFails) {
  const auto killed = [&] {
    {
      PgcacheProcess process(stand_in(kReport, "exit 0"));
      wait_until([&] { return contains(process.log_tail(), "SUMMARY"); }, 5000);
      process.kill9();
    }
    std::exit(0);
  };
  EXPECT_EXIT(killed(), ::testing::ExitedWithCode(1), "did not end well: SUMMARY");
}

TEST_F(Harness, ARestartForgetsNothing) {
  const auto restarted = [&] {
    {
      PgcacheProcess process(stand_in("", "exit 3"));
      process.stop();
      process.start();
      process.kill9();
    }
    std::exit(0);
  };
  EXPECT_EXIT(restarted(), ::testing::ExitedWithCode(1), "did not end well: status");
}

TEST_F(Harness, KillingItIsNoBadEnd) {
  const auto killed = [&] {
    {
      PgcacheProcess process(stand_in("", "exit 3"));
      process.kill9();
      process.start();
      process.kill9();
    }
    std::exit(0);
  };
  EXPECT_EXIT(killed(), ::testing::ExitedWithCode(0), "");
}

TEST_F(Harness, AReportOfACommandFails) {
  const auto run = [&] {
    run_command(kReport);
    std::exit(0);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(1), "did not end well: SUMMARY");
}

}  // namespace
}  // namespace pgcache::testing
