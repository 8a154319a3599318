// SPDX-License-Identifier: Apache-2.0
#include "origin/row_writes.h"

#include <charconv>

#include "origin/link.h"
#include "origin/problems.h"

namespace pgcache::origin {

Result<std::vector<RowWrites>> read_row_writes(const config::Config& config) {
  auto connected = connect_to_origin(config, "pgcache check");
  if (!connected.ok()) return connected.error();
  Link& link = **connected;
  const Reply reply = link.query(
      "SELECT s.schemaname, s.relname, s.n_tup_upd + s.n_tup_del FROM pg_stat_user_tables s"
      " JOIN pg_class c ON c.oid = s.relid JOIN pg_publication_tables p"
      " ON p.schemaname = s.schemaname AND p.tablename = s.relname"
      " WHERE p.pubname = " +
      quote_literal(config.publication) +
      " AND c.relreplident <> 'f' AND s.n_tup_upd + s.n_tup_del > 0 ORDER BY 3 DESC, 1, 2 LIMIT "
      "100");
  if (!reply.ok()) return Error{"cannot read the origin's statistics: " + reply.failure().message};
  std::vector<RowWrites> out;
  for (int i = 0; i < reply.rows(); ++i) {
    RowWrites& table = out.emplace_back();
    table.schema = reply.text(i, 0);
    table.name = reply.text(i, 1);
    const std::string_view changed = reply.text(i, 2);
    std::from_chars(changed.data(), changed.data() + changed.size(), table.changed);
  }
  return out;
}

}  // namespace pgcache::origin
