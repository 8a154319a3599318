// SPDX-License-Identifier: Apache-2.0
#include "origin/definition_teller.h"

#include <array>
#include <string>

#include "cdc/definition_message.h"

namespace pgcache::origin {
namespace {

// Stands in the function's source; another one whenever that changes.
constexpr const char* kVersion = "pgcache definitions, version 3";

// What a command has made or altered; of a table also its indexes, since a constraint's may have
// got a name that a table had. A command on objects that are temporary, or that adds to a
// publication, tells nothing. GRANT and REVOKE do not say on which tables: those whose privileges,
// or whose columns', this transaction has written (or one that came later, which does no harm).
constexpr const char* kEnded = R"(
      SELECT string_agg(CASE WHEN concat(s.nspname, s.relname) ~ '[\x01-\x1f]' THEN everything
               ELSE concat_ws(E'\t', 'end', tg_tag, o.type, coalesce(r.oid, 0)::text,
                              coalesce(s.nspname, ''), coalesce(s.relname, ''),
                              CASE WHEN EXISTS (SELECT FROM pg_inherits
                                                 WHERE r.oid IN (inhrelid, inhparent)
                                                   AND o.number > 0)
                                   THEN pgcache.kin_of(r.oid) ELSE '' END)
               END, E'\n' ORDER BY o.number)
        INTO told
        FROM (SELECT row_number() OVER () AS number, d.classid, d.objid,
                     lower(d.object_type) AS type, d.schema_name
                FROM pg_event_trigger_ddl_commands() d
               UNION ALL
              SELECT 0, 'pg_class'::regclass, i.indexrelid, 'index', d.schema_name
                FROM pg_event_trigger_ddl_commands() d
                JOIN pg_index i ON i.indrelid = CASE d.classid
                       WHEN 'pg_class'::regclass THEN d.objid
                       WHEN 'pg_constraint'::regclass
                         THEN (SELECT conrelid FROM pg_constraint WHERE oid = d.objid)
                     END
               WHERE tg_tag = 'ALTER TABLE'
               UNION ALL
              SELECT 0, 'pg_class'::regclass, w.oid, 'table', ''
                FROM (SELECT age(pg_current_xact_id()::xid) AS oldest) a
                JOIN LATERAL (SELECT oid FROM pg_class WHERE age(xmin) <= a.oldest
                               UNION
                              SELECT attrelid FROM pg_attribute WHERE age(xmin) <= a.oldest) w ON true
               WHERE tg_tag IN ('GRANT', 'REVOKE')) o
       CROSS JOIN LATERAL (SELECT CASE o.classid
               WHEN 'pg_class'::regclass
                 THEN coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = o.objid), o.objid)
               WHEN 'pg_trigger'::regclass
                 THEN (SELECT tgrelid FROM pg_trigger WHERE oid = o.objid)
               WHEN 'pg_policy'::regclass
                 THEN (SELECT polrelid FROM pg_policy WHERE oid = o.objid)
               WHEN 'pg_rewrite'::regclass
                 THEN (SELECT ev_class FROM pg_rewrite WHERE oid = o.objid)
               WHEN 'pg_constraint'::regclass
                 THEN (SELECT conrelid FROM pg_constraint WHERE oid = o.objid)
               WHEN 'pg_attrdef'::regclass
                 THEN (SELECT adrelid FROM pg_attrdef WHERE oid = o.objid)
             END OFFSET 0) r(oid)
        LEFT JOIN pg_class c ON c.oid = r.oid
        LEFT JOIN LATERAL (SELECT n.nspname, k.relname
                             FROM pg_class k JOIN pg_namespace n ON n.oid = k.relnamespace
                            WHERE o.classid = 'pg_class'::regclass AND k.oid = o.objid) s ON true
       WHERE coalesce(c.relpersistence, 'p') <> 't'
         AND NOT (tg_tag IN ('GRANT', 'REVOKE') AND o.classid IS NULL AND o.type = 'table')
         AND coalesce(o.schema_name, '') NOT LIKE 'pg\_temp%'
         AND o.type NOT IN ('publication relation', 'publication namespace')
         AND tg_tag <> 'CREATE PUBLICATION';
      IF told IS NULL AND tg_tag = 'DROP OWNED' THEN told := everything; END IF;)";

