// SPDX-License-Identifier: Apache-2.0
#include "origin/server_identity.h"

#include <gtest/gtest.h>

namespace pgcache::origin {
namespace {

const ServerIdentity kServer{"7001", "1", "1700000000.1", false};

TEST(ServerIdentity, IsTheSameRunIfAllThatIsKnownIsEqual) {
  EXPECT_TRUE(kServer.known());
  EXPECT_TRUE(may_be_same_run(kServer, kServer));
  // A standby does not tell its timeline, nor a server to everybody its identifier.
  EXPECT_TRUE(may_be_same_run(kServer, {"7001", "", "1700000000.1", false}));
  EXPECT_TRUE(may_be_same_run({"", "1", "1700000000.1", false}, kServer));
  EXPECT_TRUE(may_be_same_run(kServer, {}));
  EXPECT_FALSE(ServerIdentity{}.known());
}

TEST(ServerIdentity, DiffersInEachPart) {
  EXPECT_FALSE(may_be_same_run(kServer, {"7002", "1", "1700000000.1", false}));
  EXPECT_FALSE(may_be_same_run(kServer, {"7001", "2", "1700000000.1", false}));
  EXPECT_FALSE(may_be_same_run(kServer, {"7001", "1", "1700000000.2", false}));
  EXPECT_FALSE(may_be_same_run(kServer, {"7001", "1", "1700000000.1", true}));
}

TEST(ServerIdentity, StaysTheSameServerOverARestart) {
  EXPECT_TRUE(may_be_same_server(kServer, {"7001", "1", "1700000000.2", false}));
  EXPECT_FALSE(may_be_same_server(kServer, {"7001", "2", "1700000000.1", false}));
  EXPECT_FALSE(may_be_same_server(kServer, {"7002", "1", "1700000000.1", false}));
}

}  // namespace
}  // namespace pgcache::origin
