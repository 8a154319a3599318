// SPDX-License-Identifier: Apache-2.0
// The SQLSTATE codes that pgcache raises or looks for (manual, appendix A).
#pragma once

namespace pgcache::pg::sqlstate {

inline constexpr const char* kProtocolViolation = "08P01";
inline constexpr const char* kFeatureNotSupported = "0A000";
inline constexpr const char* kConnectionFailure = "08006";
inline constexpr const char* kCharacterNotInRepertoire = "22021";
inline constexpr const char* kUntranslatableCharacter = "22P05";
inline constexpr const char* kInvalidAuthorization = "28000";
inline constexpr const char* kCannotConnectNow = "57P03";
inline constexpr const char* kTooManyConnections = "53300";
inline constexpr const char* kProgramLimitExceeded = "54000";
inline constexpr const char* kInvalidStatementName = "26000";
inline constexpr const char* kInvalidCursorName = "34000";
inline constexpr const char* kSerializationFailure = "40001";
inline constexpr const char* kAdminShutdown = "57P01";

}  // namespace pgcache::pg::sqlstate
