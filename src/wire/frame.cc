// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.h"

#include "base/bytes.h"

namespace pgcache::wire {

FrameState peek_frame(std::string_view bytes, FrameHeader& header) {
  if (bytes.size() < kHeaderBytes) return FrameState::kIncomplete;
  header.tag = bytes[0];
  header.length = load_be32(bytes.data() + 1);
  if (header.length < 4 || header.length > kMessageBytesMax) return FrameState::kMalformed;
  return FrameState::kHeader;
}

FrameState peek_client_frame(std::string_view bytes, FrameHeader& header) {
  if (bytes.empty()) return FrameState::kIncomplete;
  const bool large = std::string_view("QPBFd").find(bytes[0]) != std::string_view::npos;
  const bool small = std::string_view("DECHSXcf").find(bytes[0]) != std::string_view::npos;
  if (!large && !small) return FrameState::kMalformed;
  const FrameState state = peek_frame(bytes, header);
  const bool too_long =
      state == FrameState::kHeader && small && header.length > kSmallMessageBytesMax;
  return too_long ? FrameState::kMalformed : state;
}

namespace {

void append_empty(std::string& out, char tag) {
  out.push_back(tag);
  append_be32(out, 4);
}

// Writes the length of the frame whose tag stands at `start`, now that its body is complete.
void finish_frame(std::string& out, std::size_t start) {
  std::string length;
  append_be32(length, static_cast<std::uint32_t>(out.size() - start - 1));
  out.replace(start + 1, 4, length);
}

std::size_t begin_frame(std::string& out, char tag) {
  const std::size_t start = out.size();
  out.push_back(tag);
  out.append(4, '\0');
  return start;
}

void append_cstring(std::string& out, std::string_view text) {
  out.append(text);
  out.push_back('\0');
}

}  // namespace

void append_ready_for_query(std::string& out, char status) {
  out.push_back('Z');
  append_be32(out, 5);
  out.push_back(status);
}

void append_parse_complete(std::string& out) { append_empty(out, '1'); }
void append_bind_complete(std::string& out) { append_empty(out, '2'); }
void append_close_complete(std::string& out) { append_empty(out, '3'); }
void append_no_data(std::string& out) { append_empty(out, 'n'); }
void append_portal_suspended(std::string& out) { append_empty(out, 's'); }

void append_parameter_description(std::string& out, std::string_view types_be) {
  const std::size_t start = begin_frame(out, 't');
  append_be16(out, static_cast<std::uint16_t>(types_be.size() / 4));
  out.append(types_be);
  finish_frame(out, start);
}

void append_command_complete(std::string& out, std::string_view tag) {
  const std::size_t start = begin_frame(out, 'C');
  append_cstring(out, tag);
  finish_frame(out, start);
}

void append_error_response(std::string& out, const ErrorFields& fields) {
  const std::size_t start = begin_frame(out, 'E');
  const auto field = [&out](char code, std::string_view value) {
    if (value.empty()) return;
    out.push_back(code);
    append_cstring(out, value);
  };
  field('S', fields.severity);
  field('V', fields.severity);
  field('C', fields.sqlstate);
  field('M', fields.message);
  field('D', fields.detail);
  field('H', fields.hint);
  out.push_back('\0');
  finish_frame(out, start);
}

void append_query(std::string& out, std::string_view sql) {
  const std::size_t start = begin_frame(out, 'Q');
  append_cstring(out, sql);
  finish_frame(out, start);
}

void append_parse(std::string& out, std::string_view name, std::string_view sql,
                  std::string_view parameter_types_be) {
  const std::size_t start = begin_frame(out, 'P');
  append_cstring(out, name);
  append_cstring(out, sql);
  append_be16(out, static_cast<std::uint16_t>(parameter_types_be.size() / 4));
  out.append(parameter_types_be);
  finish_frame(out, start);
}

void append_plain_bind(std::string& out) { append_bind(out, {}); }

void append_plain_execute(std::string& out) { append_execute(out, {}); }

void append_bind(std::string& out, std::string_view name) {
  const std::size_t start = begin_frame(out, 'B');
  append_cstring(out, name);
  append_cstring(out, name);
  out.append(2 + 2 + 2, '\0');  // no formats, no parameters, no result formats
  finish_frame(out, start);
}

void append_execute(std::string& out, std::string_view portal) {
  const std::size_t start = begin_frame(out, 'E');
  append_cstring(out, portal);
  out.append(4, '\0');  // no row limit
  finish_frame(out, start);
}

void append_bind(std::string& out, std::string_view portal, std::string_view statement,
                 std::string_view rest) {
  const std::size_t start = begin_frame(out, 'B');
  append_cstring(out, portal);
  append_cstring(out, statement);
  out.append(rest);
  finish_frame(out, start);
}

void append_execute(std::string& out, std::string_view portal, std::uint32_t row_limit) {
  const std::size_t start = begin_frame(out, 'E');
  append_cstring(out, portal);
  append_be32(out, row_limit);
  finish_frame(out, start);
}

void append_close(std::string& out, char kind, std::string_view name) {
  const std::size_t start = begin_frame(out, 'C');
  out.push_back(kind);
  append_cstring(out, name);
  finish_frame(out, start);
}

void append_describe(std::string& out, char kind, std::string_view name) {
  const std::size_t start = begin_frame(out, 'D');
  out.push_back(kind);
  append_cstring(out, name);
  finish_frame(out, start);
}

void append_sync(std::string& out) { append_empty(out, 'S'); }
void append_flush(std::string& out) { append_empty(out, 'H'); }
void append_terminate(std::string& out) { append_empty(out, 'X'); }

void append_cancel_request(std::string& out, std::string_view key) {
  append_be32(out, static_cast<std::uint32_t>(8 + key.size()));
  append_be32(out, 80877102);
  out.append(key);
}

}  // namespace pgcache::wire