// What a command has dropped, directly or with something else. Row types and indexes go with their
// tables, parts of tables that are left are named with these.
constexpr const char* kDropped = R"(
      SELECT string_agg(concat_ws(E'\t', 'drop', tg_tag, d.object_type, coalesce(r.oid, 0)::text,
                                  '', '', ''), E'\n')
        INTO told
        FROM pg_event_trigger_dropped_objects() d
        LEFT JOIN pg_event_trigger_dropped_objects() t
          ON d.classid = 'pg_type'::regclass AND t.classid = 'pg_class'::regclass
         AND t.objsubid = 0 AND d.object_identity IN (t.object_identity, t.object_identity || '[]')
       CROSS JOIN LATERAL (SELECT CASE
               WHEN d.classid = 'pg_class'::regclass AND d.object_type <> 'index' THEN d.objid
               WHEN d.object_type IN ('table constraint', 'trigger', 'rule', 'policy',
                                      'default value', 'publication relation')
                 THEN coalesce((SELECT c.oid FROM pg_class c
                                  JOIN pg_namespace n ON n.oid = c.relnamespace
                                 WHERE n.nspname = d.address_names[1]
                                   AND c.relname = d.address_names[2]), 1)
             END) r(oid)
       WHERE NOT d.is_temporary AND t.objid IS NULL
         AND coalesce(d.address_names[1], '') NOT LIKE 'pg\_temp%'
         AND coalesce(d.schema_name, '') NOT LIKE 'pg\_toast%'
         AND (d.original OR d.object_type <> 'index')
         AND r.oid IS DISTINCT FROM 1;)";

std::string function_source() {
  return std::string("\n  -- ") + kVersion + R"(
DECLARE
  everything constant text := E'all\t\t\t0\t\t\t';
  told text;
BEGIN
  IF tg_tag IN ('COMMENT', 'SECURITY LABEL', 'REFRESH MATERIALIZED VIEW', 'REINDEX') THEN
    RETURN;
  END IF;
  BEGIN
    IF tg_event = 'ddl_command_end' THEN)" +
         kEnded + R"(
    ELSIF tg_event = 'sql_drop' THEN)" +
         kDropped + R"(
    ELSIF tg_event = 'table_rewrite' THEN
      told := concat_ws(E'\t', 'rewrite', tg_tag, 'table',
                        pg_event_trigger_table_rewrite_oid()::text, '', '',
                        pgcache.kin_of(pg_event_trigger_table_rewrite_oid()));
      IF EXISTS (SELECT FROM pg_class WHERE oid = pg_event_trigger_table_rewrite_oid()
                                        AND relpersistence = 't') THEN
        told := NULL;
      END IF;
    ELSIF current_query() ~* 'concurrently' THEN
      told := everything;  -- commits before it ends
    END IF;
    IF length(told) > 20000 THEN told := everything; END IF;
  EXCEPTION WHEN OTHERS THEN
    told := everything;
  END;
  IF told IS NOT NULL THEN
    PERFORM pg_logical_emit_message(true, ')" +
         std::string(cdc::kDefinitionPrefix) + R"(', E'1\n' || told);
  END IF;
END )";
}

// The relations from which one inherits, and that inherit from it.
constexpr const char* kKinFunction = R"(
CREATE OR REPLACE FUNCTION pgcache.kin_of(relation oid) RETURNS text LANGUAGE sql STABLE AS $kin$
  WITH RECURSIVE up(oid) AS (
    SELECT inhparent FROM pg_inherits WHERE inhrelid = relation
    UNION SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.oid
  ), down(oid) AS (
    SELECT inhrelid FROM pg_inherits WHERE inhparent = relation
    UNION SELECT i.inhrelid FROM down JOIN pg_inherits i ON i.inhparent = down.oid
  ) SELECT coalesce(string_agg(oid::text, ' '), '')
      FROM (SELECT oid FROM up UNION SELECT oid FROM down) kin $kin$;
)";

// The last fires where a command commits before it ends. (DROP INDEX CONCURRENTLY does too, but
// fails where something was written before it begins.)
struct Trigger {
  const char* name;
  const char* event;
};
constexpr std::array<Trigger, 4> kTriggers = {
    {{"pgcache_ddl_command_end", "ddl_command_end"},
     {"pgcache_sql_drop", "sql_drop"},
     {"pgcache_table_rewrite", "table_rewrite"},
     {"pgcache_ddl_command_start", "ddl_command_start WHEN TAG IN ('ALTER TABLE')"}}};

