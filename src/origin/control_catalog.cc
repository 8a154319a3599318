// SPDX-License-Identifier: Apache-2.0
// The control connection's care for the catalog and the publication.
#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "origin/control_link_impl.h"
#include "origin/replica_identity.h"
#include "origin/table_reader.h"

namespace pgcache::origin {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr Duration kPartialCatalogRetry = std::chrono::seconds(3);
constexpr Duration kPublicationRetry = std::chrono::seconds(3);
constexpr Duration kIdentityRetryMin = std::chrono::seconds(1);
constexpr Duration kIdentityRetryMax = std::chrono::minutes(1);
constexpr Duration kIdentityMoment = milliseconds(150);
constexpr Duration kCopyMoment = milliseconds(50);
constexpr Duration kCopyRest = std::chrono::seconds(10);
constexpr Duration kCopyLockedRetryMax = std::chrono::seconds(1);
constexpr Duration kDefinitionsSpacingMin = milliseconds(5);
constexpr Duration kDefinitionsSpacingMax = milliseconds(500);
constexpr Duration kTellerRetry = std::chrono::minutes(1);
constexpr Duration kTellerRetryAfterAccident = std::chrono::seconds(1);

}  // namespace

// Definitions count as read when the publication has been looked at too: what is not in it any more
// must not be loaded as if it were.
void ControlLink::Impl::check_catalog() {
  const TimePoint begin = Clock::now();
  next_catalog_check = begin + config->catalog_poll_interval;
  const bool renewed = renew_catalog();
  if (renewed) {
    for (const auto& done : std::exchange(catalog_waiters, {})) done();
    if (refresh_publication() && streams_from_here()) {
      events.on_definitions_read(catalog_state.snapshot);
    }
  }
  // Many commands one after the other shall not keep the origin busy with this.
  const TimePoint end = Clock::now();
  next_definitions_reading =
      end + std::clamp<Duration>(4 * (end - begin), kDefinitionsSpacingMin, kDefinitionsSpacingMax);
  if (renewed && !link->lost()) look_after_teller();
}

// False when the catalog may not be as it is at the origin.
bool ControlLink::Impl::renew_catalog() {
  // After a load the state is read once more: the text of views is read as of now, not as of the
  // load's snapshot.
  for (int attempt = 0; attempt < 3; ++attempt) {
    const TimePoint began = Clock::now();
    Result<CatalogState> state = read_catalog_state(*link);
    if (!state.ok()) {
      if (!link->lost()) {
        reporter.report({{state.error().message, "see the origin's log for the reason", true}});
      }
      return false;
    }
    if (catalog != nullptr &&
        state->configuration_loaded_at != catalog_state.configuration_loaded_at) {
      catalog_state.configuration_loaded_at = state->configuration_loaded_at;
      events.on_configuration_reloaded();
    }
    events.on_configuration_checked(began);
    if (catalog != nullptr && state->fingerprint == catalog_state.fingerprint) {
      catalog_state.snapshot = std::move(state->snapshot);
      break;
    }
    if (!reload_catalog()) return false;
    if (catalog_state.fingerprint.empty()) break;
  }
  return true;
}

bool ControlLink::Impl::reload_catalog() {
  const TimePoint begin = Clock::now();
  Result<LoadedCatalog> loaded = load_catalog(*link, ViewDefinitions::kRead);
  if (!loaded.ok() && !link->lost()) {
    // Reading a view waits for locks on the tables it reads, and fails when one vanishes meanwhile.
    // The change must take effect at once all the same: then views are opaque until the next
    // attempt.
    log_info("control link: {}; loading it without views", loaded.error().message);
    loaded = load_catalog(*link, ViewDefinitions::kSkip);
    if (loaded.ok()) loaded->state.fingerprint.clear();
    next_catalog_check = Clock::now() + kPartialCatalogRetry;
  }
  if (!loaded.ok()) {
    // What changed is not known, so nothing that was cached may stay: without this link there are
    // no proofs of freshness, and the next one begins with a load.
    log_warning("control link: {}", loaded.error().message);
    link->mark_lost();
    catalog.reset();
    return false;
  }
  log_debug("control link: catalog loaded in {} ms",
            std::chrono::duration_cast<milliseconds>(Clock::now() - begin).count());
  pg::DefinitionChange change = catalog != nullptr
                                    ? difference({catalog, catalog_state, catalog_parts}, *loaded)
                                    : pg::DefinitionChange::of_everything();
  // A definition that changed may have hidden row changes for a while (a partition that was
  // detached): what is tracked gets new fences.
  for (const pg::Oid oid : tracked) {
    if (change.touches({oid})) pending[oid] = {Clock::now(), kTrackingRetryMin};
  }
  catalog = loaded->catalog;
  catalog_state = std::move(loaded->state);
  catalog_parts = std::move(loaded->parts);
  std::optional<pg::Snapshot> snapshot;
  if (streams_from_here()) snapshot = catalog_state.snapshot;
  events.on_catalog({catalog, std::move(snapshot), std::move(change)});
  return true;
}

