// SPDX-License-Identifier: Apache-2.0
// One client's session: a state machine without I/O. Bytes of both peers come in, bytes for both go
// out; in between it decides for each query whether the cache may answer it, and keeps the order of
// replies.
//
// How it works
// - Client frames are taken one by one from the input buffer. An extended exchange that may be
//   answered from memory is held there until its Sync, and then looked at as a whole ("unit"); one
//   that cannot be, or whose client falls silent in its middle, goes on as it comes. Whatever
//   cannot be served is forwarded as it is.
// - A read that might be served waits until the origin owes nothing, so that replies keep their
//   order and the transaction status is known; everything else is forwarded at once, so that
//   pipelines flow.
// - While something is waited for (origin, settings, somebody's load) `hold_` says what, and the
//   client's bytes stay where they are; when it is over the same frame is looked at again from
//   scratch.
// - Each forwarded unit leaves a Unit record: its effects, and what is captured of its answers. The
//   origin's ReadyForQuery completes it: effects take hold, captured results are published.
//
// Owned by the loop around it; one thread. See environment.h for what it asks of the world.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.h"
#include "proxy/effects.h"
#include "proxy/environment.h"
#include "proxy/own_writes.h"
#include "proxy/portals.h"
#include "proxy/session_records.h"
#include "proxy/settings.h"
#include "proxy/statements.h"
#include "wire/buffers.h"
#include "wire/frame.h"
#include "wire/frontend.h"
#include "wire/reply_tracker.h"
#include "wire/startup.h"

namespace pgcache::proxy {

class Session {
 public:
  Session(SessionEnvironment& environment, SessionIo& io);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The loop reads into the inputs and writes from the outputs, then calls the matching event.
  wire::InputBuffer& client_input() { return client_input_; }
  wire::InputBuffer& origin_input() { return origin_input_; }
  wire::OutputQueue& to_client() { return to_client_; }
  wire::OutputQueue& to_origin() { return to_origin_; }

  void start();  // once, before the first event: the deadline of the handshake runs
  void on_client_bytes();
  void on_client_closed(bool reset);
  void on_client_secured();  // what comes from the client from now on came in TLS
  void on_origin_connected(bool secured);
  void on_origin_bytes();
  void on_origin_closed(std::string_view why);
  void on_output_drained();  // either output went below its limit
  void on_timer();
  void on_wake();
  // A client cancels what this session does. True: it does so, once the client's query has reached
  // the origin; false: send the request there now.
  bool on_cancel();
  // What of the client's the origin is at, and since when the origin has been sent it. A number of
  // 0: nothing.
  struct Running {
    std::uint64_t unit = 0;
    TimePoint sent;
  };
  Running running() const;
  void on_position(pg::Lsn position);  // invalid: could not be had
  void on_shutdown();                  // pgcache ends

  bool wants_client_bytes() const;
  bool wants_origin_bytes() const;
  bool close_client_when_flushed() const { return phase_ == Phase::kClosing; }
  bool close_origin_when_flushed() const { return close_origin_; }
  // The client says no more, and the origin is to see it: its connection's sending side is shut.
  bool end_origin_when_flushed() const { return end_origin_; }

 private:
  enum class Phase : std::uint8_t {
    kStartup,
    kSecuring,  // the client's handshake
    kConnecting,
    kAuthenticating,
    kReady,
    kBlind,
    kCancelling,
    kClosing
  };
  // Which connection to the origin it is.
  enum class Attempt : std::uint8_t { kFirst, kPlainForBinding, kLast };
  enum class Hold : std::uint8_t { kNone, kOrigin, kSettings, kWait, kBegin };

  // --- session_startup.cc: up to the first ReadyForQuery
  void process_startup();
  void on_startup_packet(const wire::StartupPacket& packet, std::string_view bytes);
  void on_ssl_request(std::size_t packet_bytes);
  void on_gss_request(std::size_t packet_bytes);
  void decline_encryption(std::string_view what, std::size_t packet_bytes);
  void refuse_second_request(std::string_view version);
  void on_client_hello();
  void begin_session(const wire::StartupPacket& packet, std::string_view bytes);
  void on_authentication_frame(char tag, std::string_view frame);
  void say_plain_for_scram();
  bool tries_another_connection(char tag, std::string_view frame);
  void connect_again(origin::Encryption how, Attempt attempt);
  bool binding_is_cut(std::string_view frame) const;
  bool narrow_sasl_offer(std::string_view frame);
  bool answers_narrowed_offer(std::string_view body);
  void process_authentication();

