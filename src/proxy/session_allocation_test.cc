// SPDX-License-Identifier: Apache-2.0
// Memory that runs out at each place where a session asks for some: its client gets the right
// answer or the session fails as a whole, and nobody else is held up.
#include <gtest/gtest.h>

#include "base/cache_path.h"
#include "proxy/session_test_support.h"

#ifdef PGCACHE_ALLOCATION_FAULTS

namespace pgcache::proxy::testing {
namespace {

const std::string kReply7 = kAnswer7 + ready();
const std::string kExchange7 =
    parse("", "SELECT id FROM users WHERE id = $1") + bind("", {"7"}) + execute() + sync();
const std::string kExchangeAnswer7 = kParsed + kBound + row({"7"}) + complete("SELECT 1") + ready();

struct Outcomes {
  std::uint64_t failed = 0;  // sessions
  std::uint64_t hits = 0;
  std::uint64_t fallbacks = 0;
  std::uint64_t not_kept = 0;
};

// The request comes again and again; all but one allocation succeed. False: there are not so many.
bool read_with_failure(std::uint64_t number, const std::string& request, const std::string& answer,
                       Outcomes& outcomes) {
  World world;
  bool reached = false;
  {
    Peer peer(world);
    const std::string settings = Peer::settings_reply();
    const std::string asked = query(settings_query());
    faults::fail_allocation(number);
    try {
      for (int i = 0; i < 3; ++i) {
        peer.client(request);
        std::string sent = peer.to_origin();
        if (sent == asked) {
          peer.origin(settings);
          sent = peer.to_origin();
        }
        if (!sent.empty()) peer.origin(answer);
      }
      reached = faults::allocation_failed();
      faults::fail_allocation(0);
      EXPECT_EQ(peer.to_client(), answer + answer + answer);
    } catch (const std::bad_alloc&) {
      reached = true;
      ++outcomes.failed;
    }
  }
  const cache::CacheStatus status = world.cache.status(TimePoint{std::chrono::hours(1)});
  EXPECT_EQ(status.loads_in_flight, 0u);
  EXPECT_TRUE(status.serving);
  Peer other(world);
  other.client(request);
  other.answer_settings();
  const std::string sent = other.to_origin();
  if (!sent.empty()) {
    EXPECT_EQ(sent, request);
    other.origin(answer);
  }
  EXPECT_EQ(other.to_client(), answer);
  outcomes.hits += world.stats.hits.load();
  outcomes.fallbacks += world.fallbacks(FallbackReason::kCacheError);
  outcomes.not_kept +=
      status.publish_outcomes[static_cast<std::size_t>(cache::PublishOutcome::kFailed)];
  return reached;
}

void fail_each(const std::string& request, const std::string& answer) {
  Outcomes outcomes;
  std::uint64_t number = 1;
  bool reached = true;
  for (; reached; ++number) {
    SCOPED_TRACE("allocation " + std::to_string(number));
    reached = read_with_failure(number, request, answer, outcomes);
  }
  EXPECT_GT(outcomes.fallbacks, 5u);
  EXPECT_GT(outcomes.not_kept, 3u);
  EXPECT_GT(outcomes.failed, 0u);
  EXPECT_GT(outcomes.hits, number / 3);
}

TEST(SessionAllocation, OfASimpleQuery) { fail_each(kSelect7, kReply7); }

TEST(SessionAllocation, OfAnExtendedExchange) { fail_each(kExchange7, kExchangeAnswer7); }

}  // namespace
}  // namespace pgcache::proxy::testing

#endif  // PGCACHE_ALLOCATION_FAULTS
