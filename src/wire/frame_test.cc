// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/bytes.h"
#include "wire/backend.h"
#include "wire/frontend.h"
#include "wire/startup.h"

namespace pgcache::wire {
namespace {

using std::string_literals::operator""s;

// The bytes in a block of exactly their size, so that a sanitizer sees any read beyond.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : size_(bytes.size()), data_(new char[bytes.size()]) {
    std::copy(bytes.begin(), bytes.end(), data_.get());
  }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> data_;
};

TEST(Frame, HeaderMayStraddleReads) {
  std::string out;
  append_query(out, "SELECT 1");
  FrameHeader header;
  for (std::size_t n = 0; n < kHeaderBytes; ++n) {
    EXPECT_EQ(peek_frame(out.substr(0, n), header), FrameState::kIncomplete);
  }
  ASSERT_EQ(peek_frame(out, header), FrameState::kHeader);
  EXPECT_EQ(header.tag, 'Q');
  EXPECT_EQ(header.total_bytes(), out.size());
}

TEST(Frame, LengthsOutOfBoundsAreMalformed) {
  FrameHeader header;
  EXPECT_EQ(peek_frame("Q\0\0\0\3"s, header), FrameState::kMalformed);
  EXPECT_EQ(peek_frame("Q\x7f\xff\xff\xff"s, header), FrameState::kMalformed);
  EXPECT_EQ(peek_frame("Q\xff\xff\xff\xff"s, header), FrameState::kMalformed);
  EXPECT_EQ(peek_frame("S\0\0\0\4"s, header), FrameState::kHeader);
}

TEST(Frame, ClientsMessagesAreTakenAsPostgresTakesThem) {
  FrameHeader header;
  EXPECT_EQ(peek_client_frame("", header), FrameState::kIncomplete);
  for (const char tag : "\0\x01zAKRTZptvW[\x80\xff"s) {
    EXPECT_EQ(peek_client_frame(std::string(1, tag), header), FrameState::kMalformed) << int{tag};
  }
  for (const char tag : "DECHSXcf"s) {
    EXPECT_EQ(peek_client_frame(std::string(1, tag), header), FrameState::kIncomplete) << tag;
    EXPECT_EQ(peek_client_frame(tag + "\0\0\x27\x10"s, header), FrameState::kHeader) << tag;
    EXPECT_EQ(peek_client_frame(tag + "\0\0\x27\x11"s, header), FrameState::kMalformed) << tag;
    EXPECT_EQ(peek_client_frame(tag + "\0\0\0\3"s, header), FrameState::kMalformed) << tag;
  }
  for (const char tag : "QPBFd"s) {
    EXPECT_EQ(peek_client_frame(tag + "\x3f\xff\xff\xfe"s, header), FrameState::kHeader) << tag;
    EXPECT_EQ(peek_client_frame(tag + "\x3f\xff\xff\xff"s, header), FrameState::kMalformed) << tag;
  }
}

TEST(Frame, ErrorResponseHasPostgresFields) {
  std::string out;
  append_error_response(out, {"FATAL", "08P01", "bad", "do better"});
  FrameHeader header;
  ASSERT_EQ(peek_frame(out, header), FrameState::kHeader);
  ASSERT_EQ(header.total_bytes(), out.size());
  const std::string_view body = std::string_view(out).substr(kHeaderBytes);
  EXPECT_EQ(error_field(body, 'S'), "FATAL");
  EXPECT_EQ(error_field(body, 'V'), "FATAL");
  EXPECT_EQ(error_field(body, 'C'), "08P01");
  EXPECT_EQ(error_field(body, 'M'), "bad");
  EXPECT_EQ(error_field(body, 'H'), "do better");
  EXPECT_EQ(error_field(body, 'D'), "");
}

