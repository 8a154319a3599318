// SPDX-License-Identifier: Apache-2.0
// Messages of protocol 3 as the simulated server and clients write them. Written apart from
// src/wire on purpose: what checks the proxy must not share its mistakes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgcache::simulator {

struct OutputColumn {
  std::string name;
  bool is_text = false;
};

void put16(std::string& out, std::uint16_t v);
void put32(std::string& out, std::uint32_t v);
std::uint32_t get32(std::string_view bytes);
void put_string(std::string& out, std::string_view text);  // with its zero byte

// For people: the first 300 bytes, dots for what cannot be shown.
std::string printable(std::string_view bytes);

std::string frame(char tag, std::string_view body);
// The whole frame at the start of `bytes`; empty when there is none yet.
std::string_view first_frame(std::string_view bytes);

std::string row_description(const std::vector<OutputColumn>& columns,
                            const std::vector<int>& formats);
std::string data_row(const std::vector<std::optional<std::string>>& cells);
std::string command_complete(std::string_view tag);
std::string ready_for_query(char status);
std::string error_response(std::string_view severity, std::string_view sqlstate,
                           std::string_view message);
std::string notice(std::string_view message);
std::string parameter_status(std::string_view name, std::string_view value);
// A NotificationResponse that says which request of the server the frames behind it answer.
std::string marker(std::uint32_t record);
std::optional<std::uint32_t> read_marker(std::string_view frame);

}  // namespace pgcache::simulator
