// SPDX-License-Identifier: Apache-2.0
// Portals whose rows are in memory: each has a cached result and the place up to which it has been
// read. The origin may have them, too, so that they can go on there. One session; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.h"
#include "proxy/settings.h"
#include "proxy/statements.h"

namespace pgcache::proxy {

// What one Execute gets.
struct Portion {
  std::string_view rows;    // DataRow frames, in the result
  std::uint64_t count = 0;  // of them
  // All of the result up to the CommandComplete or PortalSuspended that belongs to it: `rows` ends
  // with that frame.
  bool whole = false;
  bool suspended = false;  // the row limit ended it
};

struct MemoryPortal {
  std::string name;
  StatementPtr statement;
  cache::CachedResultPtr result;
  SettingsPtr settings;      // under which it is
  std::string bind;          // what stands behind the names in its Bind; empty outside of blocks
  std::size_t at = 0;        // in result->rows
  std::uint64_t served = 0;  // rows
  bool at_end = false;       // the client knows that there are no more

  // As the origin has it.
  struct AtOrigin {
    bool opened = false;
    bool only = false;   // what the client asks of it goes there
    bool lost = false;   // but its rows are not those that the client has
    std::size_t at = 0;  // as above
    std::uint64_t served = 0;
    bool at_end = false;
  };
  AtOrigin at_origin;
  bool is_behind() const {  // at the origin
    return at_end ? !at_origin.at_end : at_origin.served < served;
  }

  // Whether memory has all that an Execute asks for. Beyond a row limit only the origin knows.
  bool can_run(std::int32_t row_limit) const;
  Portion run(std::int32_t row_limit);  // if it can
};

class PortalTable {
 public:
  static constexpr std::size_t kNameBytes = 63;  // by which PostgreSQL tells portals apart
  static constexpr std::size_t kMax = 16;        // named or not; each keeps its result alive

  bool empty() const { return portals_.empty(); }
  bool full() const { return portals_.size() >= kMax; }
  MemoryPortal* find(std::string_view name);
  const MemoryPortal* find(std::string_view name) const;
  MemoryPortal& put(MemoryPortal portal);  // in place of the one of that name
  void erase(std::string_view name);
  void clear() { portals_.clear(); }
  std::vector<MemoryPortal>& all() { return portals_; }
  const std::vector<MemoryPortal>& all() const { return portals_; }

 private:
  std::vector<MemoryPortal> portals_;  // few
};

}  // namespace pgcache::proxy
