// SPDX-License-Identifier: Apache-2.0
#include "support/command.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "support/sanitizer.h"

namespace pgcache::testing {

Outcome run_command(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  const std::string reports = sanitizer_reports(outcome.output);
  if (!reports.empty()) complain("pgcache did not end well: " + reports + "\n" + outcome.output);
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  return outcome;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace pgcache::testing
