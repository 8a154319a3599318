// SPDX-License-Identifier: Apache-2.0
// The option sslnegotiation of a connection string, which libpq knows from version 17 on; an older
// one would refuse the whole string.
#pragma once

#include <string>

namespace pgcache::origin {

struct SplitConninfo {
  std::string conninfo;     // without the option
  std::string negotiation;  // its value as it stands; empty: not given
};

// A URI or keywords and values. What cannot be understood stays as it is, for libpq to refuse.
SplitConninfo split_ssl_negotiation(const std::string& conninfo);

// The string that this libpq understands: with the option if it knows it.
std::string conninfo_for_libpq(const std::string& conninfo);

}  // namespace pgcache::origin