  // --- session.cc: life
  void fail(const wire::ErrorFields& fields);  // FATAL to the client, and close both sides
  void close();
  bool over_limits() const;

  // --- session_client.cc: frames of the client, forwarding
  void process_client();
  bool waits_for_copy(std::string_view bytes) const;
  void relay_only();
  bool take_client_frame();          // false: no progress possible now
  bool dispatch(wire::Frame frame);  // false: held; the frame stays
  bool relay_rest();
  bool stream_large_frame(wire::FrameHeader header, std::string_view bytes);
  void consume_client(std::size_t bytes);
  Unit& open_unit();
  void finish_unit();  // its Sync, Query or FunctionCall has been sent
  void forward_raw(std::string_view bytes);
  void forward_function_call(std::string_view bytes);
  void forward_copy_data(std::string_view bytes);
  void forward_held_unit(sql::BypassReason reason = sql::BypassReason::kFlush);
  void forward_extended(wire::Frame frame, const std::optional<wire::Bind>& bind = std::nullopt);
  void before_target(char tag, const wire::Target& target);
  void forward_bind(std::string_view frame, const wire::Bind& bind);
  void forward_sync(std::string_view frame);
  // What forwarding may do, and under which route it is observed.
  bool settings_may_change() const;
  bool knows_names() const;
  const cache::Shape* proven(const cache::ShapePtr& shape) const;
  bool is_worth_analysis(std::string_view dml) const;
  Effects statement_effects(Statement& statement) const;
  static Route forwarded_route(const Verdict& verdict);
  Inflight& forward_query(std::string_view frame, Effects effects, Verdict verdict,
                          cache::ShapePtr shape);
  void terminate();

  // --- session_statements.cc: names of prepared statements
  void forget_statements();
  void query_forgets_unnamed(std::string_view sql);
  void query_failed(std::uint64_t cookie, std::string_view sqlstate);
  void forget_unnamed();
  void forward_close_statement(std::string_view frame, std::string_view name);
  void settle_statement(std::uint64_t cookie);
  void undo_statements(std::string_view sqlstate);
  void undo_statement(PendingStatement& pending);
  void forward_parse(std::string_view frame, const wire::Parse& parse, StatementPtr statement);

  // --- session_behind.cc: what goes to the origin unseen, in front of what the client sends
  bool send_hidden_close(char kind, std::string_view name);
  std::string types_at_parse(const Statement& statement) const;
  void ensure_at_origin(std::string_view name);
  bool is_unprepared(std::string_view name) const;
  bool prepare_first(std::string_view name, bool describes);
  bool prepare_before(const wire::Frame& frame, const std::optional<wire::Bind>& bind);
  std::optional<std::size_t> first_unprepared() const;
  bool unit_prepares_first();
  bool on_catching_up_frame(char tag, std::string_view frame, const wire::Attribution& attribution);
  void drop_catching_up(const wire::PendingRequest& request);
  void note_unsure_unnamed();
  bool nothing_can_fail() const;
  bool waits_for_unnamed();
  std::uint64_t describing(std::uint64_t cookie);
  void note_description(const wire::PendingRequest& request, std::string_view frame);
  void catch_up_statement(std::string_view name);
  void catch_up_portal(std::string_view name);
  void catch_up_snapshot();
  bool unit_sets_modes(bool first) const;
  bool unit_needs_snapshot() const;
  void note_simple_hit();
  std::uint64_t replace_unnamed_portal(std::uint64_t cookie);
  void settle_unnamed_portal(std::uint64_t cookie, bool replaced);
  bool may_prepare_here(std::size_t at) const;
  void prepare_at_origin(const Step& parse, cache::CachedResultPtr result);
  bool on_prepare_frame(char tag, std::string_view frame, const wire::Attribution& attribution);
  static constexpr std::uint64_t kBeginCookie = 1;         // of the hidden requests of a BEGIN
  static constexpr std::uint64_t kPrepareCookie = 4;       // of hidden requests that prepare it
  static constexpr std::uint64_t kChangedCookie = 5;       // of what makes the use of one fail
  static constexpr std::uint64_t kChangedTypesCookie = 6;  // of the Describe in front of that
  static constexpr std::uint64_t kCloseUnnamedCookie = 7;  // of a hidden Close
  void bind_changed_statement(const wire::Bind& bind);
  bool is_refused(const StatementPtr& statement) const;
  static std::string instead_of_changed();
  void execute_changed_statement();
  bool is_of_changed(std::string_view frame, const wire::Attribution& attribution) const;
  bool describe_changed_statement(std::string_view name);

