// SPDX-License-Identifier: Apache-2.0
// Whether the system catalogs changed: the query that catalog_loader.h describes.
#include "origin/catalog_loader.h"

namespace pgcache::origin {
namespace {

// `columns` of the rows of `from_where`, as a count and an order-independent sum of hashes.
std::string part(const std::string& columns, const std::string& from_where) {
  return ",(SELECT format('%s:%s', count(*), sum(hash_record_extended(ROW(" + columns +
         "), 0))) FROM " + from_where + ")";
}

std::string make_fingerprint_query() {
  const std::string of_relation = " IN (SELECT oid FROM rel)";
  const std::string lasting = " NOT IN (SELECT oid FROM temp_schema)";
  return "WITH temp_schema AS MATERIALIZED ("
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
         ") SELECT concat_ws(' ', (SELECT oid FROM pg_database WHERE datname = current_database())"
         ",(SELECT format('%s:%s', count(*), sum(hash_record_extended(rel, 0))) FROM rel)" +
         part("attrelid, attnum, xmin",
              "pg_attribute WHERE attnum > 0 AND attrelid" + of_relation) +
         part("oid, xmin", "pg_type WHERE typnamespace" + lasting) +
         part("oid, xmin", "pg_proc WHERE pronamespace" + lasting) +
         part("oid, xmin", "pg_operator WHERE oprnamespace" + lasting) +
         part("oid, xmin", "pg_cast") +  //
         part("oid, xmin", "pg_namespace WHERE oid" + lasting) +
         part("oid, xmin", "pg_rewrite WHERE ev_class" + of_relation) +
         part("oid, xmin", "pg_policy") +
         part("oid, xmin", "pg_trigger WHERE tgrelid" + of_relation) +
         part("inhrelid, inhparent, xmin", "pg_inherits WHERE inhrelid" + of_relation) +
         // Without the index itself, which REINDEX CONCURRENTLY replaces by its like.
         part(
             "indrelid, indisprimary, indisreplident, indisunique, indimmediate, indisexclusion,"
             " indnkeyatts, indkey, indclass, indcollation, indpred IS NULL, indexprs IS NULL",
             "pg_index WHERE (indisprimary OR indisreplident OR indisunique) AND indisvalid"
             " AND indislive AND indrelid" +
                 of_relation) +
         part("oid, xmin", "pg_collation") +
         part("oid, rolname, rolsuper, rolinherit, rolbypassrls", "pg_roles") +
         part("roleid, member, xmin", "pg_auth_members") +
         part("setdatabase, setrole, xmin",
              "pg_db_role_setting WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE "
              "datname"
              " = current_database()))") +
         part("oid, xmin", "pg_enum") +
         part("oid, xmin", "pg_attrdef WHERE adrelid" + of_relation) +
         part("oid, xmin", "pg_constraint WHERE connamespace" + lasting) +
         part("oid, subenabled",
              "pg_subscription WHERE subdbid IN (SELECT oid FROM pg_database WHERE datname ="
              " current_database())") +
         part("oid, xmin", "pg_opclass WHERE opcnamespace" + lasting) +
         part("oid, xmin", "pg_amop WHERE oid >= 16384") +
         part("oid, xmin", "pg_ts_config WHERE cfgnamespace" + lasting) +
         part("mapcfg, maptokentype, mapseqno, mapdict, xmin", "pg_ts_config_map") +
         part("oid, xmin", "pg_ts_dict WHERE dictnamespace" + lasting) + "), pg_conf_load_time()";
}

}  // namespace

Result<CatalogState> read_catalog_state(Link& link) {
  static const std::string query = make_fingerprint_query();
  const Reply reply = link.query(query);
  if (!reply.ok())
    return Error{"cannot read the origin's catalog state: " + reply.failure().message};
  if (reply.rows() != 1) return Error{"the origin's catalog state is not one row"};
  return CatalogState{std::string(reply.text(0, 0)), std::string(reply.text(0, 1))};
}

}  // namespace pgcache::origin
