// SPDX-License-Identifier: Apache-2.0
#include "wire/authentication.h"

#include "base/bytes.h"

namespace pgcache::wire {

namespace {
constexpr std::uint32_t kSasl = 10;
}

std::optional<std::vector<std::string_view>> parse_sasl_offer(std::string_view body) {
  ByteReader reader(body);
  if (static_cast<std::uint32_t>(reader.i32()) != kSasl) return std::nullopt;
  std::vector<std::string_view> mechanisms;
  for (;;) {
    const std::string_view name = reader.cstring();
    if (!reader.ok()) return std::nullopt;
    if (name.empty()) break;
    mechanisms.push_back(name);
  }
  if (!reader.at_end()) return std::nullopt;
  return mechanisms;
}

void append_sasl_offer(std::string& out, const std::vector<std::string_view>& mechanisms) {
  std::string body;
  append_be32(body, kSasl);
  for (const std::string_view name : mechanisms) body.append(name).push_back('\0');
  body.push_back('\0');
  out.push_back('R');
  append_be32(out, static_cast<std::uint32_t>(body.size() + 4));
  out += body;
}

std::optional<SaslInitialResponse> parse_sasl_initial_response(std::string_view body) {
  ByteReader reader(body);
  SaslInitialResponse response;
  response.mechanism = reader.cstring();
  const std::int32_t bytes = reader.i32();
  if (!reader.ok() || bytes < -1) return std::nullopt;
  if (bytes > 0) response.data = reader.bytes(static_cast<std::size_t>(bytes));
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return response;
}

}  // namespace pgcache::wire
