// SPDX-License-Identifier: Apache-2.0
// The change stream and the control connection of a run. See world.h.
#include <algorithm>

#include "simulator/world.h"

namespace pgcache::simulator {

void World::prepare(proxy::SessionEnvironment& environment) {
  environment.config = &config_;
  environment.cache = cache_.get();
  environment.shapes = shapes_.get();
  environment.settings = &settings_;
  environment.database = "app";
  environment.settings_epoch = &settings_epoch_;
  environment.configuration_checked = &configuration_checked_;
  environment.definitions_pending = &definitions_pending_;
  environment.on_ddl_seen = [this](bool redefines) {
    catalog_doubtful_ = true;
    if (redefines) definitions_pending_ = 1;
  };
}

// --- the stream

void World::stream_step() {
  if (!has_slot_) {
    if (draining_ || random_.one_in(4)) cold_start();
    return;
  }
  if (!connected_) {
    if (draining_ || random_.one_in(8)) connect_stream();
    return;
  }
  if (origin_->wal().empty()) {
    if (random_.one_in(4)) origin_->other_wal();
    note_position(origin_->position());
    return;
  }
  if (random_.one_in(8)) {
    note_position(origin_->wal().front().data->commit_lsn);
    return;
  }
  const WalEntry entry = origin_->wal().front();
  origin_->wal().pop_front();
  apply(entry);
}

void World::apply(WalEntry entry) {
  if (trace_) {
    std::string line = "apply: " + std::to_string(entry.tx->xid.value);
    if (entry.data->overflowed) line += " overflowed";
    for (const cdc::RowChange& change : entry.data->changes) {
      line += " | " + change.relation->name + " " + std::to_string(static_cast<int>(change.kind));
      for (const auto& cell : change.old_row) line += " " + std::string(cell.bytes);
      line += " ->";
      for (const auto& cell : change.new_row) line += " " + std::string(cell.bytes);
    }
    trace(std::move(line));
  }
  if (fault_ == Fault::kLoseTransactions && random_.one_in(3)) {
    cache_->on_position(entry.data->end_lsn);
  } else {
    cache_->apply(entry.data);
  }
  origin_->note_applied(*entry.tx);
  applied_ = std::max(applied_, entry.data->end_lsn);
}

void World::note_position(pg::Lsn position) {
  cache_->on_position(position);
  applied_ = std::max(applied_, position);
}

void World::cold_start() {
  if (connected_) disconnect_stream();
  ++totals_.cold_starts;
  const pg::Snapshot exported = origin_->create_slot();
  if (trace_) trace("cold start");
  proofs_.clear();
  has_slot_ = true;
  applied_ = origin_->position();
  cache_->on_cold_start(exported, applied_);
  if (random_.one_in(2)) connect_stream();
}

void World::connect_stream() {
  connected_ = true;
  proofs_.clear();
  ++totals_.reconnects;
  cache_->on_stream_connected();
}

void World::disconnect_stream() {
  if (!connected_) return;
  connected_ = false;
  proofs_.clear();
  cache_->on_stream_disconnected();
}

// --- the control connection: one thing at a time, and answers are told in order

void World::control_step() {
  if (!deliveries_.empty()) {
    const auto deliver = std::move(deliveries_.front());
    deliveries_.pop_front();
    deliver();
  } else if (publishing_ || (!round_ && !to_publish_.empty() && random_.one_in(2))) {
    publish_step();
  } else if (round_) {
    finish_round();
  } else if (!positions_.empty() && random_.one_in(2)) {
    answer_positions();
  } else if (!reload_known_ && random_.one_in(20)) {
    tell_of_reload();
  } else if (catalog_doubtful_ && random_.one_in(4)) {
    change_catalog();
  } else if (copying_ || random_.one_in(joins_ ? 2 : 6)) {
    copy_step();
  } else {
    begin_round();
  }
}

void World::begin_round() {
  if (reload_known_) configuration_checked_.store(now_);
  cache_->on_measure_begins();
  round_ = {{}, now_, origin_->moment()};
}

void World::finish_round() {
  round_->position = origin_->position();
  const pg::Snapshot snapshot =
      fault_ == Fault::kFutureSnapshots ? origin_->snapshot_by_wal() : origin_->snapshot();
  deliveries_.push_back([this, snapshot, position = round_->position] {
    cache_->on_measured(position, snapshot);
    if (trace_) {
      std::string line = "snapshot: " + std::to_string(snapshot.xmin.value) + ":" +
                         std::to_string(snapshot.xmax.value) + ":";
      for (const pg::Xid xid : snapshot.xip) line += " " + std::to_string(xid.value);
      trace(std::move(line));
    }
    cache_->set_snapshot(snapshot);
  });
  deliveries_.push_back([this] {
    const Proof proof = *round_;
    round_.reset();
    cache_->on_heartbeat(fault_ == Fault::kFalseHeartbeats ? pg::Lsn{1} : proof.position,
                         proof.taken_at);
    if (connected_) proofs_.push_back(proof);
  });
}

// A table is read whole by one statement, some time after it was begun.
void World::copy_step() {
  if (!copying_) {
    const std::vector<pg::Oid> wanted = cache_->copies_wanted();
    if (wanted.empty()) return begin_round();
    const pg::Oid relation = wanted[random_.below(static_cast<std::uint32_t>(wanted.size()))];
    if (auto load = cache_->begin_copy(relation)) copying_ = {relation, std::move(load)};
    return;
  }
  const Copying copying = *std::exchange(copying_, std::nullopt);
  const auto* const table = std::find_if(
      kTables.begin(), kTables.end(), [&](TableId id) { return spec(id).oid == copying.relation; });
  cdc::TableRows rows{origin_->form(*table), origin_->snapshot(), origin_->position(), {}};
  const std::vector<ColumnSpec>& columns = spec(*table).columns;
  for (const Row& row :
       origin_->rows(*table, {origin_->moment()}, [](const Row&) { return true; })) {
    auto& texts = rows.rows.emplace_back();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (row[i]) {
        texts.emplace_back(to_text(*row[i], columns[i].is_text));
      } else {
        texts.emplace_back();
      }
    }
  }
  ++totals_.copies;
  deliveries_.push_back(
      [this, load = copying.load, rows = std::move(rows)] { cache_->finish_copy(load, rows); });
}

