// SPDX-License-Identifier: Apache-2.0
// Where a Config comes from: built-in defaults, then the TOML file, then PGCACHE_* variables, then
// the command line, each overriding what came before. Every option has one name, the member's:
//   cache_size = "1GiB"        in the file
//   PGCACHE_CACHE_SIZE=1GiB    in the environment
//   --cache-size 1GiB          on the command line (or --set cache_size=1GiB)
// The file is the one that -c names, else the one that $PGCACHE_CONFIG names, else none.
//
// Called once, by main. Reads that one file and nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace pgcache::config {

// What `pgcache explain` was asked.
struct ExplainArguments {
  std::string query;
  std::string types;                       // separated by commas
  std::optional<std::string> search_path;  // nothing: as the connecting role has it
  bool json = false;
};

struct CommandLine {
  enum Command : std::uint8_t { kRun, kCheck, kExplain, kCleanup, kVersion, kHelp };
  Command command = kRun;
  ExplainArguments explain;
  Config config;                      // validated; defaults for kVersion and kHelp
  std::string text_to_print;          // for kVersion and kHelp
  std::vector<std::string> warnings;  // to be logged: PGCACHE_* variables that are no option
};

using Environment = std::map<std::string, std::string>;

// The process's own. Later changes to it are not seen.
Environment read_environment();

// An error names the option, the value, where that stands and what is allowed, in one line.
Result<CommandLine> load_command_line(int argc, const char* const* argv,
                                      const Environment& environment);

// The settings of a TOML document put on top of `base`; `name` is what errors call the document.
// The result is not checked for rules between options.
Result<Config> apply_toml(std::string_view text, const std::string& name, Config base);

// All options as a Markdown table.
std::string dump_config_table();

}  // namespace pgcache::config
