// SPDX-License-Identifier: Apache-2.0
#include "origin/ssl_negotiation.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace pgcache::origin {
namespace {

TEST(SslNegotiation, IsTakenOutOfConnectionStrings) {
  struct Case {
    const char* given;
    const char* conninfo;
    const char* negotiation;
  };
  for (const Case& one : std::vector<Case>{
           {"", "", ""},
           {"postgresql://u@h/d", "postgresql://u@h/d", ""},
           {"postgresql://u@h/d?sslnegotiation=direct", "postgresql://u@h/d", "direct"},
           {"postgres://u@h/d?a=b&sslnegotiation=direct&sslmode=require",
            "postgres://u@h/d?a=b&sslmode=require", "direct"},
           {"postgresql://h/?sslnegotiation=postgres&x=y", "postgresql://h/?x=y", "postgres"},
           {"postgresql://h/?application_name=sslnegotiation",
            "postgresql://h/?application_name=sslnegotiation", ""},
           {"host=h sslnegotiation=direct dbname=d", "host=h dbname=d", "direct"},
           {"host = h sslnegotiation = 'direct'", "host = h", "direct"},
           {"application_name='sslnegotiation=x' port=1",
            "application_name='sslnegotiation=x' port=1", ""},
           {"application_name='it\\'s' sslnegotiation=direct", "application_name='it\\'s'",
            "direct"},
           {"database", "database", ""},
       }) {
    const SplitConninfo split = split_ssl_negotiation(one.given);
    EXPECT_EQ(split.conninfo, one.conninfo) << one.given;
    EXPECT_EQ(split.negotiation, one.negotiation) << one.given;
  }
}

}  // namespace
}  // namespace pgcache::origin
