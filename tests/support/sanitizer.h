// SPDX-License-Identifier: Apache-2.0
// What tests must know when pgcache is built with a sanitizer: $TEST_SANITIZER names it ("address"
// or "thread"; unset: none). Any thread may call these.
#pragma once

#include <string>

namespace pgcache::testing {

// By what limits of time are multiplied.
int patience();

// What may come on top of a pgcache's memory for one session, in KiB: its buffers, and a result
// that is being captured. Sanitizers keep freed memory for a while, or have shadow memory.
long extra_kib();

// The last lines of all reports in the output of a program, joined; empty when there are none.
std::string sanitizer_reports(const std::string& output);

// For what no check of the test can see any more, as when a process that it started ends badly
// while the test is over: says so on standard error, and makes this program exit with status 1,
// whatever its tests say.
void complain(const std::string& text);

}  // namespace pgcache::testing
