// SPDX-License-Identifier: Apache-2.0
// The replication connection: the applier thread.
//
// One session after the other: connect, make sure that it is the same server and a slot that
// continues where we are, else start cold with a new slot; then stream until something ends it.
// What ends it says whether the next session may resume (Again::kResume: what was applied stays
// valid and nothing is missed) or must start cold. Transactions that the server sends again after a
// resume are recognised by their end position and skipped.
#include "origin/replication_link.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "cdc/pgoutput.h"
#include "origin/link.h"
#include "origin/problems.h"
#include "origin/replication_slot.h"
#include "origin/replication_stream.h"
#include "origin/server_identity.h"
#include "origin/stand_in.h"

namespace pgcache::origin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr Duration kRetryMin = milliseconds(100);
constexpr Duration kRetryMax = seconds(5);
constexpr Duration kStatusInterval = seconds(1);
constexpr Duration kAskIntervalMin = milliseconds(20);
constexpr Duration kSilenceMin = seconds(30);
constexpr Duration kQuietMax = seconds(4);  // when the origin says that it has nothing to do
constexpr Duration kQuietSeen = seconds(2);
constexpr Duration kSilenceMax = std::chrono::minutes(10);
constexpr Duration kPublicationWait = seconds(2);
constexpr Duration kOldWalsenderWait = seconds(3);
constexpr int kBatchMessages = 256;  // handled before the origin is told how far we are
constexpr int kResumesWithoutProgress = 3;
// libpq keeps the memory that a message took for as long as the connection lives: behind one of so
// many bytes there is a new connection, once the stream has been at rest for a while.
constexpr int kLargeMessageBytes = 32 << 20;
constexpr Duration kRestAfterLarge = seconds(2);

enum class Again { kResume, kCold };

// Why a session ended.
struct End {
  std::string reason;
  Again again = Again::kResume;
  bool refused = false;  // the server itself ended the stream with an error
  ColdStart why_cold = ColdStart::kStream;
  bool complete = false;  // the server shut down, and all that it had came before
};

Duration apply_delay() {
#ifdef PGCACHE_FAULTS
  if (const char* ms = std::getenv("PGCACHE_FAULT_APPLY_DELAY_MS")) {
    return milliseconds(std::atoi(ms));
  }
#endif
  return Duration::zero();
}

// Test builds can be told to be wrong (proxy/faults.h).
bool resumes_over_crash() {
#ifdef PGCACHE_FAULTS
  const char* what = std::getenv("PGCACHE_FAULT_BREAK");
  return what != nullptr && std::string_view(what) == "resume_over_crash";
#else
  return false;
#endif
}

// Errors that say that the slot cannot continue: undefined_object (the slot or the publication is
// gone), object_not_in_prerequisite_state (it was invalidated), undefined_file (its WAL is gone).
bool slot_is_broken(const Failure& failure) {
  return failure.sqlstate == "42704" || failure.sqlstate == "55000" || failure.sqlstate == "58P01";
}

}  // namespace

struct ReplicationLink::Impl {
  Impl(std::shared_ptr<const config::Config> c, ControlLink& l, ReplicationEvents& e, StandIn* s)
      : config(std::move(c)),
        control(l),
        events(e),
        stand_in(s),
        reporter(
            [this](std::vector<Problem> problems) { events.on_problems(std::move(problems)); }),
        decoder(config->max_transaction_size) {}

  const std::shared_ptr<const config::Config> config;
  ControlLink& control;
  ReplicationEvents& events;
  StandIn* const stand_in;  // null: no commit waits for us
  Event stop;
  Event wake;
  std::atomic<bool> keepalive_requested{false};
  std::atomic<bool> restart_requested{false};
  std::atomic<bool> slot_given_up{false};
  std::thread thread;

