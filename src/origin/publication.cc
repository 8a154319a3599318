// SPDX-License-Identifier: Apache-2.0
// The publication that decides which tables' changes reach the stream.
#include "origin/publication.h"

#include <charconv>
#include <optional>

namespace pgcache::origin {
namespace {

using pg::Oid;
using Kind = TrackingAnswer::Kind;

std::set<Oid> to_oid_set(std::string_view text) {
  const std::vector<Oid> oids = parse_oids(text);
  return {oids.begin(), oids.end()};
}

std::string qualified_name(const pg::Relation& relation) {
  return quote_identifier(relation.schema_name) + "." + quote_identifier(relation.name);
}

bool covered_itself(const PublicationState& state, Oid relation) {
  // With FOR ALL TABLES single entries could only be exceptions.
  if (state.all_tables) return !state.members.contains(relation);
  return state.members.contains(relation) || state.by_schema.contains(relation);
}

// The relation and, for a partition, its ancestors.
std::vector<Oid> partition_line(const pg::Catalog& catalog, Oid relation) {
  std::vector<Oid> line;
  const pg::Relation* r = catalog.find_relation(relation);
  while (r != nullptr && line.size() < 1000) {
    line.push_back(r->oid);
    r = r->is_partition && !r->parents.empty() ? catalog.find_relation(r->parents[0]) : nullptr;
  }
  return line;
}

TrackingAnswer untrackable(Oid relation, Untrackable why, std::string detail) {
  return {relation, Kind::kUntrackable, pg::Xid{}, why, std::move(detail)};
}

// A partitioned table with a primary key gives one to each partition, now and later. Without it,
// leaves are added by themselves, and a later one without identity cannot be published by accident.
bool may_add_whole_tree(const pg::Catalog& catalog, const pg::Relation& root) {
  if (root.replica_identity != 'd' || !root.has_replica_identity) return false;
  for (const Oid oid : root.descendants) {
    const pg::Relation* leaf = catalog.find_relation(oid);
    if (leaf == nullptr || !leaf->has_replica_identity) return false;
    if (leaf->kind != 'r' && leaf->kind != 'p') return false;
  }
  return true;
}

// Sorts the relations asked for into answers, those that are covered, and those to be added.
struct Plan {
  std::vector<TrackingAnswer> answers;
  std::vector<Oid> covered;
  std::vector<Oid> additions;
  std::vector<Oid> partitions;  // covered as soon as their roots in `additions` are in
};

std::optional<TrackingAnswer> objection(const config::Config& config, const pg::Catalog& catalog,
                                        Oid oid) {
  const pg::Relation* relation = catalog.find_relation(oid);
  if (relation == nullptr) {
    return untrackable(oid, Untrackable::kOther, "the relation is not in the catalog");
  }
  if (relation->persistence != 'p' || (relation->kind != 'r' && relation->kind != 'p')) {
    return untrackable(oid, Untrackable::kOther, "not a permanent table");
  }
  if (denied_by_configuration(config, *relation)) {
    return untrackable(oid, Untrackable::kDenied, "excluded by allow_tables or deny_tables");
  }
  return std::nullopt;
}

void plan_addition(const config::Config& config, const pg::Catalog& catalog,
                   const PublicationState& state, Oid oid, Plan& plan) {
  const pg::Relation& relation = *catalog.find_relation(oid);
  if (!config.manage_publication || state.all_tables || !state.all_actions) {
    plan.answers.push_back(untrackable(oid, Untrackable::kNotPublished,
                                       "the publication does not carry all changes of the table"));
    return;
  }
  for (const Oid ancestor : partition_line(catalog, oid)) {
    if (state.filtered.contains(ancestor)) {
      plan.answers.push_back(untrackable(oid, Untrackable::kNotPublished,
                                         "the publication filters the table's rows or columns"));
      return;
    }
  }
  if (relation.kind == 'p') {
    // It has no rows of its own: when the tree cannot be added whole, its leaves decide.
    (may_add_whole_tree(catalog, relation) ? plan.additions : plan.covered).push_back(oid);
    return;
  }
  if (!relation.has_replica_identity) {
    plan.answers.push_back(
        untrackable(oid, Untrackable::kNoReplicaIdentity,
                    "no primary key and no other replica identity: publishing it "
                    "would make the origin refuse UPDATE and DELETE"));
    return;
  }
  plan.additions.push_back(oid);
}

Plan make_plan(const config::Config& config, const pg::Catalog& catalog,
               const PublicationState& state, const std::vector<Oid>& relations) {
  Plan plan;
  std::vector<Oid> plain;
  for (const Oid oid : relations) {
    if (auto answer = objection(config, catalog, oid)) {
      plan.answers.push_back(std::move(*answer));
    } else if (covers(state, catalog, oid)) {
      plan.covered.push_back(oid);
    } else if (catalog.find_relation(oid)->kind == 'p') {
      plan_addition(config, catalog, state, oid, plan);
    } else {
      plain.push_back(oid);
    }
  }
  // Roots first: a leaf whose root is being added is covered by that.
  PublicationState after = state;
  for (const Oid oid : plan.additions) after.members.emplace(oid, "");
  for (const Oid oid : plain) {
    if (covers(after, catalog, oid)) {
      plan.partitions.push_back(oid);
    } else {
      plan_addition(config, catalog, state, oid, plan);
    }
  }
  return plan;
}

std::string addition_statement(const config::Config& config, const pg::Catalog& catalog,
                               const std::vector<Oid>& relations, bool lock) {
  std::string sql = "BEGIN; SET LOCAL lock_timeout = '500ms'; ";
  std::string list;
  for (const Oid oid : relations) {
    const pg::Relation& relation = *catalog.find_relation(oid);
    const std::string name = qualified_name(relation);
    if (lock) {
      sql += "LOCK TABLE " + std::string(relation.kind == 'p' ? "" : "ONLY ") + name +
             " IN SHARE ROW EXCLUSIVE MODE; ";
    }
    list += std::string(list.empty() ? "" : ", ") + "ONLY " + name;
  }
  return sql + "ALTER PUBLICATION " + quote_identifier(config.publication) + " ADD TABLE " + list;
}

TrackingAnswer answer_for_failure(Oid oid, const Failure& failure) {
  // lock_not_available, deadlock_detected, query_canceled, serialization_failure, duplicate_object
  // (somebody else has just added it), internal_error (a row changed under the statement)
  for (const char* passing : {"55P03", "40P01", "57014", "40001", "42710", "XX000"}) {
    if (failure.sqlstate == passing) return {oid, Kind::kRetry, pg::Xid{}, Untrackable::kOther, ""};
  }
  const bool privilege = failure.sqlstate == "42501";
  return untrackable(oid, privilege ? Untrackable::kNoPrivilege : Untrackable::kOther,
                     failure.message);
}

// The version of a row: another when the row was replaced or written again.
constexpr const char* kRowVersion = "r.oid || '/' || r.xmin::text";

std::map<Oid, std::string> to_members(const Reply& reply) {
  std::map<Oid, std::string> out;
  for (int i = 0; i < reply.rows(); ++i) out.emplace(reply.oid(i, 0), reply.text(i, 1));
  return out;
}

// Within the transaction that added them, and by oid: a name may have come to mean another table.
std::map<Oid, std::string> read_additions(Link& link, const config::Config& config,
                                          const std::vector<Oid>& relations) {
  std::string list;
  for (const Oid oid : relations) list += (list.empty() ? "" : ", ") + std::to_string(to_u32(oid));
  const Reply reply = link.query(
      std::string("SELECT r.prrelid, ") + kRowVersion +
      " FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = " +
      quote_literal(config.publication) + " AND r.prrelid IN (" + list + ")");
  return reply.ok() ? to_members(reply) : std::map<Oid, std::string>();
}

void retry_all(const std::vector<Oid>& relations, TrackingOutcome& outcome) {
  for (const Oid oid : relations) {
    outcome.answers.push_back({oid, Kind::kRetry, pg::Xid{}, Untrackable::kOther, ""});
  }
}

// Adds them, together or, if that fails, one by one.
void add_tables(Link& link, const config::Config& config, const pg::Catalog& catalog,
                const std::vector<Oid>& relations, TrackingOutcome& outcome,
                std::vector<Oid>& covered) {
  if (relations.empty() || link.lost()) return;
  const bool lock = addition_needs_lock(link.server_version());
  const Reply reply = link.query(addition_statement(config, catalog, relations, lock));
  if (reply.ok()) {
    const std::map<Oid, std::string> added = read_additions(link, config, relations);
    const bool right = added.size() == relations.size();
    if (!link.query(right ? "COMMIT" : "ROLLBACK").ok() || !right) {
      return retry_all(relations, outcome);
    }
    outcome.added.insert(added.begin(), added.end());
    covered.insert(covered.end(), relations.begin(), relations.end());
    return;
  }
  if (link.lost() || !link.query("ROLLBACK").ok()) return;
  if (relations.size() > 1) {
    for (const Oid oid : relations) add_tables(link, config, catalog, {oid}, outcome, covered);
    return;
  }
  outcome.answers.push_back(answer_for_failure(relations[0], reply.failure()));
}

// A transaction id that is assigned now.
std::optional<pg::Xid> take_fence(Link& link) {
  Reply reply = link.query("SELECT pg_current_xact_id()");
  if (!reply.ok() && !link.lost()) {
    // A standby assigns none. Nothing can be added there either, so only transactions matter that
    // write by now on the primary; their ids end before this.
    reply = link.query("SELECT pg_snapshot_xmax(pg_current_snapshot())");
  }
  if (!reply.ok()) return std::nullopt;
  std::uint64_t value = 0;
  const std::string_view text = reply.text(0, 0);
  std::from_chars(text.data(), text.data() + text.size(), value);
  if (value == 0) return std::nullopt;
  return pg::Xid{value};
}

bool matches(const std::string& pattern, const pg::Relation& relation) {
  if (pattern == relation.schema_name + ".*") return true;
  return pattern == relation.schema_name + "." + relation.name;
}

}  // namespace

bool covers(const PublicationState& state, const pg::Catalog& catalog, Oid relation) {
  if (!state.exists || !state.all_actions) return false;
  bool covered = false;
  for (const Oid oid : partition_line(catalog, relation)) {
    if (state.filtered.contains(oid)) return false;
    covered = covered || covered_itself(state, oid);
  }
  return covered;
}

Result<PublicationState> read_publication(Link& link, const std::string& name) {
  const bool filters = link.server_version() >= 150000;
  const std::string entries =
      " FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = " +
      quote_literal(name);
  const std::string filtered = "(r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)";
  const Reply reply = link.query(
      "SELECT p.puballtables, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate,"
      " p.oid || '/' || p.xmin::text" +
      (filters ? " || coalesce((SELECT string_agg(' ' || r.oid || '/' || r.xmin::text, ''"
                 " ORDER BY r.oid) FROM pg_publication_namespace r WHERE r.pnpubid = p.oid), '')"
                 " || coalesce((SELECT string_agg(' ' || r.oid || '/' || r.xmin::text, ''"
                 " ORDER BY r.oid) FROM pg_publication_rel r WHERE r.prpubid = p.oid AND " +
                     filtered + "), ''), (SELECT string_agg(r.prrelid::text, ' ')" + entries +
                     " AND " + filtered +
                     "), (SELECT string_agg(c.oid::text, ' ') FROM pg_publication_namespace n"
                     " JOIN pg_class c ON c.relnamespace = n.pnnspid WHERE n.pnpubid = p.oid"
                     " AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p')"
               : std::string(", NULL, NULL")) +
      " FROM pg_publication p WHERE p.pubname = " + quote_literal(name));
  if (!reply.ok()) return Error{"cannot read the publication: " + reply.failure().message};
  PublicationState state;
  if (reply.rows() == 0) return state;
  state.exists = true;
  state.all_tables = reply.truth(0, 0);
  state.all_actions = reply.truth(0, 1);
  state.version = reply.text(0, 2);
  state.filtered = to_oid_set(reply.text(0, 3));
  state.by_schema = to_oid_set(reply.text(0, 4));
  const Reply members = link.query(std::string("SELECT r.prrelid, ") + kRowVersion + entries +
                                   (filters ? " AND NOT " + filtered : ""));
  if (!members.ok()) return Error{"cannot read the publication: " + members.failure().message};
  state.members = to_members(members);
  return state;
}

Reply create_publication(Link& link, const std::string& name) {
  return link.query("CREATE PUBLICATION " + quote_identifier(name));
}

TrackingOutcome track(Link& link, const config::Config& config, const pg::Catalog& catalog,
                      const PublicationState& state, const std::vector<Oid>& relations) {
  TrackingOutcome outcome;
  Plan plan = make_plan(config, catalog, state, relations);
  outcome.answers = std::move(plan.answers);
  add_tables(link, config, catalog, plan.additions, outcome, plan.covered);
  PublicationState after = state;
  after.members.insert(outcome.added.begin(), outcome.added.end());
  for (const Oid oid : plan.partitions) {
    if (covers(after, catalog, oid)) {
      plan.covered.push_back(oid);
    } else {
      outcome.answers.push_back({oid, Kind::kRetry, pg::Xid{}, Untrackable::kOther, ""});
    }
  }
  if (plan.covered.empty() || link.lost()) return outcome;
  const std::optional<pg::Xid> fence = take_fence(link);
  for (const Oid oid : plan.covered) {
    if (fence) {
      outcome.answers.push_back({oid, Kind::kTracked, *fence, Untrackable::kOther, ""});
    } else {
      outcome.answers.push_back({oid, Kind::kRetry, pg::Xid{}, Untrackable::kOther, ""});
    }
  }
  return outcome;
}

std::vector<Oid> members_without_identity(const PublicationState& state,
                                          const pg::Catalog& catalog) {
  std::vector<Oid> out;
  if (state.all_tables || !state.all_actions) return out;
  for (const auto& [oid, version] : state.members) {
    const pg::Relation* relation = catalog.find_relation(oid);
    if (relation == nullptr) continue;
    const bool fit = relation->kind == 'p' ? may_add_whole_tree(catalog, *relation)
                                           : relation->has_replica_identity;
    if (!fit) out.push_back(oid);
  }
  return out;
}

Reply remove_from_publication(Link& link, const std::string& name, const pg::Catalog& catalog,
                              const std::vector<Oid>& relations) {
  std::string list;
  for (const Oid oid : relations) {
    list += std::string(list.empty() ? "" : ", ") + "ONLY " +
            qualified_name(*catalog.find_relation(oid));
  }
  Reply reply = link.query("BEGIN; SET LOCAL lock_timeout = '500ms'; ALTER PUBLICATION " +
                           quote_identifier(name) + " DROP TABLE " + list + "; COMMIT");
  if (!reply.ok() && !link.lost()) {
    const Reply rollback = link.query("ROLLBACK");
    if (!rollback.ok()) return Reply(rollback.failure());
  }
  return reply;
}

bool denied_by_configuration(const config::Config& config, const pg::Relation& relation) {
  for (const std::string& pattern : config.deny_tables) {
    if (matches(pattern, relation)) return true;
  }
  if (config.allow_tables.empty()) return false;
  for (const std::string& pattern : config.allow_tables) {
    if (matches(pattern, relation)) return false;
  }
  return true;
}

bool addition_needs_lock(int server_version) {
  const int major = server_version / 10000;
  const int minor = server_version % 10000;
  switch (major) {
    case 14:
      return minor < 18;
    case 15:
      return minor < 13;
    case 16:
      return minor < 9;
    case 17:
      return minor < 5;
    default:
      return major < 14;
  }
}

}  // namespace pgcache::origin
