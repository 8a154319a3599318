// SPDX-License-Identifier: Apache-2.0
#include "simulator/frames.h"

#include <cstdlib>

namespace pgcache::simulator {

namespace {
constexpr std::string_view kMarkerChannel = "simulator";
}

void put16(std::string& out, std::uint16_t v) {
  out.push_back(static_cast<char>(v >> 8));
  out.push_back(static_cast<char>(v & 0xff));
}

void put32(std::string& out, std::uint32_t v) {
  put16(out, static_cast<std::uint16_t>(v >> 16));
  put16(out, static_cast<std::uint16_t>(v & 0xffff));
}

std::uint32_t get32(std::string_view bytes) {
  std::uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = v << 8 | static_cast<unsigned char>(bytes[i]);
  return v;
}

void put_string(std::string& out, std::string_view text) {
  out.append(text);
  out.push_back('\0');
}

std::string printable(std::string_view bytes) {
  std::string out;
  for (const char c : bytes.substr(0, 300)) out.push_back(c >= ' ' && c < 127 ? c : '.');
  return out;
}

std::string frame(char tag, std::string_view body) {
  std::string out(1, tag);
  put32(out, static_cast<std::uint32_t>(body.size() + 4));
  out.append(body);
  return out;
}

std::string_view first_frame(std::string_view bytes) {
  if (bytes.size() < 5) return {};
  const std::size_t total = std::size_t{1} + get32(bytes.substr(1, 4));
  return bytes.size() < total ? std::string_view{} : bytes.substr(0, total);
}

std::string row_description(const std::vector<OutputColumn>& columns,
                            const std::vector<int>& formats) {
  std::string body;
  put16(body, static_cast<std::uint16_t>(columns.size()));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    put_string(body, columns[i].name);
    put32(body, 0);
    put16(body, 0);
    put32(body, columns[i].is_text ? 25 : 23);
    put16(body, columns[i].is_text ? 0xffff : 4);
    put32(body, 0xffffffff);
    const int format = formats.empty() ? 0 : formats.size() == 1 ? formats[0] : formats[i];
    put16(body, static_cast<std::uint16_t>(format));
  }
  return frame('T', body);
}

std::string data_row(const std::vector<std::optional<std::string>>& cells) {
  std::string body;
  put16(body, static_cast<std::uint16_t>(cells.size()));
  for (const auto& cell : cells) {
    put32(body, cell ? static_cast<std::uint32_t>(cell->size()) : 0xffffffff);
    if (cell) body.append(*cell);
  }
  return frame('D', body);
}

std::string command_complete(std::string_view tag) {
  std::string body;
  put_string(body, tag);
  return frame('C', body);
}

std::string ready_for_query(char status) { return frame('Z', std::string(1, status)); }

std::string error_response(std::string_view severity, std::string_view sqlstate,
                           std::string_view message) {
  std::string body = "S";
  put_string(body, severity);
  body.push_back('V');
  put_string(body, severity);
  body.push_back('C');
  put_string(body, sqlstate);
  body.push_back('M');
  put_string(body, message);
  body.push_back('\0');
  return frame('E', body);
}

std::string notice(std::string_view message) {
  std::string body = "S";
  put_string(body, "NOTICE");
  body.push_back('M');
  put_string(body, message);
  body.push_back('\0');
  return frame('N', body);
}

std::string parameter_status(std::string_view name, std::string_view value) {
  std::string body;
  put_string(body, name);
  put_string(body, value);
  return frame('S', body);
}

std::string marker(std::uint32_t record) {
  std::string body;
  put32(body, 1);
  put_string(body, kMarkerChannel);
  put_string(body, std::to_string(record));
  return frame('A', body);
}

std::optional<std::uint32_t> read_marker(std::string_view frame) {
  const std::size_t at = 5 + 4 + kMarkerChannel.size() + 1;
  if (frame.size() <= at || frame[0] != 'A') return std::nullopt;
  return static_cast<std::uint32_t>(std::strtoul(frame.data() + at, nullptr, 10));
}

}  // namespace pgcache::simulator