  // Of the replication thread alone.
  ProblemReporter reporter;
  cdc::PgoutputDecoder decoder;
  bool have_slot = false;                  // made by us, and continues where we are
  bool slot_made = false;                  // to be dropped at the end
  ServerState server;                      // that the slot is on, as it was when last connected to
  ColdStart why_cold = ColdStart::kFirst;  // of the cold start to come
  std::int64_t server_seconds = 0;         // as the server's clock showed last
  bool saw_shutdown = false;               // the last stream was complete
  pg::Lsn applied;
  int walsender_pid = 0;
  bool streaming = false;   // on_connected was said
  bool progressed = false;  // something came in this session
  int fruitless_resumes = 0;
  Duration silence_max = kSilenceMin;

  // Of one session.
  struct Stream {
    bool in_transaction = false;
    pg::Lsn told;  // the position in our last status update
    TimePoint next_status, next_ask, last_message;
    std::optional<TimePoint> unanswered_since;  // the first question behind the last message
    bool answer_now = false;                    // a keepalive asked for a status update
    bool large_message = false;                 // one came
    TimePoint last_data;

    // All that came is applied, and the origin knows.
    bool at_rest(pg::Lsn applied_to, TimePoint now) const {
      return !in_transaction && told == applied_to && now >= last_data + kRestAfterLarge;
    }
  };

  void run();
  End try_session();
  End session();
  std::optional<End> prepare(Link& link);
  void check_history(Link& link, const ServerState& now, pg::Lsn seen);
  std::optional<End> check_control();
  bool is_dead(const Stream& s, TimePoint now) const;
  void lose_slot(ColdStart why);
  void end_own_walsender(Link& link);
  std::optional<End> start_cold(Link& link);
  std::optional<End> clear_old_slot(Link& link);
  std::optional<End> check_resumable(Link& link);
  End stream(Link& link);
  std::optional<End> read_batch(Link& link, Stream& s);
  std::optional<End> handle(std::string_view bytes, Stream& s);
  std::optional<End> handle_data(std::string_view payload, Stream& s);
  End stream_ended(Link& link);
  bool tell(Link& link, Stream& s, bool ask);
  void wait_for_stream(Link& link, const Stream& s);
  LinkOptions link_options(bool replication) const;
  End not_now(Problem problem);
  End slot_in_use(int pid);
  bool begin_serving();
  void note_walsender(int pid);
  void leave_slot();
};

void ReplicationLink::Impl::run() {
  Duration backoff = kRetryMin;
  while (!stop.raised()) {
    progressed = false;
    End end = try_session();
    note_walsender(0);
    const bool was_streaming = std::exchange(streaming, false);
    decoder.on_disconnect();
    if (was_streaming) saw_shutdown = end.complete;
    if (end.again == Again::kCold) lose_slot(end.why_cold);
    if (progressed) fruitless_resumes = 0;
    if (!progressed && end.refused) ++fruitless_resumes;
    try {
      if (was_streaming) events.on_disconnected(end.reason);
    } catch (const std::exception& e) {
      log_error("replication link: {}", e.what());
      lose_slot(ColdStart::kApplier);
    }
    if (stop.raised()) break;
    if (was_streaming) {
      log_warning("replication link: {}; {}", end.reason,
                  have_slot ? "resuming from the slot" : "starting cold");
    }
    stop.wait_for(backoff);
    const bool went_well = progressed || (was_streaming && !end.refused);
    backoff = went_well ? kRetryMin : std::min(backoff * 2, kRetryMax);
  }
  try {
    leave_slot();
  } catch (const std::exception& e) {
    log_error("replication link: the slot may stay on the origin: {}", e.what());
  }
}

// What throws may be want of memory: then even the reason is without words.
End ReplicationLink::Impl::try_session() {
  End failed{{}, Again::kCold};
  failed.why_cold = ColdStart::kApplier;
  try {
    return session();
  } catch (const std::exception& e) {
    log_error("replication link: applying a change failed: {}", e.what());
    try {
      failed.reason = std::string("applying a change failed: ") + e.what();
    } catch (const std::exception&) {
    }
  }
  return failed;
}

