// SPDX-License-Identifier: Apache-2.0
// PostgreSQL servers of other major versions than the system's, for tests that compare them.
#pragma once

#include <string>
#include <vector>

namespace pgcache::testing {

inline const std::vector<int> kServerVersions = {14, 15, 16, 17, 18};

struct ServerBinaries {
  std::string folder;   // of initdb and postgres; empty when they cannot be had
  std::string why_not;  // what the script that fetches them said
};

// Those of $TEST_PG_BIN_<major>, or of /usr/lib/postgresql, else fetched once into a folder for
// temporary files (tests/servers/install).
ServerBinaries server_binaries(int major);

}  // namespace pgcache::testing
