// SPDX-License-Identifier: Apache-2.0
// One HTTP request → its answer, without sockets. Admin thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "admin/server.h"

namespace pgcache::admin {

struct Answer {
  std::uint16_t status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// `target` as in the request line: the path and, after a question mark, parameters. Only GET and
// HEAD are allowed (405); HEAD yields the answer to GET, whose body the caller leaves out. `accept`
// is the request's Accept header.
Answer answer(std::string_view method, std::string_view target, const AdminSources& sources,
              std::string_view accept = {});

// The value of a parameter in "a=1&b=x%20y", decoded: + is a blank. Nothing when it is missing or
// not well formed.
std::optional<std::string> parameter_value(std::string_view parameters, std::string_view name);

}  // namespace pgcache::admin
