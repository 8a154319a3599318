// SPDX-License-Identifier: Apache-2.0
// The stream of a session of the replication link: what comes is decoded and applied, how far is
// told, and a connection that has died is noticed.
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "origin/replication_link_impl.h"
#include "origin/replication_slot.h"
#include "origin/replication_stream.h"

namespace pgcache::origin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr Duration kStatusInterval = seconds(1);
constexpr Duration kAskIntervalMin = milliseconds(20);
constexpr Duration kQuietMax = seconds(4);  // when the origin says that it has nothing to do
constexpr Duration kQuietSeen = seconds(2);
constexpr Duration kSilenceMax = std::chrono::minutes(10);
constexpr int kBatchMessages = 256;  // handled before the origin is told how far we are
// So many transactions that came together are applied together; a large one waits for no other.
constexpr std::size_t kTogether = 16;

Duration apply_delay() {
#ifdef PGCACHE_FAULTS
  if (const char* ms = std::getenv("PGCACHE_FAULT_APPLY_DELAY_MS")) {
    return milliseconds(std::atoi(ms));
  }
#endif
  return Duration::zero();
}

}  // namespace

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
  std::optional<End> end = read_messages(link, s);
  hand_over(s);
  return end;
}

std::optional<End> ReplicationLink::Impl::read_messages(Link& link, Stream& s) {
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
  hand_over(s);
  // Everything that committed before has been sent, unless a transaction is half here.
  if (!s.in_transaction && keepalive.end >= applied) {
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
  if (transaction.end_lsn <= applied) return std::nullopt;  // sent again after a resume
  const Duration delay = apply_delay();
  if (delay > Duration::zero()) std::this_thread::sleep_for(delay);
  const bool waits_for_none = transaction.changes.size() >= kTogether || delay > Duration::zero();
  s.decoded.push_back(std::move(transaction));
  if (waits_for_none || s.decoded.size() >= kTogether) hand_over(s);
  return std::nullopt;
}

void ReplicationLink::Impl::hand_over(Stream& s) {
  if (s.decoded.empty()) return;
  const pg::Lsn end = s.decoded.back().end_lsn;
  events.on_transactions(std::exchange(s.decoded, {}));
  applied = end;
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
  if (!link.put_copy(make_status_update(applied, std::chrono::system_clock::now(), ask))) {
    return false;
  }
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

}  // namespace pgcache::origin
