// SPDX-License-Identifier: Apache-2.0
// The messages of the streaming replication protocol (manual, 55.4), as far as a receiver needs
// them:
//
//   from the walsender   'w' start u64, end u64, time i64, payload    XLogData
//                        'k' end u64, time i64, reply requested u8    keepalive
//   to the walsender     'r' written u64, flushed u64, applied u64, time i64, reply requested u8
//
// Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "pg/ids.h"

namespace pgcache::origin {

struct XLogData {
  pg::Lsn start;
  std::string_view payload;  // points into the message
};
struct Keepalive {
  pg::Lsn end;
  std::int64_t seconds = 0;  // since the epoch, by the server's clock
  bool reply_requested = false;
};
using StreamMessage = std::variant<XLogData, Keepalive>;

// Nothing when the bytes are neither.
std::optional<StreamMessage> parse_stream_message(std::string_view bytes);

// One position for written, flushed and applied: what is handed on is applied.
std::string make_status_update(pg::Lsn position, std::chrono::system_clock::time_point now,
                               bool ask_for_reply);

}  // namespace pgcache::origin
