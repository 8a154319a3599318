// SPDX-License-Identifier: Apache-2.0
#include "transcript.h"

#include <cstdio>

namespace pgcache::testing {

std::string frames_text(const std::vector<RawFrame>& frames) {
  std::string text;
  for (const RawFrame& frame : frames) {
    text += frame.tag;
    text += ' ';
    for (const char c : frame.body) {
      if (c >= ' ' && c <= '~') {
        text += c;
      } else {
        char hex[5];
        std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
        text += hex;
      }
    }
    text += '\n';
  }
  return text;
}

std::string transcript(RawClient& client, const std::vector<Exchange>& exchanges) {
  std::string text;
  for (const Exchange& exchange : exchanges) {
    client.send(exchange.bytes);
    for (int i = 0; i < exchange.readies; ++i) text += frames_text(client.read_until('Z'));
    text += "--\n";
  }
  return text;
}

void expect_same_answers(Stack& stack, const std::vector<Exchange>& script,
                         const std::vector<std::string>& routes) {
  std::string expected;
  {
    RawClient direct = RawClient::session("127.0.0.1", stack.origin().port());
    expected = transcript(direct, script);
  }
  int round = 0;
  for (const std::string& route : routes) {
    ++round;
    std::string answers;
    const std::string taken = stack.routes_of([&] {
      RawClient client = stack.raw();
      answers = transcript(client, script);
    });
    EXPECT_EQ(answers, expected) << "round " << round;
    EXPECT_TRUE(is_route(taken, route))
        << "round " << round << ": took " << taken << ", expected " << route << "\n"
        << answers;
  }
}

}  // namespace pgcache::testing