TEST(Startup, EveryKindOfFirstPacket) {
  EXPECT_EQ(parse_startup("").kind, StartupKind::kIncomplete);
  EXPECT_EQ(parse_startup("\0\0\0"s).kind, StartupKind::kIncomplete);
  EXPECT_EQ(parse_startup("\0\0\0\x08\x04\xd2\x16\x2f"s).kind, StartupKind::kSslRequest);
  EXPECT_EQ(parse_startup("\0\0\0\x08\x04\xd2\x16\x30"s).kind, StartupKind::kGssEncRequest);
  EXPECT_EQ(parse_startup("\x16\x03\x01"s).kind, StartupKind::kTls);
  EXPECT_EQ(parse_startup("\0\0\0\x07\0\0\0\0"s).kind, StartupKind::kMalformed);
  EXPECT_EQ(parse_startup("\x7f\xff\xff\xff\0\3\0\0"s).kind, StartupKind::kMalformed);
  EXPECT_EQ(parse_startup("\0\0\0\x08\0\2\0\0"s).kind, StartupKind::kUnsupported);
  const std::string cancel_bytes = "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"s;
  const StartupPacket cancel = parse_startup(cancel_bytes);
  EXPECT_EQ(cancel.kind, StartupKind::kCancelRequest);
  EXPECT_EQ(cancel.cancel_key, "\0\0\0\1\0\0\0\2"s);
}

TEST(Startup, CancelRequestsOfEveryLength) {
  for (const std::size_t secret : {0, 1, 4, 32, 256, 257}) {
    std::string packet;
    append_cancel_request(packet, "\0\0\0\1"s + std::string(secret, 's'));
    const StartupPacket parsed = parse_startup(packet);
    const bool valid = secret >= 1 && secret <= 256;
    EXPECT_EQ(parsed.kind, valid ? StartupKind::kCancelRequest : StartupKind::kMalformed) << secret;
  }
}

TEST(Startup, LengthsAtTheLimit) {
  for (const std::uint32_t length : {10004U, 10005U}) {
    std::string packet;
    append_be32(packet, length);
    packet += "\0\3\0\0user\0"s;
    packet += std::string(length - packet.size() - 2, 'a') + "\0\0"s;
    EXPECT_EQ(parse_startup(packet).kind,
              length == 10004 ? StartupKind::kStartup : StartupKind::kMalformed);
  }
}

TEST(Startup, ParametersAndTheirAbsence) {
  const std::string body = "\0\3\0\0user\0ann\0application_name\0x\0\0"s;
  std::string packet = "\0\0\0"s + static_cast<char>(body.size() + 4) + body;
  const Exact exact(packet);
  const StartupPacket parsed = parse_startup(exact.view());
  ASSERT_EQ(parsed.kind, StartupKind::kStartup);
  EXPECT_EQ(parsed.bytes, packet.size());
  EXPECT_EQ(parsed.database(), "ann");
  EXPECT_FALSE(parsed.replication());
  packet.pop_back();
  packet[3] = static_cast<char>(packet.size());
  EXPECT_EQ(parse_startup(packet).kind, StartupKind::kUnsupported);
}

TEST(Startup, ReplicationIsRecognised) {
  for (const auto& [value, expected] : {std::pair("database", true),
                                        {"true", true},
                                        {"on", true},
                                        {"1", true},
                                        {"off", false},
                                        {"0", false},
                                        {"false", false},
                                        {"no", false}}) {
    StartupPacket packet;
    packet.parameters = {{"user", "u"}, {"replication", value}};
    EXPECT_EQ(packet.replication(), expected) << value;
  }
}

std::string bind_body(const std::string& formats, const std::string& parameters,
                      const std::string& results) {
  return "portal\0stmt\0"s + formats + parameters + results;
}

