// SPDX-License-Identifier: Apache-2.0
#include "support/servers.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "support/command.h"

namespace pgcache::testing {

namespace fs = std::filesystem;

ServerBinaries server_binaries(int major) {
  const std::string number = std::to_string(major);
  if (const char* given = std::getenv(("TEST_PG_BIN_" + number).c_str())) return {given, {}};
  const std::string installed = "/usr/lib/postgresql/" + number + "/bin";
  if (fs::exists(installed + "/postgres")) return {installed, {}};
  const fs::path folder =
      fs::temp_directory_path() / ("pgcache-servers-" + std::to_string(geteuid()));
  const Outcome made =
      run_command("'" PGCACHE_TEST_SERVERS "/install' " + number + " '" + folder.string() + "'");
  if (made.status != 0) return {{}, made.output};
  // The last line; npm may have said something before.
  std::string line = made.output.substr(0, made.output.find_last_not_of('\n') + 1);
  return {line.substr(line.rfind('\n') + 1), {}};
}

}  // namespace pgcache::testing
