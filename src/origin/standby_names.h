// SPDX-License-Identifier: Apache-2.0
// synchronous_standby_names (manual, 20.6.1), and whether it makes every commit wait for a certain
// standby. Pure.
//
//   list | n ( list ) | FIRST n ( list ) | ANY n ( list )
//
// A list holds names with commas in between: plain ones, "quoted" ones, numbers, and * for any. A
// standby that several entries fit counts as the first of them; letters' case does not matter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgcache::origin {

struct StandbyNames {
  enum class Method : std::uint8_t {
    kFirst,  // the first `needed` of those that are connected, in the order of the list
    kAny,    // any `needed`
  };
  Method method = Method::kFirst;
  std::uint64_t needed = 0;
  std::vector<std::string> names;  // none: nobody is waited for
};
// Nothing when it is not what the server accepts.
std::optional<StandbyNames> parse_standby_names(std::string_view text);

// Why a commit may be acknowledged without the standby although each name stands for one standby
// alone; empty when it may not.
std::string gap_in(const StandbyNames& names, std::string_view standby);

// What the setting might be instead, so that every commit waits for the standby and for no fewer
// others than before.
std::string names_with(const StandbyNames& names, std::string_view standby);

}  // namespace pgcache::origin