LinkOptions ReplicationLink::Impl::link_options(bool replication) const {
  // The name by which synchronous_standby_names may name us.
  LinkOptions options =
      origin::link_options(*config, replication ? config->own_standby_name() : "pgcache start");
  options.replication = replication;
  options.stop = &stop;
  return options;
}

End ReplicationLink::Impl::not_now(Problem problem) {
  End end{problem.what, Again::kResume};
  reporter.report({std::move(problem)});
  return end;
}

End ReplicationLink::Impl::session() {
  if (stand_in != nullptr) stand_in->check_companion();
  if (restart_requested.exchange(false)) lose_slot(ColdStart::kAsked);
  if (slot_given_up.exchange(false)) lose_slot(ColdStart::kRetained);
  auto opened = Link::open(link_options(true));
  if (const Failure* failure = std::get_if<Failure>(&opened)) {
    if (failure->interrupted) return {"stopped", Again::kResume};
    return not_now(explain_replication_failure(*config, *failure));
  }
  Link& link = *std::get<std::unique_ptr<Link>>(opened);
  control.set_slot_holder(link.backend_pid());
  if (std::optional<End> end = prepare(link)) return *end;
  if (stand_in != nullptr) stand_in->end();
  const Reply started =
      link.query("START_REPLICATION SLOT " + quote_identifier(config->slot) +
                 " LOGICAL 0/0 (proto_version '1', publication_names " +
                 quote_literal(quote_identifier(config->publication)) + ", messages 'true')");
  if (!started.ok()) {
    if (started.failure().interrupted) return {"stopped", Again::kResume};
    End end = not_now(explain_replication_failure(*config, started.failure()));
    end.refused = true;
    if (slot_is_broken(started.failure())) end.again = Again::kCold;
    end.why_cold = ColdStart::kSlot;
    return end;
  }
  if (started.status() != PGRES_COPY_BOTH) return {"the origin does not stream", Again::kCold};
  walsender_pid = link.backend_pid();
  reporter.report({});
  control.set_stream_identity(server.identity);
  streaming = true;
  log_info("replication link: streaming from slot {} behind {}", config->slot,
           pg::to_string(applied));
  if (!begin_serving()) {
    return {.reason = "commits have waited too long",
            .again = Again::kCold,
            .why_cold = ColdStart::kAsked};
  }
  return stream(link);
}

bool ReplicationLink::Impl::begin_serving() {
  if (stand_in == nullptr) {
    events.on_connected();
    return true;
  }
  note_walsender(walsender_pid);
  stand_in->note_applied(applied);
  return stand_in->serve_unless_engaged([this] { events.on_connected(); });
}

void ReplicationLink::Impl::note_walsender(int pid) {
  if (stand_in == nullptr) return;
  if (pid != 0) stand_in->note_walsender(pid);
  control.set_walsender(pid);
}

// Somebody else streams from the slot, or our own former walsender, which does not end.
End ReplicationLink::Impl::slot_in_use(int pid) {
  if (stand_in != nullptr && pid != walsender_pid) stand_in->disarm();
  return not_now(explain_replication_failure(
      *config, {"55006", "replication slot \"" + config->slot + "\" is active for PID " +
                             std::to_string(pid)}));
}

// The right server, and a slot on it that continues where we are; else a reason to try later.
//
// A server that crashed may have taken back commits that were seen already (their sessions did not
// wait for the flush), and gives the ids of transactions that were not flushed to others. Results
// that hold the former, and snapshots that see the latter, are wrong, and the stream tells nothing
// of it.
std::optional<End> ReplicationLink::Impl::prepare(Link& link) {
  // Before the server is asked: the control link goes on meanwhile.
  const pg::Lsn seen = std::max(applied, control.furthest_position());
  Result<ServerState> now = read_server_state(link);
  if (!now.ok()) return not_now(explain_replication_failure(*config, {"", now.error().message}));
  if (have_slot) check_history(link, *now, seen);
  if (have_slot) {
    if (std::optional<End> end = check_resumable(link)) return end;
  }
  if (have_slot) {
    server = std::move(*now);
    return std::nullopt;
  }
  // From now on the control link vouches for this server, or for nothing.
  control.begin_stream_of(now->identity);
  std::optional<End> end = start_cold(link);
  if (!end) server = std::move(*now);
  return end;
}

