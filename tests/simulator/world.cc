// SPDX-License-Identifier: Apache-2.0
// Steps, accidents, and the end of a run. See world.h.
#include "simulator/world.h"

#include <algorithm>

namespace pgcache::simulator {

namespace {
constexpr std::size_t kTraceLines = 200000;
constexpr std::uint64_t kDrainRoundsMax = 20000;
}  // namespace

World::World(std::uint64_t seed, Fault fault, bool trace, Totals& totals)
    : random_(seed), fault_(fault), trace_(trace), totals_(totals) {
  configure();
  origin_ = std::make_unique<Origin>(random_);
  if (trace_) origin_->trace = [this](const std::string& line) { this->trace(line); };
  catalog_ = make_catalog();
  shapes_ = std::make_unique<cache::ShapeTable>(random_.one_in(4) ? 12 : 10000);
  cache_ = std::make_unique<cache::Cache>(limits_, [this](const std::vector<pg::Oid>& relations) {
    to_publish_.insert(to_publish_.end(), relations.begin(), relations.end());
  });
  set_cache_fault();
  fill_tables();
  if (random_.one_in(2)) change_catalog();
  catalog_doubtful_ = true;
  links_.resize(static_cast<std::size_t>(random_.between(1, 6)));
  for (auto& link : links_) link = std::make_unique<Link>(*this, next_link_++);
}

World::~World() { links_.clear(); }

void World::configure() {
  using std::chrono::milliseconds;
  calm_ = !random_.one_in(3);
  joins_ = random_.one_in(3);
  slow_stream_ = random_.one_in(3);
  const auto pick = [this](std::initializer_list<std::uint64_t> values) {
    return values.begin()[random_.below(static_cast<std::uint32_t>(values.size()))];
  };
  config_.consistency =
      random_.one_in(4) ? config::Consistency::kEventual : config::Consistency::kSession;
  if (fault_ == Fault::kEarlyPositions) config_.consistency = config::Consistency::kSession;
  if (fault_ == Fault::kOwnWritesUnseen) config_.consistency = config::Consistency::kEventual;
  config_.session_buffer = pick({300, 4096, 262144});
  config_.max_unit_size = static_cast<std::uint32_t>(pick({200, 4096, 1 << 20}));
  config_.max_query_size = static_cast<std::uint32_t>(pick({60, 65536, 65536}));
  config_.max_result_size = pick({300, 1 << 20, 1 << 20});
  config_.handshake_timeout = milliseconds(500);
  config_.load_wait_timeout = milliseconds(pick({2, 20, 200}));
  config_.tracking_wait_timeout = milliseconds(pick({2, 20, 200}));
  config_.max_staleness = milliseconds(pick({10, 50, 1000}));
  limits_.max_staleness = config_.max_staleness;
  limits_.result_bytes_max = config_.max_result_size;
  limits_.bytes_max = pick({6000, 40000, 1 << 20});
  limits_.transaction_log_bytes_max = pick({1500, 10000, 1 << 20});
  if (fault_ == Fault::kForgetSilently) limits_.transaction_log_bytes_max = 1500;
  pause_ = static_cast<std::uint32_t>(pick({5, 5, 50, 300}));
}

void World::fill_tables() {
  Tx& tx = origin_->begin();
  for (const TableId table : kTables) {
    for (int id = 1; id <= 5; ++id) {
      Row row = {id, random_.between(1, 3), random_.between(1, 4), std::nullopt};
      if (spec(table).columns.size() == 4) row[3] = random_.between(1, 3);
      if (spec(table).columns.size() == 2) row[2].reset();
      origin_->insert(tx, table, row, {});
    }
  }
  origin_->write_commit_record(tx);
  tx.applied = true;
  origin_->make_visible(tx);
}

std::string World::run(std::uint64_t steps) {
  while (steps_done_ < steps && !failed()) step();
  if (!failed()) drain();
  for (const auto& link : links_) count_routes(*link);
  const cache::CacheStatus status = cache_->status(now_);
  for (std::size_t i = 0; i < totals_.invalidations.size(); ++i) {
    totals_.invalidations[i] += status.invalidations[i];
  }
  for (std::size_t i = 0; i < totals_.publish_outcomes.size(); ++i) {
    totals_.publish_outcomes[i] += status.publish_outcomes[i];
  }
  totals_.steps += steps_done_;
  ++totals_.runs;
  return failure_;
}

void World::fail(const std::string& message) {
  if (failure_.empty()) failure_ = message;
}

void World::trace(std::string line) {
  last_steps_.push_back(std::to_string(steps_done_) + " " + std::move(line));
  if (last_steps_.size() > kTraceLines) last_steps_.pop_front();
}

// --- steps

void World::step() {
  ++steps_done_;
  const std::uint32_t choice = random_.below(1000);
  if (choice < 720) {
    link_step();
  } else if (choice < 780) {
    if (joins_ && random_.one_in(4)) {
      crossing_step();
    } else if (!calm_ || random_.one_in(6)) {
      write_step();
    }
  } else if (choice < 850) {
    commit_step();
  } else if (choice < 910) {
    if (!slow_stream_ || random_.one_in(8)) stream_step();
  } else if (choice < 985) {
    control_step();
  } else if (choice < 990) {
    if (random_.one_in(4)) {
      time_step();
    } else if (reload_known_ && random_.one_in(12)) {
      configured_ = 1 - configured_;
      reload_known_ = false;
    }
  } else if (random_.one_in(joins_ ? 120 : calm_ ? 40 : 10)) {
    accident();
  }
  now_ += std::chrono::microseconds(random_.below(pause_));
  if (random_.one_in(joins_ ? 5 : 50)) check_entries();
  if (random_.one_in(100)) check_limits();
  if (random_.one_in(500)) prune();
}

void World::link_step() {
  auto& link = links_[random_.below(static_cast<std::uint32_t>(links_.size()))];
  if (link->over()) {
    if (random_.one_in(10)) replace(link);
    return;
  }
  for (int tries = 0; tries < 4 && !link->over(); ++tries) {
    if (link->step()) return;
  }
}

void World::replace(std::unique_ptr<Link>& link) {
  count_routes(*link);
  link.reset();
  link = std::make_unique<Link>(*this, next_link_++);
}

void World::count_routes(const Link& link) {
  const proxy::RouteStats& stats = link.stats();
  totals_.misses += stats.misses.load();
  for (std::size_t i = 0; i < stats.bypasses.size(); ++i) {
    totals_.bypasses += stats.bypasses[i].load();
    totals_.bypass_reasons[i] += stats.bypasses[i].load();
  }
  for (const auto& fallback : stats.fallbacks) totals_.fallbacks += fallback.load();
}

// --- writers that do not come through the proxy

void World::write_step() {
  if (writers_.empty() || (writers_.size() < 4 && random_.one_in(3))) {
    writers_.push_back(&origin_->begin());
  }
  const std::size_t at = random_.below(static_cast<std::uint32_t>(writers_.size()));
  Tx* tx = writers_[at];
  if (tx->changes.empty() || random_.one_in(3)) {
    background_write(*tx);
    if (tx->state == TxState::kAborted) writers_.erase(writers_.begin() + static_cast<long>(at));
    return;
  }
  writers_.erase(writers_.begin() + static_cast<long>(at));
  if (random_.one_in(8)) {
    origin_->abort(*tx);
  } else {
    origin_->write_commit_record(*tx);
    if (random_.one_in(3)) origin_->make_visible(*tx);
  }
}

void World::background_write(Tx& tx) {
  const TableId table = kTables[random_.below(kTableCount)];
  const View view{origin_->moment(), &tx, tx.command};
  const Number id = random_.between(1, 6);
  const auto with_id = [id](const Row& row) { return row[0] == id; };
  const Number value = random_.one_in(8) ? Number{} : Number{random_.between(1, 4)};
  const std::size_t columns = spec(table).columns.size();
  WriteResult result;
  switch (random_.below(10)) {
    case 0:
    case 1:
    case 2: {
      Row row;
      row[0] = id;
      for (std::size_t i = 1; i < columns; ++i) row[i] = random_.between(1, 3);
      result = origin_->insert(tx, table, row, view);
      break;
    }
    case 3:
    case 4:
      result = origin_->remove(tx, table, view, with_id);
      break;
    case 5: {
      const Number other = random_.between(1, 6);
      result = origin_->update(tx, table, view, with_id, [other](Row& row) { row[0] = other; });
      break;
    }
    case 6:
      if (random_.one_in(8)) result = origin_->truncate(tx, table);
      break;
    default: {
      const std::size_t column = 1 + random_.below(static_cast<std::uint32_t>(columns - 1));
      result = origin_->update(tx, table, view, with_id,
                               [column, value](Row& row) { row[column] = value; });
      break;
    }
  }
  ++tx.command;
  if (result.error != WriteError::kNone) origin_->abort(tx);
}

// A row goes that another table's row would be joined with, and then that row comes; what has come
// is visible before what has gone is. A result loaded between the two shows the rows joined, as no
// state in the order of the commits does.
void World::crossing_step() {
  const Number key = random_.between(1, 6);
  const View view{origin_->moment(), nullptr, 0};
  Tx& first = origin_->begin();
  Tx& second = origin_->begin();
  WriteResult gone =
      origin_->remove(first, TableId::kT2, view, [key](const Row& row) { return row[1] == key; });
  WriteResult come =
      origin_->insert(second, TableId::kT1,
                      {key, random_.between(1, 3), random_.between(1, 4), std::nullopt}, view);
  if (gone.error != WriteError::kNone || gone.rows == 0 || come.error != WriteError::kNone) {
    origin_->abort(first);
    origin_->abort(second);
    return;
  }
  origin_->write_commit_record(first);
  origin_->write_commit_record(second);
  origin_->make_visible(second);
}

// A committing transaction becomes visible, not always the one that committed first.
void World::commit_step() {
  std::vector<Tx*> committing;
  for (Tx* tx : origin_->in_progress()) {
    if (tx->state == TxState::kCommitting) committing.push_back(tx);
  }
  if (committing.empty()) return;
  Tx& tx = *committing[random_.below(static_cast<std::uint32_t>(committing.size()))];
  origin_->make_visible(tx);
  if (trace_) trace("visible: " + std::to_string(tx.xid.value));
}

// --- time and accidents

void World::time_step() {
  const std::uint32_t longest = random_.one_in(20) ? 1200000 : random_.one_in(3) ? 30000 : 2000;
  now_ += std::chrono::microseconds(random_.below(longest));
}

void World::accident() {
  Link& link = *links_[random_.below(static_cast<std::uint32_t>(links_.size()))];
  switch (random_.below(11)) {
    case 0:
    case 1:
      cold_start();
      break;
    case 2:
    case 3:
      disconnect_stream();
      break;
    case 4:
      link.lose_origin();
      break;
    case 5:
      link.reset_client();
      break;
    case 6:
      if (random_.one_in(4)) link.shut_down();
      break;
    case 7:
    case 8:
      link.cancel();
      break;
    case 9:
      catalog_doubtful_ = true;
      break;
    default:
      if (random_.one_in(2)) {
        cache_->drop_all(cache::InvalidationCause::kDdl);
      } else {
        cache_->invalidate_relation(spec(kTables[random_.below(kTableCount)]).oid,
                                    cache::InvalidationCause::kDdl);
      }
      break;
  }
}

void World::prune() {
  std::uint64_t oldest = std::min(origin_->moment(), origin_->applied_moment());
  for (const auto& link : links_) oldest = std::min(oldest, link->oldest_moment());
  for (const Proof& proof : proofs_) oldest = std::min(oldest, proof.moment);
  if (round_) oldest = std::min(oldest, round_->moment);
  origin_->prune(oldest);
}

// --- the end

// Without new requests everything must come to rest, with every request answered; then whatever the
// cache holds must be the present state.
void World::drain() {
  draining_ = true;
  for (std::uint64_t round = 0; round < kDrainRoundsMax && !failed(); ++round) {
    drain_once();
    if (round > 400 && std::all_of(links_.begin(), links_.end(), [](const auto& link) {
          return link->over() || link->outstanding() == 0;
        })) {
      break;
    }
  }
  for (const auto& link : links_) {
    if (!link->over() && link->outstanding() > 0) fail("a session hangs: " + link->state());
  }
  check_entries();
  check_limits();
}

void World::drain_once() {
  ++steps_done_;
  for (const auto& link : links_) {
    if (!link->over()) link->settle();
  }
  while (!writers_.empty()) {
    origin_->abort(*writers_.back());
    writers_.pop_back();
  }
  commit_step();
  stream_step();
  control_step();
  now_ += std::chrono::milliseconds(1);
}

}  // namespace pgcache::simulator