TEST(Frontend, BindFormatLists) {
  const std::string two = "\0\2\0\0\0\1a\xff\xff\xff\xff"s;
  const std::string none_bytes = bind_body("\0\0"s, two, "\0\0"s);
  const auto none = parse_bind(none_bytes);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->portal, "portal");
  EXPECT_EQ(none->statement, "stmt");
  ASSERT_EQ(none->parameters.size(), 2u);
  EXPECT_FALSE(none->parameters[0].binary);
  EXPECT_EQ(none->parameters[0].bytes, "a");
  EXPECT_TRUE(none->parameters[1].is_null);
  const std::string one_bytes = bind_body("\0\1\0\1"s, two, "\0\1\0\1"s);
  const auto one = parse_bind(one_bytes);
  ASSERT_TRUE(one);
  EXPECT_TRUE(one->parameters[0].binary);
  EXPECT_TRUE(one->parameters[1].binary);
  EXPECT_EQ(one->result_formats_be, "\0\1"s);
  const auto each = parse_bind(bind_body("\0\2\0\0\0\1"s, two, "\0\0"s));
  ASSERT_TRUE(each);
  EXPECT_FALSE(each->parameters[0].binary);
  EXPECT_TRUE(each->parameters[1].binary);
}

TEST(Frontend, BadBindsYieldNothing) {
  const std::string two = "\0\2\0\0\0\1a\xff\xff\xff\xff"s;
  EXPECT_FALSE(parse_bind(bind_body("\0\3\0\0\0\0\0\0"s, two, "\0\0"s)));  // 3 formats, 2 values
  EXPECT_FALSE(parse_bind(bind_body("\0\1\0\2"s, two, "\0\0"s)));          // format 2
  EXPECT_FALSE(parse_bind(bind_body("\0\0"s, "\xff\xff"s, "\0\0"s)));      // 65535 values
  EXPECT_FALSE(parse_bind(bind_body("\0\0"s, "\0\1\xff\xff\xff\xfe"s, "\0\0"s)));  // length -2
  EXPECT_FALSE(parse_bind(bind_body("\0\0"s, "\0\1\0\0\0\x09q"s, "\0\0"s)));       // beyond the end
  EXPECT_FALSE(parse_bind(bind_body("\0\0"s, two, "\0\0x"s)));                     // trailing bytes
  EXPECT_FALSE(parse_bind("no terminator"));
}

TEST(Frontend, EveryPrefixOfABindIsRefused) {
  const std::string whole = bind_body("\0\1\0\1"s, "\0\1\0\0\0\2ab"s, "\0\1\0\0"s);
  ASSERT_TRUE(parse_bind(whole));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const Exact exact(std::string_view(whole).substr(0, n));
    EXPECT_FALSE(parse_bind(exact.view())) << n;
  }
}

TEST(Frontend, ParseExecuteTargets) {
  const std::string parse_bytes = "s\0SELECT $1\0\0\1\0\0\0\x17"s;
  const auto parse = parse_parse(parse_bytes);
  ASSERT_TRUE(parse);
  EXPECT_EQ(parse->sql, "SELECT $1");
  ASSERT_EQ(parse->parameter_types().size(), 1u);
  EXPECT_EQ(parse->parameter_types()[0], pg::type::kInt4);
  EXPECT_FALSE(parse_parse("s\0SELECT $1\0\0\2\0\0\0\x17"s));
  const auto execute = parse_execute("\0\0\0\0\5"s);
  ASSERT_TRUE(execute);
  EXPECT_EQ(execute->row_limit, 5);
  EXPECT_FALSE(parse_execute("\0\0\0\0"s));
  EXPECT_TRUE(parse_target("Px\0"s));
  EXPECT_FALSE(parse_target("Xx\0"s));
}

TEST(Backend, DataRows) {
  const std::string bytes = "\0\3\0\0\0\1a\xff\xff\xff\xff\0\0\0\0"s;
  const auto row = parse_data_row(bytes);
  ASSERT_TRUE(row);
  EXPECT_EQ((*row)[0], "a");
  EXPECT_EQ((*row)[1], std::nullopt);
  EXPECT_EQ((*row)[2], "");
  EXPECT_FALSE(parse_data_row("\x7f\xff\0"s));
  EXPECT_TRUE(parse_data_row("\0\0"s)->empty());
}

}  // namespace
}  // namespace pgcache::wire
