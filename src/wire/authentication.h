// SPDX-License-Identifier: Apache-2.0
// The beginning of a SASL exchange (manual, 55.3 and 55.7; RFC 5802 for its content). A body that
// does not parse yields nothing. Views live as long as the body. Pure.
//
//   AuthenticationSASL    'R' length int32=10 (mechanism '\0')+ '\0'
//   SASLInitialResponse   'p' length mechanism '\0' int32(length of data, or -1) data
//   data of SCRAM         gs2-flag ',' ...    flag: n, y, or p=TYPE
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgcache::wire {

inline constexpr std::string_view kScramPlus = "SCRAM-SHA-256-PLUS";

// What an AuthenticationSASL offers.
std::optional<std::vector<std::string_view>> parse_sasl_offer(std::string_view body);
void append_sasl_offer(std::string& out, const std::vector<std::string_view>& mechanisms);

struct SaslInitialResponse {
  std::string_view mechanism;
  std::string_view data;
};
std::optional<SaslInitialResponse> parse_sasl_initial_response(std::string_view body);

}  // namespace pgcache::wire