// What was seen of the origin must be in its present past. Over a restart only that proves it that
// the run which we followed to its end is the last one before this.
void ReplicationLink::Impl::check_history(Link& link, const ServerState& now, pg::Lsn seen) {
  const auto lose = [this](ColdStart cause, std::string_view what) {
    log_warning("replication link: the origin {}; starting cold", what);
    lose_slot(cause);
  };
  if (!may_be_same_server(now.identity, server.identity)) {
    return lose(ColdStart::kServer, "is another server or on another timeline than before");
  }
  // A crash may also take back the part of a record that was flushed.
  const bool crashed = !now.last_recovery || now.last_recovery != server.last_recovery;
  if (crashed && !resumes_over_crash()) {
    return lose(ColdStart::kCrash, now.last_recovery ? "has recovered from a crash"
                                                     : "does not tell whether it crashed");
  }
  if (now.flushed < seen) {
    return lose(ColdStart::kRestored, "is at an earlier position than before: it was restored");
  }
  if (resumes_over_crash()) return;
  const bool same_run = now.identity.started == server.identity.started;
  if (!same_run && !(saw_shutdown && last_checkpoint_follows(link, applied, server_seconds))) {
    return lose(ColdStart::kRestart,
                saw_shutdown ? "has had other runs than this since the one that was followed"
                             : "was restarted, and the end of its run before was not seen");
  }
}

void ReplicationLink::Impl::lose_slot(ColdStart why) {
  if (!have_slot) return;
  have_slot = false;
  why_cold = why;
}

std::optional<End> ReplicationLink::Impl::check_resumable(Link& link) {
  const Result<SlotState> slot = read_slot(link, config->slot);
  if (!slot.ok()) return End{slot.error().message, Again::kResume};
  if (slot->exists && slot->active_pid != 0) {
    if (slot->active_pid == walsender_pid) {
      // Our own former walsender, which has not noticed that we are gone.
      end_own_walsender(link);
      return End{"the former connection is still being closed", Again::kResume};
    }
    return slot_in_use(slot->active_pid);
  }
  std::string why;
  if (!slot->exists) why = "the slot is gone";
  if (slot->exists && (!slot->ours || slot->lost)) why = "the slot was invalidated or replaced";
  if (slot->exists && slot->confirmed > applied) why = "somebody else read from the slot";
  if (why.empty() && fruitless_resumes > kResumesWithoutProgress)
    why = "the slot does not continue";
  if (!why.empty()) {
    log_warning("replication link: {}; starting cold", why);
    lose_slot(ColdStart::kSlot);
  }
  return std::nullopt;
}

// Which may be in the midst of a large transaction, or not know that its connection is dead.
void ReplicationLink::Impl::end_own_walsender(Link& link) {
  const Reply ignored = end_walsender(link, config->slot, walsender_pid);
}

std::optional<End> ReplicationLink::Impl::clear_old_slot(Link& link) {
  const TimePoint deadline = Clock::now() + kOldWalsenderWait;
  while (true) {
    const Result<SlotState> slot = read_slot(link, config->slot);
    if (!slot.ok()) return End{slot.error().message, Again::kCold};
    if (!slot->exists) return std::nullopt;
    if (!slot->ours) {
      return not_now({"replication slot " + config->slot +
                          " exists and is not one of pgcache's for this database",
                      "choose another name with --slot", true});
    }
    if (slot->active_pid == 0) break;
    if (slot->active_pid != walsender_pid || Clock::now() >= deadline) {
      return slot_in_use(slot->active_pid);
    }
    end_own_walsender(link);
    if (stop.wait_for(milliseconds(50))) return End{"stopped", Again::kCold};
  }
  const Reply dropped = drop_slot(link, config->slot);
  if (!dropped.ok()) return not_now(explain_replication_failure(*config, dropped.failure()));
  return std::nullopt;
}

