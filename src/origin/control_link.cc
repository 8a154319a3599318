// SPDX-License-Identifier: Apache-2.0
// The control connection.
//
// The thread's loop: connect if need be; wait until something is due or somebody wakes it; then
// measure (snapshot, WAL positions), answer tracking requests, look at the catalog. Requests from
// other threads lie in the mailbox until then. A failed statement that lost the connection leaves
// every request where it was, except positions, whose askers must not wait: they are told that
// there is none.
#include "origin/control_link.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "base/log.h"
#include "origin/control_link_impl.h"
#include "origin/synchrony.h"

namespace pgcache::origin {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr Duration kReconnectMin = milliseconds(100);
constexpr Duration kReconnectMax = std::chrono::seconds(5);
constexpr Duration kSnapshotSpacing = milliseconds(2);
constexpr Duration kWantedSnapshotMax = milliseconds(50);
constexpr Duration kNudgeAfter = milliseconds(50);
constexpr Duration kHolderNews = std::chrono::seconds(3);  // what was seen longer ago is no news
constexpr Duration kMeasureTimeout = std::chrono::seconds(10);  // then the connection is dead

}  // namespace

void ControlLink::Impl::run() {
  Duration backoff = kReconnectMin;
  while (!stop.raised()) {
    try {
      if (link == nullptr) {
        fail_positions();
        if (!connect()) {
          stop.wait_for(backoff);
          backoff = std::min(backoff * 2, kReconnectMax);
          continue;
        }
        backoff = kReconnectMin;
      }
      serve_round();
      if (link != nullptr && link->lost()) disconnect("the connection was lost");
    } catch (const std::exception& e) {
      log_error("control link: {}; it begins anew", e.what());
      forget_identity();
      link.reset();
      answer(taken.positions, pg::Lsn{});
      catalog.reset();  // so that it is handed on again
      stop.wait_for(backoff);
      backoff = std::min(backoff * 2, kReconnectMax);
    }
  }
  link.reset();
  fail_positions();
  try {
    take_back();
  } catch (const std::exception& e) {
    log_error("control link: what was made at the origin stays there: {}", e.what());
  }
}

bool ControlLink::Impl::connect() {
  LinkOptions options = link_options(*config, kControlName);
  options.stop = &stop;
  auto opened = Link::open(options);
  if (const Failure* failure = std::get_if<Failure>(&opened)) {
    if (!failure->interrupted) reporter.report({explain_connect_failure(*failure)});
    return false;
  }
  link = std::move(std::get<std::unique_ptr<Link>>(opened));
  served_by = link->backend_pid();
  if (begin_session()) return true;
  link.reset();
  return false;
}

void ControlLink::Impl::disconnect(const std::string& why) {
  if (!stop.raised()) {
    reporter.report({{"pgcache's control connection to the origin broke: " + why,
                      "check that the origin runs and can be reached", true}});
  }
  forget_identity();
  holder_waits_since.store(TimePoint{}, std::memory_order_release);
  link.reset();
}

bool ControlLink::Impl::begin_session() {
  verified_walsender = 0;
  const Reply settings = link->query(
      "SET statement_timeout = '60s'; SET lock_timeout = '500ms'; SET "
      "idle_in_transaction_session_timeout = 0;"
      " SET jit = off; SET max_parallel_workers_per_gather = 0");
  std::optional<WalGeometry> read = settings.ok() ? read_wal_geometry(*link) : std::nullopt;
  if (!read) {
    reporter.report({{"the origin does not answer pgcache's control connection",
                      "see the origin's log for the reason", true}});
    return false;
  }
  // An origin that does not tell who it is can still be served; then only the replication
  // connection notices when it has become another one.
  system_identifier = read_system_identifier(*link).value_or("");
  const Reply started = link->query(std::string("SELECT ") + kServerStarted);
  server_started = started.ok() ? std::string(started.text(0, 0)) : std::string();
  if (started.ok()) events.on_server_started(server_started);
  {
    const std::lock_guard lock(identity_mutex);
    identity = {system_identifier, {}, server_started, false};
  }
  if (link->lost()) return false;
  geometry = *read;
  publication_problem.reset();
  next_heartbeat = next_catalog_check = next_publication_attempt = next_teller_attempt =
      next_slot_check = Clock::now();
  look_after_teller();  // which changes the catalog itself, when it puts something there
  if (link->lost()) return false;
  check_catalog();
  if (link->lost() || catalog == nullptr) return false;
  log_info("control link: connected to the origin, server version {}", link->server_version());
  return true;
}

