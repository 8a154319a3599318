// SPDX-License-Identifier: Apache-2.0
#include "origin/ssl_negotiation.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <string_view>

namespace pgcache::origin {
namespace {

constexpr std::string_view kOption = "sslnegotiation";

SplitConninfo split_uri(const std::string& uri) {
  const std::size_t question = uri.find('?');
  if (question == std::string::npos) return {uri, {}};
  SplitConninfo split{uri.substr(0, question), {}};
  char separator = '?';
  for (std::size_t at = question + 1; at <= uri.size();) {
    const std::size_t end = std::min(uri.find('&', at), uri.size());
    const std::string_view parameter = std::string_view(uri).substr(at, end - at);
    at = end + 1;
    const std::size_t equals = parameter.find('=');
    if (parameter.substr(0, equals) == kOption && equals != std::string_view::npos) {
      split.negotiation = parameter.substr(equals + 1);
      continue;
    }
    split.conninfo += separator;
    split.conninfo += parameter;
    separator = '&';
  }
  return split;
}

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

// Where the value that begins at `at` ends. Quotes and backslashes are as libpq reads them; `value`
// receives it without them.
std::size_t end_of_value(std::string_view text, std::size_t at, std::string& value) {
  const bool quoted = at < text.size() && text[at] == '\'';
  if (quoted) ++at;
  for (; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 1 < text.size()) {
      ++at;
    } else if (quoted ? text[at] == '\'' : is_space(text[at])) {
      return quoted ? at + 1 : at;
    }
    value += text[at];
  }
  return at;
}

// keyword = value ..., with blanks where one likes.
SplitConninfo split_keywords(const std::string& text) {
  SplitConninfo split;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    const auto skip_spaces = [&] {
      while (at < text.size() && is_space(text[at])) ++at;
    };
    skip_spaces();
    const std::size_t name_at = at;
    while (at < text.size() && !is_space(text[at]) && text[at] != '=') ++at;
    const std::string_view name = std::string_view(text).substr(name_at, at - name_at);
    skip_spaces();
    if (at >= text.size() || text[at] != '=') return {text, {}};
    ++at;
    skip_spaces();
    std::string value;
    at = end_of_value(text, at, value);
    if (name == kOption) {
      split.negotiation = value;
    } else {
      split.conninfo += text.substr(begin, at - begin);
    }
  }
  return split;
}

bool libpq_knows_it() {
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconndefaults(),
                                                                               PQconninfoFree);
  for (const PQconninfoOption* o = options.get(); o != nullptr && o->keyword != nullptr; ++o) {
    if (o->keyword == kOption) return true;
  }
  return false;
}

}  // namespace

SplitConninfo split_ssl_negotiation(const std::string& conninfo) {
  const bool uri = conninfo.starts_with("postgresql://") || conninfo.starts_with("postgres://");
  return uri ? split_uri(conninfo) : split_keywords(conninfo);
}

std::string conninfo_for_libpq(const std::string& conninfo) {
  return libpq_knows_it() ? conninfo : split_ssl_negotiation(conninfo).conninfo;
}

}  // namespace pgcache::origin
