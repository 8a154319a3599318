// SPDX-License-Identifier: Apache-2.0
// One HTTP request → its answer, without sockets. Admin thread.
#pragma once

#include <cstdint>
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
// HEAD are allowed (405); HEAD yields the answer to GET, whose body the caller leaves out.
Answer answer(std::string_view method, std::string_view target, const AdminSources& sources);

}  // namespace pgcache::admin