// Until its successor has come and is applied, a proof grows older than the time between two: what
// is proven is to be at most heartbeat_interval old.
Duration ControlLink::Impl::heartbeat_spacing() const {
  return Duration(config->heartbeat_interval) / 2;
}

TimePoint ControlLink::Impl::next_due() {
  TimePoint due = std::min({next_heartbeat, next_catalog_check, next_slot_check});
  if (publication_problem) due = std::min(due, next_publication_attempt);
  for (const auto& [oid, p] : pending) due = std::min(due, p.due);
  for (const auto& [oid, p] : identities) due = std::min(due, p.due);
  if (snapshot_asked) due = std::min(due, last_snapshot + kSnapshotSpacing);
  if (server_check_asked) due = std::min(due, next_server_check);
  if (events.wants_definitions()) due = std::min(due, next_definitions_reading);
  if (events.wants_snapshot()) {
    due = std::min(due, last_snapshot + wanted_spacing);
  } else {
    wanted_spacing = kWantedSnapshotMin;
    wanted_rounds = 0;
  }
  return due;
}

void ControlLink::Impl::wait_for_work() {
  const TimePoint due = next_due();
  const auto left = std::chrono::ceil<milliseconds>(due - Clock::now()).count();
  std::array<pollfd, 3> p{pollfd{stop.fd(), POLLIN, 0}, pollfd{wake.fd(), POLLIN, 0},
                          pollfd{link->socket(), POLLIN, 0}};
  poll(p.data(), p.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 60000)));
  if (p[2].revents != 0 && PQconsumeInput(link->raw()) == 0) {
    disconnect(link->last_failure().message);
  }
}

// What a round that failed did not come to is taken first.
void ControlLink::Impl::take_requests() {
  wake.clear();
  const std::lock_guard lock(mailbox_mutex);
  if (std::exchange(has_taken, true)) {
    wake.raise();
  } else {
    taken = std::exchange(mailbox, {});
  }
}

// Nobody is left waiting: who cannot be told, for want of memory, is told a little later.
void ControlLink::Impl::answer(PositionWaiters& waiters, pg::Lsn position) {
  constexpr int kAttempts = 100;
  for (const auto& done : waiters) {
    for (int i = 0; i < kAttempts; ++i) {
      try {
        done(position);
        break;
      } catch (const std::exception&) {
        stop.wait_for(milliseconds(1));
      }
    }
  }
  waiters.clear();
}

void ControlLink::Impl::fail_positions() {
  PositionWaiters waiters;
  {
    const std::lock_guard lock(mailbox_mutex);
    waiters.swap(mailbox.positions);
  }
  answer(waiters, pg::Lsn{});
}

