// SPDX-License-Identifier: Apache-2.0
// Frames of protocol 3 (manual, 55.7 "Message Formats"), parsed in place:
//   frame   = tag:byte1 length:int32 body         length counts itself and the body, not the tag
//   startup = length:int32 code:int32 body        the only frames without a tag, before
//   StartupMessage
// Views live as long as the buffer that they were parsed from. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgcache::wire {

inline constexpr std::size_t kHeaderBytes = 5;
// The largest length PostgreSQL accepts (PQ_LARGE_MESSAGE_LIMIT).
inline constexpr std::uint32_t kMessageBytesMax = 0x3fffffff - 1;
inline constexpr std::uint32_t kSmallMessageBytesMax = 10000;

struct FrameHeader {
  char tag = 0;
  std::uint32_t length = 0;  // as on the wire: includes itself
  std::size_t total_bytes() const { return std::size_t{1} + length; }
};

enum class FrameState : std::uint8_t {
  kIncomplete,  // fewer bytes than a header
  kHeader,      // the header is known (whole or not is for the caller: total_bytes() <= size)
  kMalformed,   // a length below 4 or above the maximum: the peer cannot be understood any more
};

// Reads the header at the start of `bytes`.
FrameState peek_frame(std::string_view bytes, FrameHeader& header);

// The same for a client's messages behind its authentication, where PostgreSQL takes certain types
// only, and most of them up to a small length (PQ_SMALL_MESSAGE_LIMIT). A type that it does not
// know is kMalformed before the length has come.
FrameState peek_client_frame(std::string_view bytes, FrameHeader& header);

// One whole frame. `bytes` includes the header.
struct Frame {
  char tag = 0;
  std::string_view bytes;
  std::string_view body() const { return bytes.substr(kHeaderBytes); }
};

// --- frames that pgcache makes itself, appended to `out`

void append_ready_for_query(std::string& out, char status);
void append_parse_complete(std::string& out);
void append_bind_complete(std::string& out);
void append_close_complete(std::string& out);
void append_no_data(std::string& out);
void append_portal_suspended(std::string& out);
void append_command_complete(std::string& out, std::string_view tag);
// `types_be`: the types' oids, as Parse has them.
void append_parameter_description(std::string& out, std::string_view types_be);

struct ErrorFields {
  std::string_view severity = "ERROR";  // or FATAL
  std::string_view sqlstate;
  std::string_view message;
  std::string_view hint = {};
  std::string_view detail = {};
};
void append_error_response(std::string& out, const ErrorFields& fields);

void append_query(std::string& out, std::string_view sql);
void append_parse(std::string& out, std::string_view name, std::string_view sql,
                  std::string_view parameter_types_be);
// The unnamed portal of the unnamed statement, without parameters; and all that it gives.
void append_plain_bind(std::string& out);
void append_plain_execute(std::string& out);
// The same for a portal and a statement of the same name.
void append_bind(std::string& out, std::string_view name);
void append_execute(std::string& out, std::string_view portal);
// `rest` is what stands behind the names in a Bind.
void append_bind(std::string& out, std::string_view portal, std::string_view statement,
                 std::string_view rest);
void append_execute(std::string& out, std::string_view portal, std::uint32_t row_limit);
void append_close(std::string& out, char kind, std::string_view name);  // 'S' or 'P'
void append_describe(std::string& out, char kind, std::string_view name);
void append_sync(std::string& out);
void append_flush(std::string& out);
void append_terminate(std::string& out);
void append_cancel_request(std::string& out, std::string_view key);

}  // namespace pgcache::wire