std::optional<End> ReplicationLink::Impl::start_cold(Link& link) {
  // Decoding starts where the slot is made: the publication must have been committed before.
  if (!control.wait_for_publication(kPublicationWait)) {
    return not_now({"waiting for publication " + config->publication + " on the origin",
                    "see what the control connection reports", true});
  }
  if (std::optional<End> end = clear_old_slot(link)) return end;
  if (stand_in != nullptr) stand_in->begin();
  const SlotOutcome outcome = make_slot(link, link_options(false), config->slot, stop, [this] {
    reporter.report(
        {{"the new slot waits for the end of transactions that were writing on the "
          "origin when it was made",
          "end them: SELECT pid, query FROM pg_stat_activity WHERE backend_xid IS "
          "NOT NULL ORDER BY xact_start",
          true}});
  });
  if (const Failure* failure = std::get_if<Failure>(&outcome)) {
    slot_made = slot_made || failure->interrupted || link.lost();  // perhaps
    if (failure->interrupted) return End{"stopped", Again::kCold};
    return not_now(explain_replication_failure(*config, *failure));
  }
  const NewSlot& made = std::get<NewSlot>(outcome);
  slot_made = have_slot = true;
  fruitless_resumes = 0;
  applied = made.consistent_point;
  decoder = cdc::PgoutputDecoder(config->max_transaction_size);
  events.on_cold_start(made.exported, made.consistent_point, why_cold);
  return std::nullopt;
}

End ReplicationLink::Impl::stream(Link& link) {
  if (PQsetnonblocking(link.raw(), 1) != 0) return {"the connection failed", Again::kResume};
  const Duration ask_interval = std::max<Duration>(config->heartbeat_interval, kAskIntervalMin);
  Stream s;
  s.last_message = Clock::now();
  s.next_status = s.next_ask = s.last_message;
  while (!stop.raised()) {
    wake.clear();
    if (std::optional<End> end = read_batch(link, s)) return *end;
    if (stand_in != nullptr) stand_in->note_applied(applied);
    if (restart_requested.exchange(false)) {
      return {.reason = "a new start was asked for",
              .again = Again::kCold,
              .why_cold = ColdStart::kAsked};
    }
    if (slot_given_up.exchange(false)) {
      return {.reason = "the slot holds back more WAL than max_slot_retained",
              .again = Again::kCold,
              .why_cold = ColdStart::kRetained};
    }
    if (std::optional<End> end = check_control()) return *end;
    const TimePoint now = Clock::now();
    if (is_dead(s, now)) {
      return {"nothing arrives, although the origin has sent all it had", Again::kResume};
    }
    if (now >= s.last_message + silence_max) {
      silence_max = std::min(silence_max * 2, kSilenceMax);
      return {"the origin is silent", Again::kResume};
    }
    if (s.large_message && s.at_rest(applied, now)) {
      return {"the memory of a large message is given back", Again::kResume};
    }
    const bool ask = keepalive_requested.exchange(false) || now >= s.next_ask;
    if (ask) s.next_ask = now + ask_interval;
    if (ask || s.answer_now || applied != s.told || now >= s.next_status) {
      if (!tell(link, s, ask)) return {link.last_failure().message, Again::kResume};
    }
    wait_for_stream(link, s);
  }
  // A clean end of the stream; the server would log a broken connection otherwise.
  tell(link, s, false);
  PQputCopyEnd(link.raw(), nullptr);
  PQflush(link.raw());
  return {"stopped", Again::kResume};
}

