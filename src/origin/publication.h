// SPDX-License-Identifier: Apache-2.0
// The publication that decides which tables' changes reach the stream: what it covers, and how
// tables are put into it. Used by the control thread only.
//
// A table may be cached once its changes are certain to be in the stream. The walsender decides for
// each change by the publication as it was at that point of the WAL, so a transaction that was
// under way while the table was added may have changed rows unseen. Hence the fence: a transaction
// id assigned after the addition was committed. Every transaction that began to write before has a
// lower id, and a snapshot with xmin >= fence saw all of those end.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "origin/events.h"
#include "origin/link.h"

namespace pgcache::origin {

struct PublicationState {
  bool exists = false;
  bool all_tables = false;
  bool all_actions = false;                // insert, update, delete and truncate
  std::map<pg::Oid, std::string> members;  // whole: neither row filter nor column list; with the
                                           // version of their entries, so that a table that was
                                           // taken out and put back shows
  std::set<pg::Oid> filtered;
  std::set<pg::Oid> by_schema;  // tables of the schemas it names
  std::string version;          // of everything else
  friend bool operator==(const PublicationState&, const PublicationState&) = default;
};

// Whether every change to the relation is in the stream.
bool covers(const PublicationState& state, const pg::Catalog& catalog, pg::Oid relation);

Result<PublicationState> read_publication(Link& link, const std::string& name);

// An empty one, when it is missing.
Reply create_publication(Link& link, const std::string& name);

struct TrackingAnswer {
  enum class Kind { kTracked, kUntrackable, kRetry };  // kRetry: a lock was not to be had
  pg::Oid relation = pg::Oid::kInvalid;
  Kind kind = Kind::kRetry;
  pg::Xid fence;                          // kTracked
  Untrackable why = Untrackable::kOther;  // kUntrackable
  std::string detail;
};

struct TrackingOutcome {
  std::vector<TrackingAnswer> answers;  // one for each relation asked for, unless the link was lost
  std::map<pg::Oid, std::string> added;  // new members
};

// Answers for each relation; adds those to the publication that may be and must be. `state` is what
// the publication is now.
TrackingOutcome track(Link& link, const config::Config& config, const pg::Catalog& catalog,
                      const PublicationState& state, const std::vector<pg::Oid>& relations);

// Members whose updates the origin refuses because they have lost their replica identity.
std::vector<pg::Oid> members_without_identity(const PublicationState& state,
                                              const pg::Catalog& catalog);
Reply remove_from_publication(Link& link, const std::string& name, const pg::Catalog& catalog,
                              const std::vector<pg::Oid>& relations);

// "schema.table" or "schema.*" in the allow and deny lists.
bool denied_by_configuration(const config::Config& config, const pg::Relation& relation);

// Releases before the fix of early 2025 may go on missing changes of a table that is added while
// another transaction writes to it: there the table is locked against writers for the moment of the
// addition.
bool addition_needs_lock(int server_version);

}  // namespace pgcache::origin
