// SPDX-License-Identifier: Apache-2.0
// Arbitrary bytes through every decoder of the module: no read beyond the input, no crash.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "wire/backend.h"
#include "wire/frame.h"
#include "wire/frontend.h"
#include "wire/reply_tracker.h"
#include "wire/startup.h"

namespace {

using namespace pgcache::wire;  // NOLINT: a fuzz target

void feed_frame(const Frame& frame, ReplyTracker& tracker) {
  const std::string_view body = frame.body();
  (void)parse_query(body);
  if (const auto parse = parse_parse(body)) (void)parse->parameter_types();
  if (const auto bind = parse_bind(body)) CHECK(bind->result_formats_be.size() % 2 == 0);
  (void)parse_target(body);
  (void)parse_execute(body);
  (void)parse_data_row(body);
  (void)parse_parameter_status(body);
  (void)error_field(body, 'C');
  (void)command_tag(body);
  // Half of the frames are requests, the others replies.
  std::vector<PendingRequest> dropped;
  if (!body.empty() && (body[0] & 1) != 0) {
    tracker.sent({static_cast<Request>(static_cast<unsigned char>(frame.tag) % 9), false, 0});
  } else {
    (void)tracker.on_frame(frame.tag, dropped);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const StartupPacket startup = parse_startup(bytes);
  if (startup.kind == StartupKind::kStartup) {
    CHECK(startup.bytes <= bytes.size());
    (void)startup.database();
    (void)startup.replication();
    bytes.remove_prefix(startup.bytes);
  }
  ReplyTracker tracker;
  FrameHeader header;
  while (peek_frame(bytes, header) == FrameState::kHeader && header.total_bytes() <= bytes.size()) {
    feed_frame({header.tag, bytes.substr(0, header.total_bytes())}, tracker);
    bytes.remove_prefix(header.total_bytes());
  }
  return 0;
}
