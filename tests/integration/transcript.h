// SPDX-License-Identifier: Apache-2.0
// The same bytes said to the origin and to pgcache must be answered by the same bytes.
#pragma once

#include <string>
#include <vector>

#include "stack.h"

namespace pgcache::testing {

struct Exchange {
  std::string bytes;
  int readies = 1;  // ReadyForQuery messages to wait for
};

// One line for each frame: its tag and its body, unprintable bytes as \xNN.
std::string frames_text(const std::vector<RawFrame>& frames);
std::string transcript(RawClient& client, const std::vector<Exchange>& exchanges);

// Says the script to the origin, then `routes.size()` times to pgcache, each time in a session of
// its own; the answers must be the same, the routes those given.
void expect_same_answers(Stack& stack, const std::vector<Exchange>& script,
                         const std::vector<std::string>& routes);

}  // namespace pgcache::testing
