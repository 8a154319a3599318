// SPDX-License-Identifier: Apache-2.0
// The messages of the streaming replication protocol.
#include "origin/replication_stream.h"

#include "base/bytes.h"

namespace pgcache::origin {
namespace {

// PostgreSQL counts microseconds from 2000-01-01.
constexpr std::chrono::seconds kPostgresEpoch{946684800};

}  // namespace

std::optional<StreamMessage> parse_stream_message(std::string_view bytes) {
  ByteReader in(bytes);
  const std::uint8_t kind = in.u8();
  if (kind == 'w') {
    const pg::Lsn start{in.u64()};
    in.bytes(16);  // end, time
    if (!in.ok()) return std::nullopt;
    return XLogData{start, in.rest()};
  }
  if (kind == 'k') {
    Keepalive keepalive;
    keepalive.end = pg::Lsn{in.u64()};
    const auto microseconds = static_cast<std::int64_t>(in.u64());
    keepalive.seconds = kPostgresEpoch.count() + microseconds / 1'000'000;
    keepalive.reply_requested = in.u8() != 0;
    if (!in.ok() || !in.at_end()) return std::nullopt;
    return keepalive;
  }
  return std::nullopt;
}

std::string make_status_update(pg::Lsn position, std::chrono::system_clock::time_point now,
                               bool ask_for_reply) {
  std::string out = "r";
  for (int i = 0; i < 3; ++i) append_be64(out, position.value);
  const auto since = now.time_since_epoch() - kPostgresEpoch;
  append_be64(out, static_cast<std::uint64_t>(
                       std::chrono::duration_cast<std::chrono::microseconds>(since).count()));
  out += ask_for_reply ? '\1' : '\0';
  return out;
}

}  // namespace pgcache::origin
