// SPDX-License-Identifier: Apache-2.0
// The model test's driver (cache_model_test.cc): the origin, its stream, the control thread and
// clients, interleaved by a seed.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache_model_test_support.h"

namespace pgcache::cache::testing::model {

inline constexpr int kStalenessMs = 150;

struct Counts {
  std::uint64_t published = 0;
  std::uint64_t affected = 0;
  std::uint64_t too_old = 0;
  std::uint64_t obsolete = 0;
  std::uint64_t hits = 0;
  std::uint64_t evicted = 0;
  std::uint64_t images = 0;  // of rows, kept when a run ended
};

class Model {
 public:
  Model(unsigned seed, CacheImpl::Faults faults)
      : random_(seed), cache_(limits(), [this](auto oids) {
          for (const pg::Oid oid : oids) asked_.push_back(oid);
        }) {
#ifdef PGCACHE_FAULTS
    CacheTestAccess::impl(cache_).faults = faults;
#else
    (void)faults;
#endif
    cache_.on_catalog_changed(0, catalog_);
    for (int id = 0; id < kIds; id += 2) base_[Table::kUsers][id] = pick(kAges);
    for (int id = 0; id < kIds; id += 3) base_[Table::kOrders][id] = pick(kAges);
    cold_start();
  }

  // The first broken promise, or empty.
  std::string run(int steps, Counts& counts) {
    for (int step = 0; step < steps && failure_.empty(); ++step) {
      now_ms_ += pick(4);
      act();
      check_entries();
      if (!failure_.empty()) failure_ += " at step " + std::to_string(step);
    }
    loads_.clear();
    const CacheStatus status = cache_.status(now());
    counts.published += status.publish_outcomes[static_cast<int>(PublishOutcome::kPublished)];
    counts.affected += status.publish_outcomes[static_cast<int>(PublishOutcome::kAffected)];
    counts.too_old += status.publish_outcomes[static_cast<int>(PublishOutcome::kSnapshotTooOld)];
    counts.obsolete += status.publish_outcomes[static_cast<int>(PublishOutcome::kObsolete)];
    counts.evicted += status.invalidations[static_cast<int>(InvalidationCause::kEvict)];
    counts.hits += hits_;
    counts.images += status.row_images;
    return failure_;
  }

 private:
  struct Loading {
    Query query;
    std::unique_ptr<Load> load;
    std::optional<std::set<std::uint64_t>> saw;  // xids, once its query has run
  };

  int pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  TimePoint now() const { return at_ms(now_ms_); }

  CacheLimits limits() {
    CacheLimits l;
    l.max_staleness = std::chrono::milliseconds(kStalenessMs);
    if (pick(3) == 0) l.transaction_log_bytes_max = 700;
    if (pick(3) == 0) l.bytes_max = 4000;
    if (pick(3) == 0) l.row_images_bytes_max = pick(3) == 0 ? 0 : 4000;
    return l;
  }

  // --- the origin

  Tables tables_of(const std::set<std::uint64_t>& xids, bool and_applied) const {
    Tables tables = base_;
    for (const ModelTransaction* t : wal_) {
      const bool seen = xids.contains(t->xid);
      if (seen || (and_applied && t->applied)) {
        play(*t, tables, seen || t->noticed);
      }
    }
    return tables;
  }

  std::set<std::uint64_t> visible_xids() const {
    std::set<std::uint64_t> xids;
    for (const ModelTransaction* t : wal_) {
      if (t->visible) xids.insert(t->xid);
    }
    return xids;
  }

  // `by_wal`: as slot creation sees it, by commit records; else as sessions do.
  pg::Snapshot take_snapshot(bool by_wal) const {
    pg::Snapshot s{{next_xid_}, {next_xid_}, {}};
    for (const ModelTransaction& t : transactions_) {
      if (t.over || (by_wal && t.end_lsn != 0)) continue;
      s.xip.push_back({t.xid});
    }
    if (!s.xip.empty()) s.xmin = s.xip.front();
    return s;
  }

  std::vector<ModelTransaction*> in_state(bool committed) {
    std::vector<ModelTransaction*> found;
    for (ModelTransaction& t : transactions_) {
      if (!t.over && (t.end_lsn != 0) == committed) found.push_back(&t);
    }
    return found;
  }
  ModelTransaction* any(bool committed) {
    const auto found = in_state(committed);
    return found.empty() ? nullptr
                         : found[static_cast<std::size_t>(pick(static_cast<int>(found.size())))];
  }