// Event triggers may be dropped or switched off without notice.
void ControlLink::Impl::look_after_teller() {
  std::string why_not = config->ddl_trigger ? "they are not in place" : "ddl_trigger is false";
  TellerState now;
  if (config->ddl_trigger) {
    const Result<TellerState> read = read_teller(*link);
    if (!read.ok()) return;
    now = *read;
    if (!now.in_place && (teller.in_place || Clock::now() >= next_teller_attempt)) {
      const std::optional<Failure> failure = create_teller(*link);
      if (link->lost()) return;
      if (failure) why_not = failure->message;
      made_teller = made_teller || !failure;
      // insufficient_privilege, or a standby (read_only_sql_transaction)
      const bool refused =
          failure && (failure->sqlstate == "42501" || failure->sqlstate == "25006");
      next_teller_attempt = Clock::now() + (refused ? kTellerRetry : kTellerRetryAfterAccident);
      const Result<TellerState> again = read_teller(*link);
      if (!again.ok()) return;
      now = *again;
    } else if (!now.in_place && teller_reported && now == teller) {
      return;
    }
  }
  if (std::exchange(teller_reported, true) && now.in_place == teller.in_place) return;
  teller = now;
  if (now.in_place) {
    log_info("control link: changes of definitions are told by event triggers");
  } else {
    log_warning("control link: changes of definitions are looked for each {} ms only: {}",
                config->catalog_poll_interval.count(), why_not);
  }
  events.on_definitions_told(now.in_place);
}

// Reads the publication and acts on what it finds: makes it, notices that somebody altered it,
// takes out tables that it must not hold. False when it could not be read.
bool ControlLink::Impl::refresh_publication() {
  next_publication_attempt = Clock::now() + kPublicationRetry;
  Result<PublicationState> now = read_publication(*link, config->publication);
  if (!now.ok()) return false;
  // A table that was dropped has left it; nothing rests on that any more.
  std::erase_if(publication.members, [&](const auto& member) {
    return catalog != nullptr && catalog->find_relation(member.first) == nullptr &&
           !now->members.contains(member.first);
  });
  if (!std::exchange(publication_read, true)) {
    publication = std::move(*now);
  } else if (*now != publication) {
    made_publication = false;  // as it is now it is somebody else's
    publication_was_altered(std::move(*now));
  }
  if (!publication.exists && !ensure_publication()) return false;
  if (publication.exists) publication_problem.reset();
  set_publication_ready(publication.exists);
  drop_members_without_identity();
  report_problems();
  return true;
}

bool ControlLink::Impl::ensure_publication() {
  if (!config->manage_publication) {
    publication_problem =
        Problem{"there is no publication " + config->publication,
                "CREATE PUBLICATION " + config->publication +
                    " FOR TABLE ..., or let pgcache manage it (manage_publication)",
                true};
    return true;
  }
  const Reply reply = create_publication(*link, config->publication);
  if (!reply.ok()) {
    if (link->lost()) return false;
    publication_problem = explain_publication_failure(*config, reply.failure());
    return true;
  }
  made_publication = true;
  log_info("control link: publication {} created", config->publication);
  Result<PublicationState> made = read_publication(*link, config->publication);
  if (!made.ok()) return false;
  publication = std::move(*made);
  return true;
}

// Whatever was tracked may have gone unseen for a while: nothing counts as tracked any more, and
// the catalog, handed on again, drops what was cached. In this order, so that nothing is loaded in
// between.
void ControlLink::Impl::publication_was_altered(PublicationState now) {
  publication = std::move(now);
  log_info("control link: publication {} was altered; everything is tracked anew",
           config->publication);
  for (const pg::Oid oid : std::exchange(tracked, {})) {
    events.on_untrackable(oid, Untrackable::kNotPublished, "the publication was altered");
  }
  if (catalog != nullptr) {
    events.on_catalog({catalog, std::nullopt, pg::DefinitionChange::of_everything()});
  }
}

