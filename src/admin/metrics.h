// SPDX-License-Identifier: Apache-2.0
// The program's counters as Prometheus metrics. Names and labels are an interface: add, never
// change. Admin thread.
#pragma once

#include <string>
#include <vector>

#include "admin/server.h"

namespace pgcache::admin {

// The text exposition format, version 0.0.4.
std::string metrics_text(const AdminSources& sources);

inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace pgcache::admin
