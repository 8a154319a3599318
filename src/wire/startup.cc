// SPDX-License-Identifier: Apache-2.0
#include "wire/startup.h"

#include <strings.h>

#include "base/bytes.h"

namespace pgcache::wire {

namespace {

constexpr std::uint32_t kCancelCode = 80877102;
constexpr std::uint32_t kSslCode = 80877103;
constexpr std::uint32_t kGssCode = 80877104;

StartupKind parse_parameters(std::string_view body, StartupPacket& packet) {
  ByteReader reader(body);
  for (;;) {
    const std::string_view name = reader.cstring();
    if (!reader.ok()) return StartupKind::kUnsupported;
    if (name.empty()) break;
    const std::string_view value = reader.cstring();
    if (!reader.ok()) return StartupKind::kUnsupported;
    packet.parameters.emplace_back(name, value);
  }
  return reader.at_end() ? StartupKind::kStartup : StartupKind::kUnsupported;
}

}  // namespace

std::string_view StartupPacket::parameter(std::string_view name) const {
  std::string_view found;
  for (const auto& [key, value] : parameters) {
    if (key == name) found = value;
  }
  return found;
}

std::string_view StartupPacket::database() const {
  const std::string_view database = parameter("database");
  return database.empty() ? parameter("user") : database;
}

bool StartupPacket::replication() const {
  const std::string value(parameter("replication"));
  if (value.empty()) return false;
  for (const char* off : {"false", "f", "off", "of", "no", "n", "0", "fa", "fal", "fals"}) {
    if (strcasecmp(value.c_str(), off) == 0) return false;
  }
  return true;
}

void append_ssl_request(std::string& out) {
  append_be32(out, 8);
  append_be32(out, kSslCode);
}

StartupPacket parse_startup(std::string_view bytes) {
  StartupPacket packet;
  if (bytes.empty()) return packet;
  if (bytes[0] == 0x16) {
    packet.kind = StartupKind::kTls;
    return packet;
  }
  if (bytes.size() < 4) return packet;
  const std::uint32_t length = load_be32(bytes.data());
  if (length < 8 || length > kStartupBytesMax) {
    packet.kind = StartupKind::kMalformed;
    return packet;
  }
  if (bytes.size() < length) return packet;
  packet.bytes = length;
  packet.protocol = load_be32(bytes.data() + 4);
  const std::string_view body = bytes.substr(8, length - 8);
  if (packet.protocol == kSslCode) {
    packet.kind = StartupKind::kSslRequest;
  } else if (packet.protocol == kGssCode) {
    packet.kind = StartupKind::kGssEncRequest;
  } else if (packet.protocol == kCancelCode) {
    const bool has_key = body.size() > 4 && body.size() <= 4 + kCancelSecretBytesMax;
    packet.kind = has_key ? StartupKind::kCancelRequest : StartupKind::kMalformed;
    packet.cancel_key = body;
  } else if (packet.protocol >> 16 != 3) {
    packet.kind = StartupKind::kUnsupported;
  } else {
    packet.kind = parse_parameters(body, packet);
  }
  return packet;
}

}  // namespace pgcache::wire
