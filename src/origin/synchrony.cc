// SPDX-License-Identifier: Apache-2.0
#include "origin/synchrony.h"

#include <string_view>
#include <utility>

#include "origin/standby_names.h"

namespace pgcache::origin {
namespace {

// remote_write, on and remote_apply wait for the positions written, flushed and applied, which
// pgcache tells as one.
bool waits_for_standbys(std::string_view synchronous_commit) {
  return synchronous_commit == "on" || synchronous_commit == "remote_apply" ||
         synchronous_commit == "remote_write";
}

constexpr const char* kReload = "; then SELECT pg_reload_conf()";

}  // namespace

std::string synchrony_columns(int walsender) {
  const std::string pid = std::to_string(walsender);
  const std::string of_walsender =
      " FROM pg_catalog.pg_stat_get_wal_senders() w WHERE w.pid = " + pid + ")";
  // Spelled as it may be in ALTER ROLE and ALTER DATABASE.
  const std::string own_settings =
      " FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c"
      " WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname ="
      " pg_catalog.current_database())) AND pg_catalog.lower(c) LIKE 'synchronous\\_commit=%'";
  return "pg_catalog.current_setting('synchronous_standby_names'),"
         " (SELECT p.reset_val FROM pg_catalog.pg_settings p WHERE p.name = 'synchronous_commit'),"
         " (SELECT pg_catalog.string_agg(CASE WHEN s.setrole <> 0 THEN 'role ' || s.setrole::"
         "pg_catalog.regrole::pg_catalog.text ELSE 'database ' || pg_catalog.current_database()"
         " END, ', ')" +
         own_settings +
         " AND pg_catalog.lower(pg_catalog.substr(c, 20)) IN ('off', 'local', 'false', 'no', '0')),"
         " EXISTS (SELECT" +
         own_settings +
         " AND s.setrole = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = "
         "session_user)), (SELECT pg_catalog.count(*)" +
         of_walsender + ", (SELECT w.state" + of_walsender + ", (SELECT w.sync_state" +
         of_walsender +
         ", (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_wal_senders() w WHERE"
         " w.sync_priority > 0)";
}

SynchronyReading read_synchrony(const Reply& reply, int first) {
  SynchronyReading reading;
  reading.standby_names = reply.text(0, first);
  reading.synchronous_commit = reply.text(0, first + 1);
  reading.opted_out = reply.text(0, first + 2);
  reading.role_hides = reply.truth(0, first + 3);
  reading.exists = reply.number(0, first + 4) > 0;
  reading.visible = !reply.is_null(0, first + 5);
  reading.state = reply.text(0, first + 5);
  reading.sync_state = reply.text(0, first + 6);
  reading.candidates = static_cast<int>(reply.number(0, first + 7));
  return reading;
}

std::vector<Problem> gaps_in_settings(const SynchronyReading& reading, const std::string& standby) {
  std::vector<Problem> gaps;
  const std::optional<StandbyNames> names = parse_standby_names(reading.standby_names);
  if (!names) {
    gaps.push_back({"synchronous_standby_names = '" + reading.standby_names +
                        "' is in a form that pgcache does not know",
                    "use FIRST n (" + standby + ", ...), or strict_verify = read", true});
  } else if (const std::string gap = gap_in(*names, standby); !gap.empty()) {
    gaps.push_back({"commits may be acknowledged without pgcache: synchronous_standby_names = '" +
                        reading.standby_names + "': " + gap,
                    "ALTER SYSTEM SET synchronous_standby_names = " +
                        quote_literal(names_with(*names, standby)) + kReload +
                        "; or strict_verify = read",
                    true});
  }
  if (reading.role_hides) {
    gaps.push_back(
        {"the role that pgcache connects as has a synchronous_commit of its own, which "
         "hides the server's",
         "ALTER ROLE ... RESET synchronous_commit", true});
  } else if (!waits_for_standbys(reading.synchronous_commit)) {
    gaps.push_back(
        {"synchronous_commit is " + reading.synchronous_commit + ": commits wait for no standby",
         std::string("ALTER SYSTEM SET synchronous_commit = on") + kReload, true});
  }
  if (!reading.opted_out.empty()) {
    gaps.push_back({"synchronous_commit is off or local for " + reading.opted_out +
                        ": their commits wait for no standby",
                    "ALTER ROLE or ALTER DATABASE ... RESET synchronous_commit", true});
  }
  return gaps;
}

std::vector<Problem> gaps_in(const SynchronyReading& reading, const std::string& standby) {
  std::vector<Problem> gaps = gaps_in_settings(reading, standby);
  if (!gaps.empty()) return gaps;
  if (!reading.exists) {
    return {{"no commit waits for pgcache yet: it is not connected to the stream", "", true}};
  }
  if (!reading.visible) {
    return {{"the role that pgcache connects as may not see whether it is a synchronous standby",
             "GRANT pg_read_all_stats TO it", true}};
  }
  if (reading.state != "streaming") {
    return {{"no commit waits for pgcache yet: it has to catch up with the stream", "", true}};
  }
  const StandbyNames names = parse_standby_names(reading.standby_names).value_or(StandbyNames{});
  if (names.method == StandbyNames::Method::kFirst) {
    if (reading.sync_state == "sync") return {};
    return {
        {"another connection takes pgcache's place among the synchronous standbys: its state "
         "is " +
             reading.sync_state,
         "give " + standby + ", and each name in front of it, to one standby only", true}};
  }
  if (reading.sync_state == "quorum" && std::cmp_less_equal(reading.candidates, names.needed)) {
    return {};
  }
  return {{"more standbys have the names in synchronous_standby_names than commits wait for",
           "give each name to one standby only", true}};
}

}  // namespace pgcache::origin