// The control connection vouches for what is served: it must lead to the server that is streamed,
// and that server's positions must not go back.
std::optional<End> ReplicationLink::Impl::check_control() {
  const ServerIdentity there = control.origin_identity();
  if (!there.known() || may_be_same_run(there, server.identity)) return std::nullopt;
  if (there.went_back) {
    return End{.reason = "the origin is at an earlier position than before: it was restored",
               .again = Again::kCold,
               .why_cold = ColdStart::kRestored};
  }
  return End{
      .reason = "the control connection leads to another server, or to one that was restarted",
      .again = Again::kCold,
      .refused = true,
      .why_cold = ColdStart::kServer};
}

// Answers are asked for all the time. A walsender that is busy may give none for long; one that has
// nothing to do gives them at once.
bool ReplicationLink::Impl::is_dead(const Stream& s, TimePoint now) const {
  if (!s.unanswered_since || now < *s.unanswered_since + kQuietMax) return false;
  const std::optional<TimePoint> waits = control.slot_holder_waits_since();
  return waits && now >= *waits + kQuietSeen;
}

// Handles what has arrived, up to a limit after which the origin shall hear how far we are.
std::optional<End> ReplicationLink::Impl::read_batch(Link& link, Stream& s) {
  if (PQconsumeInput(link.raw()) == 0) return stream_ended(link);
  for (int i = 0; i < kBatchMessages; ++i) {
    char* buffer = nullptr;
    const int length = PQgetCopyData(link.raw(), &buffer, 1);
    if (length == 0) return std::nullopt;
    if (length < 0) return stream_ended(link);
    const std::unique_ptr<char, void (*)(void*)> owner(buffer, PQfreemem);
    s.last_message = Clock::now();
    s.unanswered_since.reset();
    s.large_message = s.large_message || length > kLargeMessageBytes;
    if (auto end = handle({buffer, static_cast<std::size_t>(length)}, s)) return end;
  }
  wake.raise();  // there may be more: do not sleep
  return std::nullopt;
}

std::optional<End> ReplicationLink::Impl::handle(std::string_view bytes, Stream& s) {
  const std::optional<StreamMessage> message = parse_stream_message(bytes);
  if (!message) return End{"the stream has a message that is not understood", Again::kCold};
  if (const XLogData* data = std::get_if<XLogData>(&*message)) return handle_data(data->payload, s);
  const Keepalive& keepalive = std::get<Keepalive>(*message);
  s.answer_now = s.answer_now || keepalive.reply_requested;
  server_seconds = keepalive.seconds;
  // Everything that committed before has been sent, unless a transaction is half here.
  if (!s.in_transaction && keepalive.end > applied) {
    applied = keepalive.end;
    events.on_position(applied);
  }
  return std::nullopt;
}

std::optional<End> ReplicationLink::Impl::handle_data(std::string_view payload, Stream& s) {
  progressed = true;
  s.last_data = s.last_message;
  silence_max = kSilenceMin;
  if (!payload.empty() && payload[0] == 'B') s.in_transaction = true;
  if (!payload.empty() && payload[0] == 'C') s.in_transaction = false;
  Result<std::optional<cdc::Transaction>> decoded = decoder.feed(payload);
  if (!decoded.ok()) return End{decoded.error().message, Again::kCold};
  if (!*decoded) return std::nullopt;
  cdc::Transaction& transaction = **decoded;
  const pg::Lsn end = transaction.end_lsn;
  if (end <= applied) return std::nullopt;  // sent again after a resume
  const Duration delay = apply_delay();
  if (delay > Duration::zero()) std::this_thread::sleep_for(delay);
  events.on_transaction(std::move(transaction));
  applied = end;
  return std::nullopt;
}