void ControlLink::Impl::serve_round() {
  wait_for_work();
  if (link == nullptr || stop.raised()) return;
  take_requests();
  snapshot_asked = snapshot_asked || taken.snapshot;
  server_check_asked = server_check_asked || taken.server_check;
  // A session that has just changed the catalog goes by the position that it asked for next: by
  // then what it changed must have taken effect.
  for (auto& waiters = taken.catalog_waiters; !waiters.empty(); waiters.pop_back()) {
    catalog_waiters.push_back(std::move(waiters.back()));
  }
  if (taken.catalog_check) check_catalog();
  const TimePoint now = Clock::now();
  for (const pg::Oid oid : taken.tracking) pending[oid] = {now, kTrackingRetryMin};
  if (taken.proof) next_heartbeat = now;
  proof_asked = taken.proof;
  has_taken = false;  // but for those who wait for a position
  if (link->lost()) return answer(taken.positions, pg::Lsn{});

  const bool snapshot_due = (snapshot_asked && now >= last_snapshot + kSnapshotSpacing) ||
                            (events.wants_snapshot() && now >= last_snapshot + wanted_spacing);
  if (!taken.positions.empty() || snapshot_due || now >= next_heartbeat) {
    if (!measure(taken.positions)) return;
  }
  std::vector<pg::Oid> asked;
  for (const auto& [oid, p] : pending) {
    if (p.due <= now) asked.push_back(oid);
  }
  if (!asked.empty() && catalog != nullptr) answer_tracking(asked);
  if (link->lost()) return;
  raise_identities();
  if (link->lost()) return;
  copy_tables();
  if (link->lost()) return;
  const bool told = events.wants_definitions() && Clock::now() >= next_definitions_reading;
  if (told || now >= next_catalog_check) check_catalog();
  if (!link->lost() && publication_problem && now >= next_publication_attempt)
    refresh_publication();
  if (!link->lost() && now >= next_slot_check) look_after_slot();
  if (!link->lost() && server_check_asked && now >= next_server_check) check_server();
}

// One round trip that serves everybody: those who wait for a position, the cache's snapshot, and
// the proof of freshness, which holds as of the time before the query was sent.
bool ControlLink::Impl::measure(PositionWaiters& positions) {
  const TimePoint taken_at = Clock::now();
  // Where commits wait for us, only a heartbeat that verifies this proves anything.
  const bool leased = config->strict_by() == config::StrictBy::kLease;
  const bool proves = !leased || taken_at >= next_heartbeat;
  const int pid = walsender.load(std::memory_order_acquire);
  events.on_measure_begins();
  const Reply reply = link->query(
      leased && proves ? std::string(kMeasureQuery) + ", " + synchrony_columns(pid) : kMeasureQuery,
      kMeasureTimeout);
  std::optional<Measurement> m;
  if (reply.ok()) m = parse_measurement(reply, geometry);
  const bool of_stream = m && note_identity(*m);
  const bool waited_for = !positions.empty();
  answer(positions, of_stream ? m->insert : pg::Lsn{});
  if (m) {
    nudge_wal_writer(*m, taken_at, waited_for || std::exchange(proof_asked, false));
  }
  if (!m) {
    last_snapshot = taken_at;
    next_heartbeat = taken_at + heartbeat_spacing();
    if (!link->lost() && !reply.ok()) {
      reporter.report({{"the origin gives no snapshot: " + reply.failure().message,
                        "see the origin's log for the reason", true}});
    }
    return !link->lost();
  }
  if (events.wants_snapshot() && ++wanted_rounds > 30) {
    wanted_spacing = std::min(wanted_spacing * 2, kWantedSnapshotMax);
  }
  if (of_stream) {
    events.on_measured(m->timeline.empty() ? pg::Lsn{} : m->insert, m->snapshot);
    events.on_snapshot(std::move(m->snapshot));
  }
  snapshot_asked = false;
  last_snapshot = taken_at;
  if (leased) events.on_flushed(m->flush);
  if (!proves) return true;
  next_heartbeat = taken_at + heartbeat_spacing();
  if (leased && !verify_synchrony(reply, pid)) return true;
  if (streams_from_here()) events.on_heartbeat(m->flush, taken_at);
  return true;
}

// Whether what the reply says of the origin's commits, and what the one before said, was that they
// wait for us: a commit that was acknowledged without us was flushed before the first of the two,
// so the position that came with the second lies behind it.
bool ControlLink::Impl::verify_synchrony(const Reply& reply, int pid) {
  std::vector<Problem> gaps =
      gaps_in(read_synchrony(reply, kMeasureColumns), config->own_standby_name());
  const bool waited_for =
      gaps.empty() && pid != 0 && walsender.load(std::memory_order_acquire) == pid;
  const bool was = std::exchange(verified_walsender, waited_for ? pid : 0) == pid && waited_for;
  events.on_synchrony(waited_for, std::move(gaps));
  if (waited_for && !was) next_heartbeat = Clock::now();
  return was;
}