  bool locked(Table table, int id, const ModelTransaction& by) const {
    for (const ModelTransaction& t : transactions_) {
      if (t.over || &t == &by) continue;
      for (const ModelChange& c : t.changes) {
        if (c.table != table) continue;
        if (c.kind == cdc::ChangeKind::kTruncate || c.is_rewrite) return true;
        if (c.id == id || c.new_id == id) return true;
      }
    }
    return false;
  }

  void change_something(ModelTransaction& t) {
    const Table table = focused_ || pick(2) ? Table::kUsers : Table::kOrders;
    const int id = pick(focused_ ? 3 : kIds);
    const int new_id = pick(focused_ ? 12 : 4) == 0 ? pick(kIds) : id;
    Tables tables = tables_of(visible_xids(), false);
    play(t, tables);
    const Rows& rows = tables[table];
    ModelChange c;
    c.table = table;
    c.id = id;
    c.new_age = pick(kAges);
    c.new_id = new_id;
    c.streamed = published_.contains(table);
    if (pick(calm_ && !focused_ ? 40 : 15) == 0) {
      for (int i = 0; i < kIds; ++i) {
        if (locked(table, i, t)) return;
      }
      c.is_rewrite = pick(focused_ ? 4 : 2) != 0;
      if (!c.is_rewrite) c.kind = cdc::ChangeKind::kTruncate;
      t.changes.push_back(c);
      return;
    }
    if (locked(table, id, t) || locked(table, new_id, t)) return;
    const auto it = rows.find(id);
    if (it == rows.end()) {
      c.kind = cdc::ChangeKind::kInsert;
      c.new_id = id;
    } else {
      c.old_age = it->second;
      c.kind = pick(3) ? cdc::ChangeKind::kUpdate : cdc::ChangeKind::kDelete;
      if (c.kind == cdc::ChangeKind::kDelete) c.new_id = id;
      if (new_id != id && rows.contains(new_id)) return;
    }
    t.changes.push_back(c);
  }

  TransactionPtr streamed(const ModelTransaction& t) {
    TransactionBuilder builder(static_cast<std::uint32_t>(t.xid), t.end_lsn);
    const bool overflows = pick(25) == 0;
    for (const ModelChange& c : t.changes) {
      if (!c.streamed) continue;
      auto& form = c.table == Table::kUsers ? users_ : orders_;
      if (overflows) {
        builder.overflows(form);
        continue;
      }
      if (c.is_rewrite) {
        if (pick(2)) form = announced_again(form);
        continue;
      }
      const Row before = {std::to_string(c.id), "n", std::to_string(c.old_age), "x"};
      const Row after = {std::to_string(c.new_id), "n", std::to_string(c.new_age), "x"};
      const bool is_update = c.kind == cdc::ChangeKind::kUpdate;
      if (is_update && form->replica_identity != 'f' && c.new_age == c.old_age && pick(2)) {
        // The age was not touched, and is not sent, as if it were a large value.
        std::vector<cdc::Cell> row = builder.cells(after);
        row[2] = {cdc::CellKind::kUnchangedToast, {}};
        auto key = c.id == c.new_id ? std::vector<cdc::Cell>{} : builder.old_cells(form, before);
        builder.add(c.kind, form, std::move(key), std::move(row));
        continue;
      }
      switch (c.kind) {
        case cdc::ChangeKind::kInsert:
          builder.insert(form, after);
          break;
        case cdc::ChangeKind::kUpdate:
          if (form->replica_identity == 'f' || c.id != c.new_id) {
            builder.update(form, before, after);
          } else {
            builder.update(form, after);
          }
          break;
        case cdc::ChangeKind::kDelete:
          builder.remove(form, before);
          break;
        case cdc::ChangeKind::kTruncate:
          builder.truncate(form);
          break;
      }
    }
    return builder.build();
  }

  // --- the links

  static std::shared_ptr<const cdc::StreamRelation> announced_again(
      const std::shared_ptr<const cdc::StreamRelation>& form) {
    return std::make_shared<const cdc::StreamRelation>(*form);
  }

  void cold_start() {
    for (ModelTransaction* t : wal_) t->applied = t->noticed = true;
    stream_.clear();
    sent_.clear();
    answers_.clear();
    cache_.on_cold_start(take_snapshot(true), {lsn_});
    cache_.on_stream_connected();
    connected_ = true;
  }

  void apply_next() {
    if (!connected_ || stream_.empty()) return;
    // As many as came together.
    const int count = 1 + pick(std::min(3, static_cast<int>(stream_.size())));
    std::vector<std::shared_ptr<const cdc::Transaction>> together;
    for (int i = 0; i < count; ++i) together.push_back(streamed(*stream_[i]));
    cache_.apply(together);
    for (int i = 0; i < count; ++i) {
      ModelTransaction* t = stream_.front();
      stream_.pop_front();
      t->applied = true;
      sent_.push_back(t);
      if (sent_.size() > 4) sent_.pop_front();
    }
    if (stream_.empty()) cache_.on_position({lsn_});
  }