void ControlLink::Impl::drop_members_without_identity() {
  if (!config->manage_publication || catalog == nullptr || !publication.exists) return;
  const std::vector<pg::Oid> unfit = members_without_identity(publication, *catalog);
  if (unfit.empty()) return;
  const Reply reply = remove_from_publication(*link, config->publication, *catalog, unfit);
  if (!reply.ok()) {
    log_warning(
        "control link: cannot take tables without replica identity out of the publication: {}",
        reply.failure().message);
    return;
  }
  for (const pg::Oid oid : unfit) {
    log_warning("control link: {} has no replica identity any more and leaves the publication",
                catalog->find_relation(oid)->name);
  }
  PublicationState after = publication;
  for (const pg::Oid oid : unfit) after.members.erase(oid);
  publication_was_altered(std::move(after));
}

void ControlLink::Impl::want_identities(pg::Oid relation) {
  for (const pg::Oid oid : tables_to_raise(*config, *catalog, publication, relation)) {
    if (!identities_settled.contains(oid)) {
      identities.try_emplace(oid, PendingTracking{Clock::now(), kIdentityRetryMin});
    }
  }
}

// Each attempt may wait for a lock, while proofs of freshness and snapshots wait for this thread:
// so no more than fits into a moment.
void ControlLink::Impl::raise_identities() {
  const TimePoint begin = Clock::now();
  for (auto it = identities.begin(); it != identities.end() && catalog != nullptr;) {
    if (Clock::now() >= begin + kIdentityMoment) return;
    PendingTracking& when = it->second;
    if (when.due > begin) {
      ++it;
      continue;
    }
    const pg::Relation* table = catalog->find_relation(it->first);
    const RaiseAnswer answer = raise_identity(*link, *config, *catalog, it->first);
    if (link->lost()) return;
    if (answer.kind == RaiseAnswer::Kind::kRetry) {
      when.due = Clock::now() + when.delay;
      when.delay = std::min(when.delay * 2, kIdentityRetryMax);
      ++it;
      continue;
    }
    identities_settled.insert(it->first);
    if (table != nullptr && answer.kind == RaiseAnswer::Kind::kRaised) {
      log_info("control link: {}.{} is at REPLICA IDENTITY FULL now", table->schema_name,
               table->name);
    } else if (table != nullptr) {
      log_warning("{}.{} keeps its replica identity: {}", table->schema_name, table->name,
                  answer.detail);
      events.on_identity_refused(it->first, answer.detail);
    }
    it = identities.erase(it);
  }
}

// While a table is read nothing else is done here, so no more than fits into a moment; one that is
// wanted again soon after (since a change did not fit) waits longer each time.
void ControlLink::Impl::copy_tables() {
  if (config->table_copies_size == 0 || catalog == nullptr || !streams_from_here()) return;
  const TimePoint begin = Clock::now();
  for (const pg::Oid relation : events.copies_wanted()) {
    if (Clock::now() >= begin + kCopyMoment) return;
    const pg::Relation* const table = catalog->find_relation(relation);
    if (table == nullptr) {
      copy_attempts.erase(relation);
      continue;
    }
    PendingTracking& attempt = copy_attempts[relation];
    if (attempt.due > begin || !events.on_copy_begins(relation)) continue;
    const bool rested = begin > attempt.due + kCopyRest;
    attempt.delay = rested ? kCopyRetryMin : std::min(attempt.delay * 2, kCopyRetryMax);
    const bool was_locked = !copy_table(*table);
    attempt.due =
        begin + (was_locked ? std::min(attempt.delay, kCopyLockedRetryMax) : attempt.delay);
    if (link->lost()) return;
  }
}

// False: it was not to be had now.
bool ControlLink::Impl::copy_table(const pg::Relation& table) {
  TableReading reading;
  try {
    reading = read_table(*link, table, config->table_copies_size / 4);
  } catch (const std::exception&) {
    events.on_copy_failed();
    throw;
  }
  if (reading.kind == TableReading::Kind::kRetry || link->lost()) {
    events.on_copy_failed();
    return false;
  }
  events.on_copy(std::move(reading.rows));
  return true;
}

void ControlLink::Impl::set_publication_ready(bool ready) {
  const std::lock_guard lock(publication_mutex);
  publication_ready = ready;
  publication_changed.notify_all();
}

void ControlLink::Impl::report_problems() {
  std::vector<Problem> problems;
  if (publication_problem) problems.push_back(*publication_problem);
  reporter.report(std::move(problems));
}

}  // namespace pgcache::origin
