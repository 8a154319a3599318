// SPDX-License-Identifier: Apache-2.0
// Publishing: the test of a finished load against what its snapshot may have missed (cache_impl.h).
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "cache/cache_impl.h"
#include "cache/relevance.h"

namespace pgcache::cache {

namespace {

// The dependencies, by number, that rows of a relation can matter to.
using DependenciesByRelation = std::unordered_map<pg::Oid, std::vector<std::size_t>>;

DependenciesByRelation dependencies_touched(const sql::CacheableQuery& query,
                                            const std::vector<Standing>& standings,
                                            const LoggedTransaction& transaction) {
  DependenciesByRelation touched;
  for (std::size_t i = 0; i < query.dependencies.size(); ++i) {
    if (!standings[i].matters) continue;
    for (const pg::Oid oid : query.dependencies[i].members) {
      if (transaction.touches(oid)) touched[oid].push_back(i);
    }
  }
  return touched;
}

// Whether the query names the relation, in whatever role.
bool names(const sql::CacheableQuery& query, pg::Oid relation) {
  const auto holds = [relation](const std::vector<pg::Oid>& oids) {
    return std::find(oids.begin(), oids.end(), relation) != oids.end();
  };
  return holds(query.relations) ||
         std::any_of(query.dependencies.begin(), query.dependencies.end(),
                     [&](const sql::Dependency& d) { return holds(d.members); });
}

}  // namespace

PublishOutcome Cache::publish(std::unique_ptr<Load> load, CachedResult result) {
  CHECK(load);
  auto& state = static_cast<LoadState&>(*load);
  CHECK(state.impl == impl_);
  PublishOutcome outcome = PublishOutcome::kFailed;
  try {
    outcome = impl_->publish(state, std::move(result));
  } catch (const std::exception& error) {
    log_error("a result could not be cached: {}", error.what());
  }
  impl_->publish_outcomes[static_cast<std::size_t>(outcome)].fetch_add(1,
                                                                       std::memory_order_relaxed);
  load.reset();  // wakes those who wait for it
  return outcome;
}

void Cache::stop_waiting_for(Load& load) {
  auto& state = static_cast<LoadState&>(load);
  if (state.flying) impl_->end_flight(state);
}

void Cache::abandon(std::unique_ptr<Load> load, PublishOutcome why) {
  impl_->publish_outcomes[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
  load.reset();  // wakes those who wait for it
}

PublishOutcome CacheImpl::publish(LoadState& load, CachedResult result) {
  if (result.rows.size() + result.row_description.size() > limits.result_bytes_max) {
    return PublishOutcome::kTooLarge;
  }
  const auto load_time = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, static_cast<std::int64_t>(result.load_time.count())));
  Candidate candidate = candidate_of(load, std::move(result));
  if (candidate.entry->bytes > limits.bytes_max) return PublishOutcome::kTooLarge;

  const bool was_settled = !wants_measure();
  PublishOutcome outcome;
  {
    const ApplyLock apply_lock(*this);
    outcome = verdict_on(load, candidate);
    if (outcome != PublishOutcome::kPublished) return outcome;
    insert(std::move(candidate));
  }
  load.shape->stats.loads.fetch_add(1, std::memory_order_relaxed);
  load.shape->stats.load_time_ns.fetch_add(load_time, std::memory_order_relaxed);
  if (was_settled && wants_measure() && request_measure) request_measure();
  return outcome;
}

CacheImpl::Candidate CacheImpl::candidate_of(LoadState& load, CachedResult result) {
  const sql::CacheableQuery& query = *load.shape->analysis.cacheable();
  Candidate candidate;
  candidate.entry = std::make_unique<Entry>();
  Entry& entry = *candidate.entry;
  entry.key = load.key;
  entry.hash = load.hash;
  entry.shape = load.shape;
  entry.operands = bind_arrays(query, std::move(load.operands));
  entry.result = std::make_shared<const CachedResult>(std::move(result));
  candidate.standings = standings_of(query, entry.operands);
  // What a result shows of its rows tells nothing of those beyond a row limit.
  for (std::size_t i = 0; i < query.dependencies.size() && !entry.result->suspended; ++i) {
    if (!candidate.standings[i].matters) continue;
    candidate.standings[i].shown =
        read_shown_keys(query.dependencies[i], *entry.result, load.result_formats_be);
    candidate.standings[i].facts =
        read_facts(query.dependencies[i], *entry.result, load.result_formats_be, entry.operands);
  }
  entry.bytes = entry_bytes(entry) + index_bytes(query, entry.operands, candidate.standings);
  return candidate;
}