std::string creation() {
  std::string sql =
      "BEGIN; SET LOCAL lock_timeout = '500ms'; SET LOCAL client_min_messages = error;"
      " CREATE SCHEMA IF NOT EXISTS pgcache;";
  for (const Trigger& trigger : kTriggers) {
    sql += std::string(" DROP EVENT TRIGGER IF EXISTS ") + trigger.name + ";";
  }
  sql += kKinFunction;
  sql +=
      "CREATE OR REPLACE FUNCTION pgcache.tell_definitions() RETURNS event_trigger LANGUAGE plpgsql"
      " SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $tell$" +
      function_source() + "$tell$;";
  for (const Trigger& trigger : kTriggers) {
    sql += std::string(" CREATE EVENT TRIGGER ") + trigger.name + " ON " + trigger.event +
           " EXECUTE FUNCTION pgcache.tell_definitions(); ALTER EVENT TRIGGER " + trigger.name +
           " ENABLE ALWAYS;";
  }
  return sql;
}

// Whether schema and functions are whose they should be: superusers' commands run the functions,
// so nobody else may be able to replace these. (The owner of the schema could by dropping them.)
constexpr const char* kOwnersQuery =
    "SELECT bool_and(o.owner = current_user::regrole OR r.rolsuper)"
    " FROM (SELECT nspowner FROM pg_namespace WHERE nspname = 'pgcache' UNION ALL"
    "       SELECT proowner FROM pg_proc WHERE pronamespace = 'pgcache'::regnamespace"
    "          AND proname IN ('tell_definitions', 'kin_of')) o(owner)"
    " JOIN pg_roles r ON r.oid = o.owner";

Failure rolled_back(Link& link, Failure failure) {
  if (!link.lost() && !link.query("ROLLBACK").ok()) link.mark_lost();
  return failure;
}

}  // namespace

Result<TellerState> read_teller(Link& link) {
  std::string names;
  for (const Trigger& trigger : kTriggers) {
    names += (names.empty() ? "" : ", ") + quote_literal(trigger.name);
  }
  const Reply reply = link.query(
      "SELECT count(*) > 0, count(*) FILTER (WHERE t.evtenabled = 'A' AND strpos(p.prosrc, " +
      quote_literal(kVersion) + ") > 0) = " + std::to_string(kTriggers.size()) +
      " FROM pg_event_trigger t LEFT JOIN pg_proc p ON p.oid = t.evtfoid WHERE t.evtname IN (" +
      names + ")");
  if (!reply.ok())
    return Error{"cannot read the origin's event triggers: " + reply.failure().message};
  return TellerState{reply.truth(0, 0), reply.truth(0, 1)};
}

std::optional<Failure> create_teller(Link& link) {
  const Reply made = link.query(creation());
  if (!made.ok()) return rolled_back(link, made.failure());
  const Reply owners = link.query(kOwnersQuery);
  if (!owners.ok()) return rolled_back(link, owners.failure());
  if (!owners.truth(0, 0)) {
    return rolled_back(link, {"42501",
                              "schema pgcache or a function in it belongs to a role that"
                              " is no superuser"});
  }
  const Reply committed = link.query("COMMIT");
  if (!committed.ok()) return rolled_back(link, committed.failure());
  return std::nullopt;
}

std::optional<Failure> remove_teller(Link& link) {
  std::string sql =
      "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL client_min_messages = error;"
      " SELECT pg_logical_emit_message(true, " +
      quote_literal(std::string(cdc::kDefinitionPrefix)) + ", E'1\\nall\\t\\t\\t0\\t\\t\\t');";
  for (const Trigger& trigger : kTriggers) {
    sql += std::string(" DROP EVENT TRIGGER IF EXISTS ") + trigger.name + ";";
  }
  sql +=
      " DROP FUNCTION IF EXISTS pgcache.tell_definitions(); DROP FUNCTION IF EXISTS"
      " pgcache.kin_of(oid); DROP SCHEMA IF EXISTS pgcache; COMMIT";
  const Reply reply = link.query(sql);
  if (!reply.ok()) return rolled_back(link, reply.failure());
  return std::nullopt;
}

}  // namespace pgcache::origin