  // --- session_held.cc: exchanges whose Sync is not there yet
  bool pass_on_held();
  std::size_t first_execute_end();
  std::optional<Verdict> decide_beginning(std::string_view bytes);
  std::optional<sql::BypassReason> lasting_refusal();
  void forward_beginning(Verdict verdict, std::size_t bytes);
  sql::BypassReason streamed_reason(std::string_view portal);
  std::uint64_t note_streamed(std::string_view portal);
  void await_rest();
  void end_held();
  void end_silence();

  // --- session_flush.cc: exchanges of which a part ends with a Flush
  bool takes_flush(const wire::Frame& frame) const;
  bool handle_flush(std::string_view bytes);
  bool pass_on_flushed(sql::BypassReason reason = sql::BypassReason::kFlush);
  bool may_be_answered_in_parts() const;
  void serve_flush();
  void begin_exchange_here();
  void end_exchange_here();
  void exchange_at_origin();
  bool ends_in_flush() const;
  bool is_bound_for_later(std::size_t at) const;
  bool is_executed(std::size_t bind) const;
  void forward_flushed();
  void open_load(const Step& bind, Verdict verdict);
  void limit_opened_loads();
  void drop_opened_loads();

  // --- session_portal.cc: portals whose rows are in memory, and their answers in turn
  static constexpr std::size_t kOriginPortalsMax = 100;
  // How long a load may take whose rows the client fetches part by part: so many times
  // load_wait_timeout.
  static constexpr int kFetchWaits = 10;
  void answer_here(LocalReply reply);
  void send_local(const LocalReply& reply);
  void release_local_replies();
  void drop_local_reply(std::uint64_t id);
  static LocalReply run_portal(MemoryPortal& portal, std::int32_t row_limit);
  bool in_memory(char tag, std::string_view name, std::int32_t row_limit);
  bool form_may_differ(const MemoryPortal& portal) const;
  bool ask_settings_for_portals();
  bool answer_portal(char tag, std::string_view name, std::int32_t row_limit = 0);
  void execute_here(MemoryPortal& portal, std::int32_t row_limit);
  void close_here(const MemoryPortal& portal);
  bool portals_may_have_ended() const;
  void forget_portals();
  void park(Inflight inflight, TimePoint now);
  std::optional<std::uint64_t> unpark(std::string_view portal);
  std::optional<std::uint64_t> follow_load(std::string_view portal);
  void lose_loads(std::string_view portal);

  // --- session_portal_origin.cc: where the origin has to know them
  static constexpr std::uint64_t kPortalCookie = 3;  // of hidden requests
  void describe_elsewhere(const MemoryPortal& portal);
  void open_portal(MemoryPortal& portal, bool runs, bool only, bool goes_on = false);
  bool wants_portals_first(const Effects& effects, std::string_view sql) const;
  bool may_wait_for_portals() const;
  PortalNeed need_of(const Effects& effects, std::string_view sql) const;
  static bool is_needed(const MemoryPortal& portal, const PortalNeed& need);
  bool any_needed(const PortalNeed& need, bool unnamed) const;
  bool open_and_wait(const PortalNeed& need, bool unnamed);
  bool opens_before_query(const Effects& effects, std::string_view sql);
  bool waits_to_open(const Effects& effects, std::string_view sql, const wire::Bind& bind);
  bool portals_want_to_wait(const Effects& effects, std::string_view sql) const;
  bool unit_waits_to_open();
  bool open_portals_first(const Effects& effects, std::string_view sql);
  std::size_t step_wanting_portals() const;
  bool executes_want_portals();
  bool unit_opens_portals_first();
  bool open_portals_before(const wire::Bind& bind);
  bool open_portal_before(const wire::Frame& execute);
  std::string instead_of_lost_portals(std::string_view frame);
  void raise_for_lost_portals(std::optional<std::string_view> portal = std::nullopt);
  void portals_before(const Effects& effects, std::string_view sql, bool simple);
  void portals_outlived();
  void portals_before_bind(std::string_view portal);
  void note_origin_portal(std::string_view name);
  bool portal_may_exist(std::string_view name);
  PortalOpening* portal_opening(const wire::PendingRequest& request);
  bool on_portal_frame(char tag, std::string_view frame, const wire::Attribution& attribution);
  void check_portal_rows(const wire::PendingRequest& request, std::string_view bytes);
  void end_opening(const PortalOpening& opening);
  void drop_opening(const wire::PendingRequest& request);

