// SPDX-License-Identifier: Apache-2.0
#include "support/sanitizer.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string_view>

namespace pgcache::testing {
namespace {

std::string_view sanitizer() {
  const char* name = std::getenv("TEST_SANITIZER");
  return name == nullptr ? "" : name;
}

void exit_as_failed() {
  std::fflush(nullptr);
  _exit(1);
}

}  // namespace

// The same table: SLOWNESS in local.py.
int patience() { return sanitizer() == "address" ? 3 : sanitizer() == "thread" ? 6 : 1; }

long extra_kib() { return (sanitizer().empty() ? 40 : 400) * 1024; }

std::string sanitizer_reports(const std::string& output) {
  std::istringstream in(output);
  std::string line;
  std::string found;
  while (std::getline(in, line)) {
    if (line.starts_with("SUMMARY: ") && line.find("Sanitizer") != std::string::npos) {
      found += (found.empty() ? "" : "; ") + line;
    }
  }
  return found;
}

void complain(const std::string& text) {
  [[maybe_unused]] static const int registered = std::atexit(exit_as_failed);
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace pgcache::testing