  // The new walsender announces the relations again, and may begin before where the last one ended.
  void connect() {
    if (!connected_) {
      users_ = announced_again(users_);
      orders_ = announced_again(orders_);
      const int again = pick(static_cast<int>(sent_.size()) + 1);
      for (int i = 0; i < again; ++i) {
        stream_.push_front(sent_.back());
        sent_.pop_back();
      }
    }
    cache_.on_stream_connected();
    connected_ = true;
  }

  // Becomes visible. Whoever rewrites a table is noticed at once: until it is, results of before
  // and after stand side by side, by design.
  void become_visible(ModelTransaction& t) {
    t.visible = t.over = true;
    t.visible_at_ms = now_ms_;
    if (!rewrites(t)) return;
    cache_.on_catalog_changed(0, catalog_);
    t.noticed = true;
    // What was taken before is delivered before the catalog is looked at.
    taken_.reset();
  }

  // Somebody takes a table out of the publication; it may come back.
  void unpublish() {
    const Table table = pick(2) ? Table::kUsers : Table::kOrders;
    const pg::Oid oid = table == Table::kUsers ? kUsers : kOrders;
    for (const auto& [answered, fence] : answers_) {
      if (answered == oid) return;
    }
    if (!published_.contains(table)) return;
    cache_.set_untrackable(oid, sql::BypassReason::kUntracked);
    published_.erase(table);
  }

  void control_round() {
    // The control thread does its work in order: what it took, it delivers before it takes again.
    if (taken_) {
      cache_.set_snapshot(taken_->snapshot);
      cache_.on_heartbeat({taken_->position}, taken_->at);
      taken_.reset();
      return;
    }
    if (!answers_.empty()) {
      cache_.set_tracked(answers_.front().first, {answers_.front().second});
      answers_.pop_front();
      return;
    }
    if (!asked_.empty() && pick(2)) {
      const pg::Oid oid = asked_.front();
      asked_.pop_front();
      published_.insert(oid == kUsers ? Table::kUsers : Table::kOrders);
      answers_.push_back({oid, next_xid_});
      return;
    }
    taken_ = Taken{take_snapshot(false), lsn_, now()};
  }

  // --- clients

  void look_up() {
    Query query;
    query.kind = static_cast<Query::Kind>(pick(Query::kKinds));
    if (focused_) query.kind = pick(3) ? Query::kByAge : Query::kById;
    query.table =
        focused_ || query.kind == Query::kJoin || pick(2) ? Table::kUsers : Table::kOrders;
    if (query.kind != Query::kCount) query.a = pick(query.kind == Query::kById ? kIds : kAges);
    if (query.kind == Query::kBetween) query.b = query.a + pick(3);
    if (query.kind == Query::kAgeInTwo) query.b = pick(kAges);
    if (query.kind == Query::kGuarded) query.b = pick(3);
    const std::vector<sql::Operand> operands = query.operands();
    const std::string key = query.key();
    LookupRequest request;
    request.key = key;
    request.shape = shape_of(query);
    request.operands = &operands;
    request.may_wait = false;
    LookupOutcome outcome = cache_.lookup(request, now());
    if (auto* start = std::get_if<StartLoad>(&outcome)) {
      loads_.push_back({query, std::move(start->load), std::nullopt});
    } else if (std::holds_alternative<Hit>(outcome)) {
      ++hits_;
      check_hit();
    }
  }

  void advance_a_load() {
    if (loads_.empty()) return;
    const auto at = loads_.begin() + pick(static_cast<int>(loads_.size()));
    if (!at->saw) {
      at->saw = visible_xids();
      return;
    }
    const std::string rows = at->query.answer(tables_of(*at->saw, false));
    const std::string key = at->query.key();
    if (cache_.publish(std::move(at->load), result_of(rows)) == PublishOutcome::kPublished) {
      entries_[key] = {at->query, *at->saw};
    }
    loads_.erase(at);
  }

  // --- the driver

