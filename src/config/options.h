// SPDX-License-Identifier: Apache-2.0
// The table of options: one row for each member of Config. It drives the file, the environment, the
// command line, their error messages, the help text and the documentation. Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace pgcache::config {

enum class OptionType : std::uint8_t {
  kText,    // of [min, max] bytes; any when max is 0
  kName,    // what PostgreSQL accepts as the name of a slot
  kChoice,  // one of `choices`
  kHostPort,
  kAddresses,  // where to listen, several
  kCount,      // a number within [min, max]
  kSize,       // bytes within [min, max]
  kDuration,   // milliseconds within [min, max]
  kSwitch,
  kTables,  // "schema.table" or "schema.*", several
};

using OptionMember =
    std::variant<std::string Config::*, HostPort Config::*, std::vector<HostPort> Config::*,
                 Consistency Config::*, int Config::*, std::uint32_t Config::*,
                 std::uint64_t Config::*, std::chrono::milliseconds Config::*, bool Config::*,
                 std::vector<std::string> Config::*>;

struct Option {
  std::string_view key;  // the member's name
  OptionMember member;
  OptionType type;
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string_view choices;  // separated by blanks
  std::string_view help;
};

std::span<const Option> options();
const Option* find_option(std::string_view key);

// The known key that is most like `key`; empty when none is alike.
std::string nearest_key(std::string_view key);

// What the option takes, for error messages and documentation: "a size from 1MiB to 1TiB".
std::string allowed_text(const Option& option);

// Reads `text` into the option's member. The error says only what is wrong with the text; the
// caller knows where it came from.
Status set_option(const Option& option, std::string_view text, Config& config);

// The same for a list given as such; only for kTables and kAddresses.
Status set_option_list(const Option& option, std::vector<std::string> items, Config& config);

// The member's value as text that set_option reads.
std::string option_text(const Option& option, const Config& config);

// Rules between options: "heartbeat_interval must be shorter than max_staleness".
Status validate(const Config& config);

}  // namespace pgcache::config
