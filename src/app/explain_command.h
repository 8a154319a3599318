// SPDX-License-Identifier: Apache-2.0
// `pgcache explain`. Main thread.
#pragma once

#include "admin/explain.h"
#include "config/loader.h"

namespace pgcache::app {

// What explain is to know besides the catalog.
admin::ExplainContext explain_context(const config::Config& config);

// Prints; yields the exit status: 0 cacheable, 1 not cacheable, 2 when that could not be told.
int explain(const config::CommandLine& line);

}  // namespace pgcache::app