  // --- session_pooled.cc: an origin that may change the connection with each transaction
  static constexpr std::uint64_t kSettingsCookie = 2;  // of hidden requests
  bool waits_for_pooler() const;
  void note_at_origin(const StatementPtr& statement);
  void leave_connection();
  void clear_name(std::string_view name);
  void hide_foreign_statement(std::string_view name);
  bool answer_deallocate(const cache::Shape& shape);
  void append_settings_request();
  void append_settings_exchange(bool executes = true);
  void append_hidden_exchange(std::string_view sql, bool executes = true);
  void forward_query_and_settings(std::string_view frame);
  Unit* adding_unit(const wire::Attribution& attribution);
  void begin_added_query(const wire::Attribution& attribution);
  bool answers_added_query(const wire::Attribution& attribution);
  bool is_of_added_query(char tag, const wire::Attribution& attribution);
  bool leads_to_tracked_database(const SessionSettings& settings,
                                 const TransactionSettings& more) const;
  void verify_loads(Unit& unit);

  // --- session_block.cc: blocks that the origin does not know of
  static BlockCommand block_command(const cache::Shape& shape);
  BlockCommand command_of(Statement& statement, const wire::Bind& bind) const;
  bool may_defer(const sql::StatementShape& scanned, const cache::Shape& shape) const;
  bool may_answer_blocks() const;
  void begin_here(std::string_view sql, const cache::Shape& shape, bool simple);
  void end_here(const cache::Shape& shape);
  void append_ready();
  bool answer_block_command(std::string_view sql, const sql::StatementShape& scanned,
                            const cache::Shape& shape);
  std::size_t begin_in_front(std::string_view sql) const;
  std::string begin_before_query(std::string_view text, std::size_t begin_bytes);
  void serve_block_command(const Step& step);
  void begin_at_origin();
  bool on_begin_frame(char tag, std::string_view frame, const wire::Attribution& attribution);
  bool hold_notification(std::string_view frame);
  void release_notifications();

  // --- session_gate.cc: what the session itself says of serving it
  // Whether the session's state lets a read be served at all; nothing when it does.
  std::optional<Verdict> gate();
  std::optional<Verdict> gate_settings();
  std::optional<sql::BypassReason> settings_refusal() const;
  void send_settings_query();
  bool plans_are_old() const;
  std::uint64_t plans_generation() const;
  void ask_settings_early();
  bool settings_are_wanted() const;
  Verdict ask_settings();  // and wait for the answer
  void lose_settings();

  // --- session_read.cc: deciding, the simple protocol
  bool handle_query(wire::Frame frame);
  void forward_decided_query(std::string_view frame, std::optional<std::string_view> sql, Lead lead,
                             Verdict verdict, const cache::ShapePtr& shape,
                             const cache::ShapePtr& decided);
  Verdict decide_query(std::string_view sql, Lead lead, const sql::StatementShape& scanned,
                       cache::ShapePtr& shape);
  void serve_query(const Verdict& verdict);
  bool is_hopeless(const cache::Shape& shape) const;
  Verdict decide(ReadCandidate& candidate);
  std::optional<sql::BypassReason> check_values(const ReadCandidate& candidate,
                                                const sql::CacheableQuery& query) const;
  void build_key(const ReadCandidate& candidate, std::int32_t row_limit);
  static std::optional<std::uint64_t> rows_max(const ReadCandidate& candidate);
  Verdict look_up(ReadCandidate& candidate);
  bool is_of_one_form(const cache::CachedResult& result) const;
  Verdict begin_wait(cache::Waiting waiting);
  void hold_for(std::unique_ptr<cache::Wait> wait, FallbackReason reason, Duration time_max);
  void begin_frame();
  bool needs_proof() const;
  Verdict wait_for_proof();
  std::shared_ptr<const StatementText> make_text(std::string_view sql,
                                                 std::string_view types_be) const;
  StatementPtr make_statement(std::string_view sql, std::string_view types_be);
  cache::ShapePtr shape_of(Statement& statement) const;
  cache::ShapePtr find_shape(std::string_view sql, const sql::StatementShape& shape,
                             const std::vector<pg::Oid>& types) const;
  const cache::ShapeScope& scope() const;
  bool needs_conforming() const;
  void count(const Verdict& verdict, const cache::Shape* shape);
  void observe(Route route, TimePoint started);
  static Verdict bypass(sql::BypassReason reason);
  static Verdict fallback(FallbackReason reason);
  static Verdict held();
  static Verdict miss();

