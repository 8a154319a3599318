// SPDX-License-Identifier: Apache-2.0
// What statements mean to a session of the role in the origin URL: a short blocking conversation,
// from main only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "pg/catalog.h"

namespace pgcache::origin {

struct RoleView {
  std::shared_ptr<const pg::Catalog> catalog;
  std::vector<std::string> search_path;  // schemas that exist, implicit ones included
  bool standard_conforming_strings = true;
};
Result<RoleView> read_role_view(const config::Config& config);

}  // namespace pgcache::origin
