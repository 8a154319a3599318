// SPDX-License-Identifier: Apache-2.0
// /status and /queries as JSON. Statement texts are bytes from clients: what is not UTF-8 in them
// is replaced, and long ones are cut. Admin thread.
#pragma once

#include <cstddef>
#include <string>

#include "admin/server.h"

namespace pgcache::admin {

std::string status_json(const AdminSources& sources);

// The `limit` most asked shapes, most asked first.
std::string queries_json(const AdminSources& sources, std::size_t limit);

inline constexpr std::size_t kQueriesLimitDefault = 1000;
inline constexpr std::size_t kQueryTextBytesMax = 4096;

}  // namespace pgcache::admin