  // --- session_prepared.cc: PREPARE and EXECUTE in SQL
  StatementPtr executed_statement(const cache::Shape* shape) const;
  bool may_be_read(Statement& statement) const;
  bool may_be_served(Statement& statement) const;
  bool read_arguments(const cache::Shape& call, const sql::StatementShape& scanned);
  bool is_current(Statement& statement);
  Verdict decide_executed(ReadCandidate& candidate, const cache::Shape& call,
                          const sql::StatementShape& scanned);
  bool calls_own_function(std::string_view sql, const cache::Shape& shape) const;
  Effects text_effects(Lead lead, std::string_view sql, const cache::ShapePtr& shape) const;
  void note_prepare(Inflight& inflight, std::string_view sql, const cache::Shape* shape);

  // --- session_links.cc: the messages of an extended exchange
  void parse_unit(std::string_view bytes);
  std::optional<sql::BypassReason> link_unit();  // Binds to statements, Executes to Binds
  std::optional<sql::BypassReason> link_step(std::size_t at);
  std::optional<sql::BypassReason> link_target(std::size_t at);
  std::optional<sql::BypassReason> link_described_statement(std::size_t at);
  bool link_descriptions();
  const Step* parse_of(std::size_t before, std::string_view statement) const;
  bool every_step_is_executed() const;
  std::optional<sql::BypassReason> link_execute(std::size_t at);
  const Step* latest_step(std::size_t before, char tag, std::string_view portal) const;
  Step* bind_of(std::size_t before, std::string_view portal);
  bool block_ends_between(std::size_t from, std::size_t to) const;
  bool only_memory() const;
  bool in_block_at(std::size_t step) const;

  // --- session_unit.cc: extended exchanges
  bool handle_unit(std::string_view bytes);  // with its Sync; false: held
  bool may_have_outlived(const Step& step) const;
  bool waits_for_portals();
  void list_executes();
  bool decide_unit(std::optional<sql::BypassReason> shape_reason);
  bool is_all_hit(std::optional<sql::BypassReason> shape_reason) const;
  bool ask_settings_for_parse(std::string_view unit);
  bool uses_old_portal(const Step& step) const;
  void serve_bind(const Step& step, std::size_t at, const std::vector<Verdict>& verdicts);
  void serve_describe(const Step& step, std::size_t at, const std::vector<Verdict>& verdicts);
  void serve_sync(const Step& step, const std::vector<Verdict>& verdicts);
  const Verdict& verdict_of(std::size_t at, const std::vector<Verdict>& verdicts) const;
  void forward_execute(Step& step, Verdict verdict, sql::BypassReason reason);
  Inflight make_inflight(const Step& step, Verdict& verdict) const;
  void prepare_parsed(const std::vector<Verdict>& verdicts);
  std::optional<Verdict> gate_unit(const std::vector<std::size_t>& executes,
                                   std::optional<sql::BypassReason> shape_reason);
  Verdict decide_execute(std::size_t at, bool alone);
  Verdict again(std::size_t before) const;
  bool execute_is_harmless(std::size_t at) const;
  bool means_what_it_meant(Statement& statement, const sql::CacheableQuery& query) const;
  void serve_unit(const std::vector<Verdict>& verdicts);
  void forward_describe(const Step& step);
  void forward_unit(std::vector<Verdict>& verdicts, const std::vector<std::size_t>& executes,
                    std::optional<sql::BypassReason> shape_reason);

