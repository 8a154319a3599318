// SPDX-License-Identifier: Apache-2.0
#include "proxy/portals.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wire/frame.h"

namespace pgcache::proxy {

namespace {

std::string_view significant(std::string_view name) {
  return name.substr(0, PortalTable::kNameBytes);
}

}  // namespace

bool MemoryPortal::can_run(std::int32_t row_limit) const {
  if (!result->suspended || at_end) return true;
  return row_limit > 0 && static_cast<std::uint64_t>(row_limit) <= result->row_count - served;
}

// As PostgreSQL does: a limit that is reached suspends, even if there are no more rows.
Portion MemoryPortal::run(std::int32_t row_limit) {
  CHECK(can_run(row_limit));
  const std::uint64_t left = at_end ? 0 : result->row_count - served;
  const std::uint64_t limit = row_limit > 0 ? static_cast<std::uint64_t>(row_limit) : 0;
  Portion portion;
  portion.suspended = limit > 0 && left >= limit;
  portion.count = portion.suspended ? limit : left;
  portion.whole =
      served == 0 && !at_end && portion.count == left && portion.suspended == result->suspended;
  const std::string_view rows = std::string_view(result->rows).substr(at);
  std::size_t end = rows.size();
  if (!portion.whole && portion.count == left) {
    end = result->rows_end() - at;
  } else if (!portion.whole) {
    end = 0;
    wire::FrameHeader header;
    for (std::uint64_t i = 0; i < portion.count; ++i) {
      CHECK(wire::peek_frame(rows.substr(end), header) == wire::FrameState::kHeader);
      end += header.total_bytes();
    }
  }
  portion.rows = rows.substr(0, end);
  at = portion.whole ? result->rows_end() : at + end;
  served += portion.count;
  at_end = at_end || !portion.suspended;
  return portion;
}

const MemoryPortal* PortalTable::find(std::string_view name) const {
  const auto it = std::find_if(portals_.begin(), portals_.end(), [name](const MemoryPortal& p) {
    return p.name == significant(name);
  });
  return it == portals_.end() ? nullptr : &*it;
}

MemoryPortal* PortalTable::find(std::string_view name) {
  return const_cast<MemoryPortal*>(std::as_const(*this).find(name));
}

MemoryPortal& PortalTable::put(MemoryPortal portal) {
  portal.name = significant(portal.name);
  if (MemoryPortal* const known = find(portal.name)) return *known = std::move(portal);
  return portals_.emplace_back(std::move(portal));
}

void PortalTable::erase(std::string_view name) {
  std::erase_if(portals_, [name](const MemoryPortal& p) { return p.name == significant(name); });
}

}  // namespace pgcache::proxy