// The stream ends where the WAL is flushed, or before: the WAL writer flushes whole pages of an
// open transaction, so the flushed position may lie inside a record, which the stream cannot pass.
// On a quiet server the rest may take many seconds: too long for those who wait for a position, and
// for the proof of freshness. A commit without WAL of its own wakes the WAL writer.
void ControlLink::Impl::nudge_wal_writer(const Measurement& m, TimePoint taken_at,
                                         bool waited_for) {
  if (unflushed <= m.flush) {
    unflushed = {};
    unflushed_waited_for = false;
  }
  if (unflushed.value == 0 && m.insert > m.flush) {
    unflushed = m.insert;
    unflushed_since = taken_at;
  }
  unflushed_waited_for |= waited_for;
  Duration patience =
      unflushed_waited_for ? Duration(kNudgeAfter) : Duration(config->max_staleness) / 3;
  if (config->strict_by() == config::StrictBy::kLease) {
    patience = std::min<Duration>(patience, config->strict_ack_timeout / 3);
  }
  if (unflushed.value == 0 || taken_at < unflushed_since + patience) return;
  unflushed_waited_for = false;
  unflushed = {};
  if (!link->query("SELECT pg_current_xact_id()").ok()) {
    log_debug("control link: the WAL writer cannot be woken");
  }
}

void ControlLink::Impl::answer_tracking(const std::vector<pg::Oid>& asked) {
  if (!refresh_publication()) {
    for (const pg::Oid oid : asked) pending[oid].due = Clock::now() + kTrackingRetryMin;
    return;
  }
  if (!publication.exists) {
    for (const pg::Oid oid : asked) {
      pending.erase(oid);
      events.on_untrackable(oid, Untrackable::kNotPublished, "there is no publication");
    }
    return;
  }
  deliver(track(*link, *config, *catalog, publication, asked));
}

void ControlLink::Impl::deliver(const TrackingOutcome& outcome) {
  publication.members.insert(outcome.added.begin(), outcome.added.end());
  bool any_tracked = false;
  for (const TrackingAnswer& a : outcome.answers) {
    PendingTracking& p = pending[a.relation];
    switch (a.kind) {
      case TrackingAnswer::Kind::kRetry:
        p.due = Clock::now() + p.delay;
        p.delay = std::min(p.delay * 2, kTrackingRetryMax);
        continue;
      case TrackingAnswer::Kind::kTracked:
        any_tracked = true;
        tracked.insert(a.relation);
        want_identities(a.relation);
        events.on_tracked(a.relation, a.fence);
        break;
      case TrackingAnswer::Kind::kUntrackable:
        tracked.erase(a.relation);
        events.on_untrackable(a.relation, a.why, a.detail);
        break;
    }
    pending.erase(a.relation);
  }
  // What the cache waits for now is a snapshot behind the fences.
  PositionWaiters nobody;
  if (any_tracked && !link->lost()) measure(nobody);
}

void ControlLink::Impl::forget_identity() {
  const std::lock_guard lock(identity_mutex);
  identity = {};
}

// Whether the positions are those of the server that is streamed. One history's never go back.
bool ControlLink::Impl::note_identity(const Measurement& m) {
  const std::lock_guard lock(identity_mutex);
  identity = {system_identifier, m.timeline, server_started, false};
  if (!may_be_same_run(identity, stream_identity)) return false;
  if (m.flush < furthest) {
    log_warning("control link: the origin is at {}, and was at {} before", pg::to_string(m.flush),
                pg::to_string(furthest));
    identity.went_back = true;
    return false;
  }
  if (stream_identity.known()) furthest = m.flush;
  return true;
}