  // --- session_origin.cc: frames of the origin
  void process_origin();
  bool take_origin_frame();
  void relay_rows(std::string_view bytes);
  void on_origin_frame(char tag, std::string_view frame, bool whole);
  void on_asynchronous(char tag, std::string_view frame);
  void on_hidden_frame(char tag, std::string_view frame, const wire::Attribution& attribution);
  void on_reply(char tag, std::string_view frame, const wire::Attribution& attribution);
  void on_dropped(std::string_view error);
  void forget_named(const std::string* name);
  void on_ready(char status, std::uint64_t unit_id);
  void complete_unit(Unit unit);
  void after_unit(const Effects& effects);
  void note_write(bool sure);
  Inflight* capturing(const wire::PendingRequest& request);
  Inflight* inflight_of(const wire::PendingRequest& request);
  void capture(Inflight& inflight, std::string_view frames, std::uint64_t rows);
  template <typename F>
  void keep(Inflight& inflight, F&& f);
  void complete_capture(Inflight& inflight, std::string_view frame);
  void suspend_capture(Inflight& inflight, std::string_view frame);
  void take_description(Inflight& inflight);
  void spoil_captures();
  void begin_large_frame(char tag, std::string_view frame, const wire::Attribution& attribution);

  SessionEnvironment& env_;
  SessionIo& io_;
  wire::InputBuffer client_input_;
  wire::InputBuffer origin_input_;
  wire::OutputQueue to_client_;
  wire::OutputQueue to_origin_;

  Phase phase_ = Phase::kStartup;
  Hold hold_ = Hold::kNone;
  bool running_ = false;            // process_client() is on the stack
  bool cacheable_session_ = false;  // the right database, cache switched on
  bool relay_only_ = false;
  bool client_secured_ = false;  // the client's connection is in TLS
  bool ssl_answered_ = false;    // its request for it, which may come once
  bool gss_answered_ = false;
  bool client_eof_ = false;
  bool close_origin_ = false;
  bool end_origin_ = false;
  bool terminated_ = false;        // Terminate was sent to the origin
  std::uint64_t client_skip_ = 0;  // bytes of a client frame still to be relayed unread
  std::uint64_t origin_skip_ = 0;
  std::optional<wire::PendingRequest>
      skipped_row_;             // the row that origin_skip_ belongs to answers it
  std::size_t held_bytes_ = 0;  // of the unit that waits for its Sync, in client_input_
  // Of that unit, while its Sync is not there.
  struct Held {
    std::size_t looked_at = 0;  // so many of its bytes have been
    bool decided = false;       // its first Execute was among them, and may be served
    std::optional<TimePoint> since;
    std::optional<TimePoint> deadline;  // for its rest to come
    bool expired = false;
  };
  Held held_;
  bool streaming_unit_ = false;  // the present unit is being forwarded frame by frame
  // The present exchange has been answered here, up to a Flush, and nothing of it has gone to the
  // origin.
  bool flushed_ = false;
  bool exchange_executed_ = false;  // of Begin::kExchange: something was
  bool exchange_portals_ = false;   // there may be portals in memory of such a one
  sql::BypassReason streaming_reason_ = sql::BypassReason::kFlush;  // why it is
  std::string streamed_portal_;                                     // of its last Bind
  StatementPtr streamed_statement_;                                 // likewise, when known
  std::string startup_packet_;  // until the origin has said what it thinks of the session
  Attempt attempt_ = Attempt::kFirst;
  bool blind_ = false;           // to be relayed blind once it is authenticated
  bool origin_secured_ = false;  // the connection to the origin is in TLS
  bool origin_heard_ = false;
  bool offer_narrowed_ = false;  // until the client has answered it
  std::string held_greeting_;    // what the origin said before
  std::string cancel_key_;       // BackendKeyData, as on the wire

  wire::ReplyTracker tracker_;
  std::vector<wire::PendingRequest> dropped_;
  std::uint64_t next_id_ = 16;  // below: cookies of requests of pgcache's own
  std::optional<Unit> open_unit_;
  std::vector<Inflight> spare_inflight_;  // an empty one, for its memory
  std::deque<Unit> units_;
  // RowDescriptions of the present unit's portals, by the id of the Inflight that executes them.
  std::vector<std::pair<std::uint64_t, std::string>> descriptions_;
  std::deque<PendingStatement> pending_statements_;
  std::uint64_t doubts_ = 0;  // how often a named statement may have been dropped unnoticed
  // Every plan that the origin keeps for the session, of a statement or in a function, was made
  // from definitions as new as those of this generation of the catalog. Not with a pooled origin.
  std::uint64_t plans_generation_;

