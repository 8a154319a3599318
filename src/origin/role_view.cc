// SPDX-License-Identifier: Apache-2.0
// The catalog, and the connecting role's own settings.
#include "origin/role_view.h"

#include <utility>

#include "origin/catalog_loader.h"
#include "origin/link.h"
#include "origin/problems.h"

namespace pgcache::origin {
namespace {

// The link's own settings are put aside for a moment, so that the defaults of role, database and
// URL show.
Status read_settings(Link& link, RoleView& view) {
  const Reply reply = link.query(
      "RESET search_path; RESET standard_conforming_strings;"
      " SELECT pg_catalog.current_setting('standard_conforming_strings') = 'on', s.name"
      " FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS s(name, place)"
      " ORDER BY s.place");
  if (!reply.ok()) return Error{"cannot read the role's settings: " + reply.failure().message};
  for (int i = 0; i < reply.rows(); ++i) {
    view.standard_conforming_strings = reply.truth(i, 0);
    view.search_path.emplace_back(reply.text(i, 1));
  }
  const Reply back = link.query(
      "SELECT pg_catalog.set_config('search_path', '', false),"
      " pg_catalog.set_config('standard_conforming_strings', 'on', false)");
  if (!back.ok()) return Error{"cannot read the role's settings: " + back.failure().message};
  return {};
}

}  // namespace

Result<RoleView> read_role_view(const config::Config& config) {
  auto connected = connect_to_origin(config, "pgcache explain");
  if (!connected.ok()) return connected.error();
  Link& link = **connected;
  RoleView view;
  if (const Status read = read_settings(link, view); !read.ok()) return read.error();
  Result<LoadedCatalog> loaded = load_catalog(link, ViewDefinitions::kRead);
  if (!loaded.ok()) return loaded.error();
  view.catalog = std::move(loaded->catalog);
  return view;
}

}  // namespace pgcache::origin