  void act() {
    // Chances in a hundred.
    int chance = pick(100);
    const auto with_chance = [&chance](int percent) { return (chance -= percent) < 0; };
    if (with_chance(calm_ ? 9 : 5)) {
      if (in_state(false).size() < 4) begin();
    } else if (with_chance(calm_ ? 15 : 8)) {
      if (ModelTransaction* t = any(false)) change_something(*t);
    } else if (with_chance(calm_ ? 10 : 6)) {
      if (ModelTransaction* t = any(false)) commit(*t);
    } else if (with_chance(calm_ ? 11 : 7)) {
      if (ModelTransaction* t = any(true)) become_visible(*t);
    } else if (with_chance(slow_ ? 5 : 10)) {
      apply_next();
    } else if (with_chance(16)) {
      control_round();
    } else if (with_chance(calm_ ? 13 : 22)) {
      look_up();
    } else if (with_chance(calm_ ? 15 : 24)) {
      advance_a_load();
    } else if (!calm_ || pick(4) == 0) {
      act_rarely();
    }
  }

  void act_rarely() {
    switch (pick(10)) {
      case 0:
        if (ModelTransaction* t = any(false)) t->over = true;  // rolls back
        return;
      case 1:
        connected_ = false;
        cache_.on_stream_disconnected();
        return;
      case 2:
      case 3:
      case 8:
      case 9:
        if (!connected_) connect();
        return;
      case 4:
        if (pick(4) == 0) cold_start();
        return;
      case 5:
        if (pick(4) == 0) cache_.drop_all(InvalidationCause::kDdl);
        return;
      case 6:
        if (pick(4) == 0) cache_.on_catalog_changed(0, catalog_);
        if (pick(4) == 0) unpublish();
        return;
      default:
        if (!loads_.empty()) loads_.pop_back();  // a client goes away
    }
  }

  void begin() { transactions_.emplace_back().xid = next_xid_++; }

  void commit(ModelTransaction& t) {
    lsn_ += 100;
    t.end_lsn = lsn_;
    wal_.push_back(&t);
    stream_.push_back(&t);
  }

  static bool rewrites(const ModelTransaction& t) {
    return std::any_of(t.changes.begin(), t.changes.end(),
                       [](const ModelChange& c) { return c.is_rewrite; });
  }

  void check_entries() {
    // The catalog change that drops what it made stale is noticed when it is visible.
    const bool is_stale_by_design = std::any_of(wal_.begin(), wal_.end(), [](const auto* t) {
      return t->applied && !t->noticed && rewrites(*t);
    });
    if (is_stale_by_design) return;
    for (const auto& [key, entry] : entries_) {
      const CachedResultPtr held = CacheTestAccess::impl(cache_).store.find(hashed(key), {});
      if (!held) continue;
      const std::string expected = entry.query.answer(tables_of(entry.saw, true));
      if (held->rows == expected) continue;
      failure_ = "entry " + key + " holds '" + held->rows + "', should be '" + expected + "'";
      return;
    }
  }

  void check_hit() {
    for (const ModelTransaction& t : transactions_) {
      if (t.visible && !t.applied && t.visible_at_ms + kStalenessMs < now_ms_) {
        failure_ = "a hit while transaction " + std::to_string(t.xid) + " is not applied";
      }
    }
  }

  struct Taken {
    pg::Snapshot snapshot;
    std::uint64_t position = 0;
    TimePoint at;
  };
  struct Known {
    Query query;
    std::set<std::uint64_t> saw;
  };

  std::mt19937 random_;
  const bool focused_ =
      pick(2) == 0;                 // on few rows, and on queries that their old values matter to
  const bool slow_ = pick(3) == 0;  // the stream lags behind
  const bool calm_ = pick(2) == 0;  // more transactions, and less that upsets them
  std::deque<pg::Oid> asked_;
  Cache cache_;
  std::string failure_;
  int now_ms_ = 0;
  std::uint64_t hits_ = 0;

  Tables base_;
  std::uint64_t next_xid_ = (3ull << 32) + 0xfffffff0;  // the 32-bit ids wrap on the way
  std::uint64_t lsn_ = 1000;
  std::deque<ModelTransaction> transactions_;  // ascending xid; elements do not move
  std::vector<ModelTransaction*> wal_;         // in commit order
  std::deque<ModelTransaction*> stream_;       // committed, not applied, or to be sent again
  std::deque<ModelTransaction*> sent_;         // the last ones, in order
  std::shared_ptr<const pg::Catalog> catalog_ = test_catalog();
  std::set<Table> published_;
  std::shared_ptr<const cdc::StreamRelation> users_ = stream_relation(kUsers, 'd');
  std::shared_ptr<const cdc::StreamRelation> orders_ =
      stream_relation(kOrders, pick(2) ? 'f' : 'd');
  bool connected_ = false;
  std::optional<Taken> taken_;
  std::deque<std::pair<pg::Oid, std::uint64_t>> answers_;
  std::vector<Loading> loads_;
  std::map<std::string, Known> entries_;
};

}  // namespace pgcache::cache::testing::model
