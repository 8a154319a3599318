// SPDX-License-Identifier: Apache-2.0
// The inside of ReplicationLink, shared by replication_link.cc (one session after the other),
// replication_resume.cc (what a session may go on from) and replication_flow.cc (the stream
// itself). Nobody else includes it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "cdc/pgoutput.h"
#include "origin/link.h"
#include "origin/problems.h"
#include "origin/replication_link.h"
#include "origin/server_identity.h"
#include "origin/stand_in.h"

namespace pgcache::origin {

inline constexpr Duration kSilenceMin = std::chrono::seconds(30);
// libpq keeps the memory that a message took for as long as the connection lives: behind one of so
// many bytes there is a new connection, once the stream has been at rest for a while.
inline constexpr int kLargeMessageBytes = 32 << 20;
inline constexpr Duration kRestAfterLarge = std::chrono::seconds(2);

enum class Again { kResume, kCold };

// Why a session ended.
struct End {
  std::string reason;
  Again again = Again::kResume;
  bool refused = false;  // the server itself ended the stream with an error
  ColdStart why_cold = ColdStart::kStream;
  bool complete = false;  // the server shut down, and all that it had came before
};

// Whether the server's error says that the slot cannot continue.
bool slot_is_broken(const Failure& failure);

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
    std::vector<cdc::Transaction> decoded;  // to be handed over together

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
  std::optional<End> read_messages(Link& link, Stream& s);
  void hand_over(Stream& s);
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

}  // namespace pgcache::origin
