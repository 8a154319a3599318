// SPDX-License-Identifier: Apache-2.0
// Whether the system catalogs changed: the query that catalog_loader.h describes.
#include <array>

#include "origin/catalog_loader.h"

namespace pgcache::origin {
namespace {

// Relations that last; `oid` alone is what the parts below need.
constexpr const char* kWith =
    "WITH temp_schema AS MATERIALIZED ("
    "  SELECT oid FROM pg_namespace"
    "   WHERE nspname LIKE 'pg\\_temp\\_%' OR nspname LIKE 'pg\\_toast%'"
    "), rel AS MATERIALIZED ("
    "  SELECT oid, relname, relnamespace, reltype, relowner, relkind, relpersistence,"
    "         relrowsecurity, relforcerowsecurity, relreplident, relispartition, relacl,"
    "         reloptions"
    "    FROM pg_class"
    "   WHERE oid >= 16384 AND relpersistence <> 't'"
    "     AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c', 'S')"
    "     AND relnamespace NOT IN (SELECT oid FROM temp_schema)"
    "), typ AS MATERIALIZED ("
    "  SELECT t.oid, t.xmin, CASE WHEN t.typrelid <> 0 THEN t.typrelid"
    "                             ELSE coalesce(e.typrelid, 0) END AS relation"
    "    FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid"
    "   WHERE t.typnamespace NOT IN (SELECT oid FROM temp_schema))";

struct Part {
  const char* relation;  // whose definition the row is part of
  const char* columns;
  const char* from_where;
};

// Rows that belong to one relation.
constexpr std::array<Part, 10> kOfRelations = {{
    {"oid", "rel", "rel"},
    {"attrelid", "attrelid, attnum, xmin",
     "pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT oid FROM rel)"},
    {"relation", "oid, xmin", "typ WHERE relation <> 0"},
    {"ev_class", "oid, xmin", "pg_rewrite WHERE ev_class IN (SELECT oid FROM rel)"},
    {"polrelid", "oid, xmin", "pg_policy"},
    {"tgrelid", "oid, xmin", "pg_trigger WHERE tgrelid IN (SELECT oid FROM rel)"},
    {"inhrelid", "inhrelid, inhparent, xmin",
     "pg_inherits WHERE inhrelid IN (SELECT oid FROM rel)"},
    // Without the index itself, which REINDEX CONCURRENTLY replaces by its like.
    {"indrelid",
     "indrelid, indisprimary, indisreplident, indisunique, indimmediate, indisexclusion,"
     " indnkeyatts, indkey, indclass, indcollation, indpred IS NULL, indexprs IS NULL",
     "pg_index WHERE (indisprimary OR indisreplident OR indisunique) AND indisvalid"
     " AND indislive AND indrelid IN (SELECT oid FROM rel)"},
    {"adrelid", "oid, xmin", "pg_attrdef WHERE adrelid IN (SELECT oid FROM rel)"},
    {"conrelid", "oid, xmin",
     "pg_constraint WHERE conrelid <> 0 AND connamespace NOT IN (SELECT oid FROM temp_schema)"},
}};

constexpr std::array<Part, 18> kOthers = {{
    {"", "oid, xmin", "typ WHERE relation = 0"},
    {"", "oid, xmin", "pg_proc WHERE pronamespace NOT IN (SELECT oid FROM temp_schema)"},
    {"", "oid, xmin", "pg_operator WHERE oprnamespace NOT IN (SELECT oid FROM temp_schema)"},
    {"", "oid, xmin", "pg_cast"},
    {"", "oid, xmin", "pg_namespace WHERE oid NOT IN (SELECT oid FROM temp_schema)"},
    {"", "oid, xmin", "pg_collation"},
    {"", "oid, rolname, rolsuper, rolinherit, rolbypassrls", "pg_roles"},
    {"", "roleid, member, xmin", "pg_auth_members"},
    {"", "setdatabase, setrole, xmin",
     "pg_db_role_setting WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname"
     " = current_database()))"},
    {"", "oid, xmin", "pg_enum"},
    {"", "oid, xmin",
     "pg_constraint WHERE conrelid = 0 AND connamespace NOT IN (SELECT oid FROM temp_schema)"},
    {"", "oid, subenabled",
     "pg_subscription WHERE subdbid IN (SELECT oid FROM pg_database WHERE datname ="
     " current_database())"},
    {"", "oid, xmin", "pg_opclass WHERE opcnamespace NOT IN (SELECT oid FROM temp_schema)"},
    {"", "oid, xmin", "pg_amop WHERE oid >= 16384"},
    {"", "oid, xmin", "pg_ts_config WHERE cfgnamespace NOT IN (SELECT oid FROM temp_schema)"},
    // An index that is called like a relation may hide it.
    {"", "relname, relnamespace",
     "pg_class WHERE relkind IN ('i', 'I') AND relname IN (SELECT relname FROM rel)"
     " AND relnamespace NOT IN (SELECT oid FROM temp_schema)"},
    {"", "mapcfg, maptokentype, mapseqno, mapdict, xmin", "pg_ts_config_map"},
    {"", "oid, xmin", "pg_ts_dict WHERE dictnamespace NOT IN (SELECT oid FROM temp_schema)"},
}};

std::string hash_of(const Part& part, std::size_t seed) {
  const std::string columns = part.columns;
  return "hash_record_extended(" + (columns == "rel" ? columns : "ROW(" + columns + ")") + ", " +
         std::to_string(seed) + ")";
}

// The rows of the part, as a count and an order-independent sum of hashes.
std::string sum_of(const Part& part) {
  return ",(SELECT format('%s:%s', count(*), sum(" + hash_of(part, 0) + ")) FROM " +
         part.from_where + ")";
}

std::string sum_of_others() {
  std::string sql = "(SELECT oid FROM pg_database WHERE datname = current_database())";
  for (const Part& part : kOthers) sql += sum_of(part);
  return sql;
}

std::string make_fingerprint_query() {
  std::string of_relations;
  for (const Part& part : kOfRelations) of_relations += sum_of(part);
  return std::string(kWith) + " SELECT concat_ws(' ', " + sum_of_others() + of_relations +
         "), pg_conf_load_time(), pg_current_snapshot()";
}

std::string make_parts_query() {
  std::string rows;
  for (std::size_t i = 0; i < kOfRelations.size(); ++i) {
    const Part& part = kOfRelations[i];
    rows += std::string(i == 0 ? "" : " UNION ALL ") + "SELECT " + part.relation +
            " AS relation, " + hash_of(part, i) + " AS hash FROM " + part.from_where;
  }
  return std::string(kWith) + " SELECT 0::oid, concat_ws(' ', " + sum_of_others() +
         ") UNION ALL SELECT relation, sum(hash)::text FROM (" + rows + ") parts GROUP BY relation";
}

}  // namespace

Result<CatalogState> read_catalog_state(Link& link) {
  static const std::string query = make_fingerprint_query();
  const Reply reply = link.query(query);
  if (!reply.ok())
    return Error{"cannot read the origin's catalog state: " + reply.failure().message};
  if (reply.rows() != 1) return Error{"the origin's catalog state is not one row"};
  std::optional<pg::Snapshot> snapshot = pg::parse_snapshot(reply.text(0, 2));
  if (!snapshot) return Error{"the origin's snapshot is not understood"};
  return CatalogState{std::string(reply.text(0, 0)), std::string(reply.text(0, 1)),
                      *std::move(snapshot)};
}

Result<CatalogParts> read_catalog_parts(Link& link) {
  static const std::string query = make_parts_query();
  const Reply reply = link.query(query);
  if (!reply.ok())
    return Error{"cannot read the origin's catalog state: " + reply.failure().message};
  CatalogParts parts;
  for (int i = 0; i < reply.rows(); ++i) {
    std::string& part =
        reply.oid(i, 0) == pg::Oid::kInvalid ? parts.others : parts.relations[reply.oid(i, 0)];
    part = reply.text(i, 1);
  }
  return parts;
}

}  // namespace pgcache::origin