End ReplicationLink::Impl::stream_ended(Link& link) {
  if (PQstatus(link.raw()) != CONNECTION_OK) {
    // What the server said before it closed the connection is the better reason.
    Failure lost = link.last_failure();
    return {lost.message.empty() ? "the connection was lost" : lost.message, Again::kResume};
  }
  const Reply reply = link.take_result();
  if (reply.ok()) {
    // It ends a stream so only when it shuts down, once everything was sent and confirmed.
    return {.reason = "the origin shut down",
            .again = Again::kResume,
            .complete = reply.status() == PGRES_COMMAND_OK};
  }
  const Failure& failure = reply.failure();
  const bool shutdown = failure.sqlstate.starts_with("57P");
  return {.reason = failure.message,
          .again = slot_is_broken(failure) ? Again::kCold : Again::kResume,
          .refused = !shutdown && !failure.sqlstate.empty(),
          .why_cold = ColdStart::kSlot};
}

bool ReplicationLink::Impl::tell(Link& link, Stream& s, bool ask) {
  const std::string update = make_status_update(applied, std::chrono::system_clock::now(), ask);
  if (PQputCopyData(link.raw(), update.data(), static_cast<int>(update.size())) < 0) return false;
  if (PQflush(link.raw()) < 0) return false;
  s.told = applied;
  s.answer_now = false;
  if (ask && !s.unanswered_since) s.unanswered_since = Clock::now();
  s.next_status = Clock::now() + kStatusInterval;
  return true;
}

void ReplicationLink::Impl::wait_for_stream(Link& link, const Stream& s) {
  const TimePoint due = std::min(s.next_status, s.next_ask);
  const auto left = std::chrono::ceil<milliseconds>(due - Clock::now()).count();
  const int unsent = PQflush(link.raw());
  std::array<pollfd, 3> p{
      pollfd{stop.fd(), POLLIN, 0}, pollfd{wake.fd(), POLLIN, 0},
      pollfd{link.socket(), static_cast<short>(unsent == 1 ? POLLIN | POLLOUT : POLLIN), 0}};
  poll(p.data(), p.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000)));
}

// At the end: nobody will read from the slot, and it would keep the origin's WAL for ever.
void ReplicationLink::Impl::leave_slot() {
  if (!slot_made || config->keep_slot) return;
  LinkOptions options = link_options(false);
  options.stop = nullptr;
  options.connect_timeout = seconds(2);
  auto opened = Link::open(options);
  std::string why;
  if (const Failure* failure = std::get_if<Failure>(&opened)) {
    why = failure->message;
  } else {
    Link& link = *std::get<std::unique_ptr<Link>>(opened);
    for (int attempt = 0; attempt < 40; ++attempt) {
      const Reply dropped = drop_slot(link, config->slot);
      const Result<SlotState> slot = read_slot(link, config->slot);
      why = dropped.ok() ? "it is in use" : dropped.failure().message;
      if (slot.ok() && !slot->exists) return;
      if (slot.ok() && slot->active_pid != 0 && slot->active_pid != walsender_pid) break;
      if (slot.ok() && attempt > 0) end_own_walsender(link);
      std::this_thread::sleep_for(milliseconds(50));
    }
  }
  log_warning("replication link: slot {} stays on the origin ({}); `pgcache cleanup` removes it",
              config->slot, why);
}

ReplicationLink::ReplicationLink(std::shared_ptr<const config::Config> config, ControlLink& control,
                                 ReplicationEvents& events, StandIn* stand_in)
    : impl_(std::make_unique<Impl>(std::move(config), control, events, stand_in)) {}

ReplicationLink::~ReplicationLink() { stop(); }

void ReplicationLink::start() {
  CHECK(!impl_->thread.joinable());
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void ReplicationLink::stop() {
  impl_->stop.raise();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void ReplicationLink::request_keepalive() {
  if (!impl_->keepalive_requested.exchange(true)) impl_->wake.raise();
}

void ReplicationLink::give_up_slot() {
  impl_->slot_given_up = true;
  impl_->wake.raise();
}

void ReplicationLink::request_restart() {
  impl_->restart_requested = true;
  impl_->wake.raise();
}

}  // namespace pgcache::origin