PublishOutcome CacheImpl::verdict_on(const LoadState& load, const Candidate& candidate) {
  const pg::Snapshot& snapshot = *load.lease.snapshot;
  {
    const std::lock_guard front(front_mutex);
    if (load.epoch != epoch) return PublishOutcome::kObsolete;
    if (!load.shape->is_of(shape_generation_min)) return PublishOutcome::kObsolete;
    if (is_pending(*load.shape->analysis.cacheable())) return PublishOutcome::kObsolete;
    // That the snapshot sees all of the exported one is ensured by SnapshotBook, within an epoch.
    const auto& relations = load.shape->analysis.cacheable()->relations;
    if (tracking.judge(relations, snapshot).verdict != Tracking::Verdict::kReady) {
      return PublishOutcome::kSnapshotTooOld;
    }
  }
  if (fault(&Faults::skip_log_check)) return PublishOutcome::kPublished;
  if (!fault(&Faults::forget_silently) && !log.covers(snapshot)) {
    return PublishOutcome::kSnapshotTooOld;
  }
  for (const LoggedTransaction& transaction : log.transactions()) {
    if (!snapshot.sees(transaction.xid) && affects(transaction, candidate)) {
      return PublishOutcome::kAffected;
    }
  }
  return PublishOutcome::kPublished;
}

bool CacheImpl::affects(const LoggedTransaction& transaction, const Candidate& candidate) {
  for (const pg::Oid oid : transaction.relations) {
    if (is_unknown_relation(oid)) return true;
  }
  if (is_outdated_by(transaction, *candidate.entry->shape)) return true;
  const sql::CacheableQuery& query = *candidate.entry->shape->analysis.cacheable();
  const BoundOperands& operands = candidate.entry->operands;
  const cdc::Transaction& t = *transaction.transaction;
  for (const auto& relation : t.changed_relations) {
    if (names(query, relation->oid)) return true;
  }
  const DependenciesByRelation touched =
      dependencies_touched(query, candidate.standings, transaction);
  if (touched.empty()) return false;
  for (const auto& relation : t.overflowed_relations) {
    const auto it = touched.find(relation->oid);
    if (it == touched.end()) continue;
    for (const std::size_t i : it->second) {
      if (member_may_matter(query.dependencies[i], relation->oid, operands)) return true;
    }
  }
  for (std::size_t at = 0; at < t.changes.size(); ++at) {
    const cdc::RowChange& change = t.changes[at];
    const auto it = touched.find(change.relation->oid);
    if (it == touched.end()) continue;
    const ChangeImages seen(change, forms.form_of(change.relation),
                            transaction.images ? transaction.images->of(at) : std::string_view{});
    for (const std::size_t i : it->second) {
      const sql::Dependency& dependency = query.dependencies[i];
      const auto& shown = candidate.standings[i].shown;
      if (visibility(dependency, seen) != Visibility::kInvisible &&
          change_may_matter(dependency, seen, operands, shown ? &*shown : nullptr,
                            candidate.standings[i].facts) &&
          !keeps_result(dependency, seen, operands)) {
        return true;
      }
    }
  }
  return false;
}

void CacheImpl::insert(Candidate candidate) {
  Entry& entry = *candidate.entry;
  if (Entry* previous = store.peek({entry.key, entry.hash})) take_out(*previous);
  make_room(entry.bytes);
  entry.number = measures_begun.load();
  index.add(entry, std::move(candidate.standings));
  want_copies(entry);
  store.insert(std::move(candidate.entry));
}

void CacheImpl::make_room(std::uint64_t bytes) {
  while (store.bytes() + dropped.bytes() + bytes > limits.bytes_max) {
    if (dropped.count() > 0) {
      take_out_some();
      continue;
    }
    Entry* victim = store.victim();
    CHECK(victim);
    count_invalidation(*victim, InvalidationCause::kEvict);
    take_out(*victim);
  }
}

}  // namespace pgcache::cache
