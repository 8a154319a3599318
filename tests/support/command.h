// SPDX-License-Identifier: Apache-2.0
// A shell command run to its end, for tests.
#pragma once

#include <string>

namespace pgcache::testing {

struct Outcome {
  int status = -1;     // of its exit; -1 when it was ended otherwise
  std::string output;  // both streams
};

// Without input. Blocks until it ends. A sanitizer's report in its output makes the test program
// fail.
Outcome run_command(const std::string& command);

bool contains(const std::string& text, const std::string& part);

}  // namespace pgcache::testing
