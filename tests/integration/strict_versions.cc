// SPDX-License-Identifier: Apache-2.0
// The strict level in front of each major version of the server: what pgcache asks of the views
// and of the walsender, and what it tells the walsender, has to mean the same in each.
#include "strict_rounds.h"
#include "support/servers.h"

namespace pgcache::testing {
namespace {

class StrictVersions : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const ServerBinaries server = server_binaries(GetParam());
    if (server.folder.empty()) {
      GTEST_SKIP() << "no server of version " << GetParam() << ": " << server.why_not;
    }
    folder_ = server.folder;
  }
  StackOptions of_version(StackOptions options) const {
    options.server_bin = folder_;
    return options;
  }

 private:
  std::string folder_;
};

void expect_linearizable(Stack& stack) {
  const Rounds rounds = play(stack, 400);
  EXPECT_EQ(rounds.older, 0);
  EXPECT_EQ(rounds.ahead, 0);
  EXPECT_GE(share(rounds.routes), 0.15) << rounds.routes.text();
}

TEST_P(StrictVersions, ByALease) {
  Stack stack(of_version(lease()));
  become_synchronous(stack);
  expect_linearizable(stack);
  EXPECT_EQ(stack.proxy().metric("pgcache_strict_ack_timeouts_total"), 0);
  // Nobody waits any more: nothing is served.
  set_names(stack, "");
  Connection session = stack.client();
  EXPECT_EQ(stack.query_until(session, read_of(1), "bypass:not_synchronous").rows.size(), 1u);
  become_synchronous(stack);
  stack.query_until(session, read_of(1), "hit");
}

TEST_P(StrictVersions, ByAskingForEachHit) {
  Stack stack(of_version(by_read()));
  expect_linearizable(stack);
}

// 15 is the one that strict_level.cc takes.
INSTANTIATE_TEST_SUITE_P(Servers, StrictVersions, ::testing::Values(14, 16, 17, 18));

}  // namespace
}  // namespace pgcache::testing