void World::publish_step() {
  if (!publishing_) {
    publishing_ = to_publish_.front();
    to_publish_.pop_front();
    if (origin_->publish(*publishing_)) return;
    deliveries_.push_back([this, oid = *publishing_] {
      cache_->set_untrackable(oid, sql::BypassReason::kNoReplicaIdentity);
    });
  } else {
    const pg::Xid fence = fault_ == Fault::kNoFences       ? pg::Xid{}
                          : fault_ == Fault::kNarrowFences ? origin_->snapshot().xmax
                                                           : origin_->assign_xid();
    deliveries_.push_back([this, fence, oid = *publishing_] {
      if (trace_) {
        trace("tracked: " + std::to_string(pg::to_u32(oid)) + " from " +
              std::to_string(fence.value));
      }
      cache_->set_tracked(oid, fence);
    });
  }
  publishing_.reset();
}

void World::request_position(std::function<void(pg::Lsn)> done) {
  positions_.push_back(std::move(done));
}

void World::answer_positions() {
  pg::Lsn position = origin_->position();
  if (random_.one_in(20)) position = {};
  if (fault_ == Fault::kEarlyPositions) position = {1};
  deliveries_.push_back([asked = std::move(positions_), position] {
    for (const auto& done : asked) done(position);
  });
  positions_.clear();
}

void World::change_catalog() {
  catalog_doubtful_ = false;
  definitions_pending_ = 0;
  if (trace_) trace("new catalog");
  shapes_->set_catalog(catalog_);
  cache_->on_catalog_changed(shapes_->generation(), catalog_);
}

// What was loaded since the reload may have been formed by the new configuration under a key that
// holds the old one: it goes.
void World::tell_of_reload() {
  if (trace_) trace("reload known");
  reload_known_ = true;
  settings_epoch_.fetch_add(1);
  if (fault_ != Fault::kReloadKeepsEntries) cache_->drop_all(cache::InvalidationCause::kDdl);
}

// What an answer from memory may be now, as far as the stream is concerned: nothing when the cache
// must not answer at all.
std::optional<HitWindow> World::hit_window() const {
  if (!has_slot_ || !connected_) return std::nullopt;
  const Proof* best = nullptr;
  for (const Proof& proof : proofs_) {
    if (proof.position <= applied_ && (best == nullptr || proof.taken_at >= best->taken_at)) {
      best = &proof;
    }
  }
  if (best == nullptr || now_ - best->taken_at > limits_.max_staleness) return std::nullopt;
  HitWindow window;
  window.oldest = best->moment;
  window.newest = origin_->moment();
  window.reloaded = !reload_known_;
  const TimePoint taken_at = best->taken_at;
  std::erase_if(proofs_, [taken_at](const Proof& proof) { return proof.taken_at < taken_at; });
  return window;
}

}  // namespace pgcache::simulator