bool ControlLink::Impl::streams_from_here() {
  const std::lock_guard lock(identity_mutex);
  return may_be_same_run(identity, stream_identity) && stream_identity.known();
}

ServerIdentity ControlLink::origin_identity() const {
  const std::lock_guard lock(impl_->identity_mutex);
  return impl_->identity;
}

void ControlLink::set_stream_identity(ServerIdentity identity) {
  const std::lock_guard lock(impl_->identity_mutex);
  impl_->stream_identity = std::move(identity);
}

void ControlLink::begin_stream_of(ServerIdentity identity) {
  const std::lock_guard lock(impl_->identity_mutex);
  impl_->stream_identity = std::move(identity);
  impl_->furthest = {};
  impl_->identity.went_back = false;
}

pg::Lsn ControlLink::furthest_position() const {
  const std::lock_guard lock(impl_->identity_mutex);
  return impl_->furthest;
}

ControlLink::ControlLink(std::shared_ptr<const config::Config> config, ControlEvents& events)
    : impl_(std::make_unique<Impl>(std::move(config), events)) {}

ControlLink::~ControlLink() { stop(); }

void ControlLink::start() {
  CHECK(!impl_->thread.joinable());
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void ControlLink::stop() {
  {
    const std::lock_guard lock(impl_->publication_mutex);
    impl_->stopping = true;
    impl_->publication_changed.notify_all();
  }
  impl_->stop.raise();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->fail_positions();
}

void ControlLink::request_tracking(std::vector<pg::Oid> relations) {
  {
    const std::lock_guard lock(impl_->mailbox_mutex);
    auto& box = impl_->mailbox.tracking;
    box.insert(box.end(), relations.begin(), relations.end());
  }
  impl_->wake.raise();
}

void ControlLink::request_snapshot() {
  {
    const std::lock_guard lock(impl_->mailbox_mutex);
    impl_->mailbox.snapshot = true;
  }
  impl_->wake.raise();
}

void ControlLink::request_server_check() {
  {
    const std::lock_guard lock(impl_->mailbox_mutex);
    impl_->mailbox.server_check = true;
  }
  impl_->wake.raise();
}

void ControlLink::request_proof() {
  {
    const std::lock_guard lock(impl_->mailbox_mutex);
    impl_->mailbox.proof = true;
  }
  impl_->wake.raise();
}

void ControlLink::set_slot_holder(int pid) {
  impl_->slot_holder.store(pid, std::memory_order_release);
  impl_->holder_waits_since.store(TimePoint{}, std::memory_order_release);
}

std::optional<TimePoint> ControlLink::slot_holder_waits_since() const {
  const TimePoint since = impl_->holder_waits_since.load(std::memory_order_acquire);
  const TimePoint seen = impl_->holder_seen.load(std::memory_order_acquire);
  if (since == TimePoint{} || Clock::now() > seen + kHolderNews) return std::nullopt;
  return since;
}

void ControlLink::set_walsender(int pid) { impl_->walsender.store(pid, std::memory_order_release); }

void ControlLink::request_catalog_check(std::function<void()> done) {
  {
    const std::lock_guard lock(impl_->mailbox_mutex);
    impl_->mailbox.catalog_check = true;
    if (done) impl_->mailbox.catalog_waiters.push_back(std::move(done));
  }
  impl_->wake.raise();
}

void ControlLink::request_position(std::function<void(pg::Lsn)> done) {
  {
    const std::lock_guard lock(impl_->mailbox_mutex);
    impl_->mailbox.positions.push_back(std::move(done));
  }
  impl_->wake.raise();
}

bool ControlLink::wait_for_publication(Duration timeout) {
  std::unique_lock lock(impl_->publication_mutex);
  impl_->publication_changed.wait_for(
      lock, timeout, [this] { return impl_->publication_ready || impl_->stopping; });
  return impl_->publication_ready && !impl_->stopping;
}

}  // namespace pgcache::origin