  std::deque<UnnamedPortal> unnamed_portals_;
  std::deque<Preparing> preparing_;
  std::deque<CatchingUp> catching_up_;
  // Describes by the client of its unnamed statement, by their cookies.
  std::deque<std::pair<std::uint64_t, StatementPtr>> describing_;
  // What the origin has as the unnamed statement depends on whether an error comes in an exchange
  // that is under way.
  bool unnamed_unsure_ = false;
  bool foreign_statements_ = false;  // the origin may have some that are not in statements_

  Behind behind_;
  bool unread_statement_ = false;     // the unnamed one, too large to be looked into
  bool unnamed_portal_open_ = false;  // at the origin, perhaps, in a block
  bool cursors_possible_ = false;     // that outlive their transaction

  char status_ = 'I';
  bool completed_something_ = false;  // the origin, since it was last ready
  Block block_ = Block::kNone;
  bool block_read_committed_ = false;  // whatever the settings say
  DeferredBegin begin_;
  bool block_ddl_ = false;
  bool block_redefines_ = false;
  bool block_wrote_ = false;
  bool block_may_have_written_ = false;
  bool block_changed_settings_ = false;
  OwnWrites block_writes_;

  SettingsPtr settings_;       // null: unknown
  SettingsPtr last_settings_;  // the last ones known, for early decisions only
  std::uint64_t settings_epoch_ = 0;
  std::uint64_t disturbances_ = 1;  // how often the settings may have changed
  // Memo of scope(), and what it was made of.
  mutable cache::ShapeScope scope_;
  mutable std::uint32_t scope_settings_ = 0;
  mutable std::uint64_t scope_generation_ = ~std::uint64_t{0};
  mutable bool analysis_failed_ = false;  // of something in the frame that is being handled
  TransactionSettings transaction_settings_;
  bool other_server_told_ = false;  // to the environment; once
  TimePoint origin_idle_since_;     // the last ReadyForQuery of the origin
  bool cancel_wanted_ = false;      // when what is held has been sent
  bool settings_asked_ = false;
  bool settings_failed_ = false;
  std::vector<std::optional<std::string>> settings_row_;

  enum class AfterWrite : std::uint8_t { kNone, kNeeded, kRequested, kKnown };
  AfterWrite after_write_ = AfterWrite::kNone;
  bool write_since_request_ = false;
  pg::Lsn write_position_;
  OwnWrites own_writes_;  // that may not be applied yet; empty with AfterWrite::kNone

  PortalTable portals_;                      // in the present block
  std::vector<std::string> origin_portals_;  // names of those that may be at the origin
  enum class Opening : std::uint8_t {
    kNone,
    kSent,
    kLost,  // the rows are others now
  };
  Opening opening_ = Opening::kNone;  // portals in front of a statement that fetches from them
  std::deque<LocalReply> local_replies_;
  std::deque<PortalOpening> portal_openings_;
  std::vector<Inflight> parked_;  // loads of portals that are at the origin
  TimePoint parked_deadline_;
  bool skip_hidden_ = false;  // origin_skip_ belongs to a hidden row

  StatementTable statements_;
  std::vector<StatementPtr> held_statements_;  // at the origin in this transaction, if it is pooled
  StatementPtr last_made_;
  Executed executed_;  // what was decided upon last
  std::vector<Step> steps_;
  std::size_t step_count_ = 0;
  // Of the unit that is being handled: its Executes, and Binds that are executed behind its Flush,
  // and what was decided for each.
  std::vector<std::size_t> executes_;
  std::vector<Verdict> verdicts_;
  std::string key_;
  std::unique_ptr<cache::Wait> wait_;
  bool waited_ = false;
  std::optional<FallbackReason> timed_out_;
  FallbackReason waiting_for_ = FallbackReason::kLoadWait;
  TimePoint frame_started_;
  TimePoint input_at_;       // when the client's last bytes came in; where hits need proofs
  TimePoint frame_came_by_;  // of the frame that is being handled, by then it was there
};

}  // namespace pgcache::proxy
