// SPDX-License-Identifier: Apache-2.0
// Deciding whether a read is answered from memory, and answering it. See session.h.
#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/cache_path.h"
#include "base/log.h"
#include "proxy/faults.h"
#include "proxy/session.h"

namespace pgcache::proxy {

using sql::BypassReason;

namespace {

void append_bytes(std::string& key, std::string_view bytes) {
  append_be32(key, static_cast<std::uint32_t>(bytes.size()));
  key.append(bytes);
}

}  // namespace

Verdict Session::bypass(BypassReason reason) {
  Verdict verdict;
  verdict.kind = Verdict::Kind::kBypass;
  verdict.bypass = reason;
  return verdict;
}

Verdict Session::fallback(FallbackReason reason) {
  Verdict verdict;
  verdict.kind = Verdict::Kind::kFallback;
  verdict.fallback = reason;
  return verdict;
}

Verdict Session::miss() {
  Verdict verdict;
  verdict.kind = Verdict::Kind::kMiss;
  return verdict;
}

Verdict Session::held() {
  Verdict verdict;
  verdict.kind = Verdict::Kind::kHeld;
  return verdict;
}

void Session::count(const Verdict& verdict, const cache::Shape* shape) {
  RouteStats& stats = *env_.stats;
  const auto bump_shape = [shape](std::atomic<std::uint64_t> cache::ShapeStats::*counter) {
    if (shape != nullptr) (shape->stats.*counter).fetch_add(1, std::memory_order_relaxed);
  };
  if (verdict.kind == Verdict::Kind::kPortal) RouteStats::bump(stats.portal_hits);
  switch (verdict.kind) {
    case Verdict::Kind::kHit:
    case Verdict::Kind::kPortal:
      RouteStats::bump(stats.hits);
      bump_shape(&cache::ShapeStats::hits);
      return;
    case Verdict::Kind::kLoad:
    case Verdict::Kind::kMiss:
      RouteStats::bump(stats.misses);
      bump_shape(&cache::ShapeStats::misses);
      return;
    case Verdict::Kind::kBypass:
      RouteStats::bump(stats.bypasses[static_cast<std::size_t>(verdict.bypass)]);
      bump_shape(&cache::ShapeStats::bypasses);
      if (shape != nullptr) {
        shape->stats.last_bypass.store(static_cast<std::uint64_t>(verdict.bypass) + 1,
                                       std::memory_order_relaxed);
      }
      return;
    case Verdict::Kind::kFallback:
      RouteStats::bump(stats.fallbacks[static_cast<std::size_t>(verdict.fallback)]);
      bump_shape(&cache::ShapeStats::fallbacks);
      return;
    case Verdict::Kind::kBlock:  // has counters of its own
    case Verdict::Kind::kHeld:
      return;
  }
}

void Session::observe(Route route, TimePoint started) {
  env_.stats->latency[static_cast<std::size_t>(route)].observe(io_.now() - started);
}

// --- names and shapes

const cache::ShapeScope& Session::scope() const {
  const SettingsPtr& settings = settings_ ? settings_ : last_settings_;
  const std::uint32_t settings_id = settings ? settings->id : 0;
  const std::uint64_t generation = env_.shapes->generation();
  if (scope_settings_ == settings_id && scope_generation_ == generation) return scope_;
  cache::ShapeScope made;
  if (settings) {
    made.standard_conforming_strings = settings->standard_conforming_strings;
    const std::shared_ptr<const pg::Catalog> catalog = env_.shapes->catalog();
    for (const std::string& schema : settings->search_path) {
      const pg::Oid oid = catalog ? catalog->find_schema(schema) : pg::Oid::kInvalid;
      made.search_path_oids.push_back(oid);
      append_be32(made.search_path, pg::to_u32(oid));
    }
  }
  scope_ = std::move(made);
  scope_settings_ = settings_id;
  scope_generation_ = generation;
  return scope_;
}

bool Session::needs_conforming() const {
  const SettingsPtr& settings = settings_ ? settings_ : last_settings_;
  return !settings || settings->standard_conforming_strings;
}

// Null also when it fails, for want of memory: the statement is one that was not read.
cache::ShapePtr Session::find_shape(std::string_view sql, const sql::StatementShape& shape,
                                    const std::vector<pg::Oid>& types) const {
  if (sql.size() > env_.config->max_query_size) return nullptr;
  try {
    const CachePath path;
    return env_.shapes->find_or_analyze(faults::analysed_text(sql), shape, scope(), types);
  } catch (const std::exception& error) {
    log_error("analysis failed, the query goes to the origin: {}", error.what());
    analysis_failed_ = true;
    return nullptr;
  }
}

cache::ShapePtr Session::shape_of(Statement& statement) const {
  const SettingsPtr& settings = settings_ ? settings_ : last_settings_;
  const std::uint32_t settings_id = settings ? settings->id : 0;
  if (statement.analysed && statement.analysed_settings == settings_id &&
      statement.analysed->is_of(env_.shapes->generation())) {
    return statement.analysed;
  }
  if (statement.text->scanned_conforming != needs_conforming()) {
    statement.text = make_text(statement.text->sql, statement.text->parameter_types_be);
  }
  const StatementText& text = *statement.text;
  statement.analysed = find_shape(text.sql, text.shape, text.parameter_types);
  statement.analysed_settings = settings_id;
  return statement.analysed;
}

std::shared_ptr<const StatementText> Session::make_text(std::string_view sql,
                                                        std::string_view types_be) const {
  auto text = std::make_shared<StatementText>();
  text->sql = sql;
  text->parameter_types_be = types_be;
  for (std::size_t i = 0; i + 4 <= types_be.size(); i += 4) {
    text->parameter_types.push_back(pg::Oid{load_be32(types_be.data() + i)});
  }
  text->lead = leading_keyword(sql);
  text->copies = is_copy(sql);
  text->scanned_conforming = needs_conforming();
  if (sql.size() <= env_.config->max_query_size) {
    text->shape = sql::scan_shape(sql, text->scanned_conforming);
  }
  return text;
}

// Many drivers parse the same text again for each execution: what it tells is found once.
StatementPtr Session::make_statement(std::string_view sql, std::string_view types_be) {
  auto statement = std::make_shared<Statement>();
  const bool again = last_made_ && last_made_->text->sql == sql &&
                     last_made_->text->parameter_types_be == types_be &&
                     last_made_->text->scanned_conforming == needs_conforming();
  if (again) {
    statement->text = last_made_->text;
    statement->analysed = last_made_->analysed;
    statement->analysed_settings = last_made_->analysed_settings;
  } else {
    statement->text = make_text(sql, types_be);
  }
  statement->accepted_generation = statement->parsed_generation = env_.shapes->generation();
  statement->accepted_doubts = doubts_;
  statement->parsed_settings = settings_;
  statement->parsed_at_disturbance = disturbances_;
  last_made_ = statement;
  return statement;
}

// --- the decision

std::optional<BypassReason> Session::check_values(const ReadCandidate& candidate,
                                                  const sql::CacheableQuery& query) const {
  const std::vector<sql::Literal>& literals = candidate.statement_shape->literals;
  for (const std::uint16_t index : query.time_literals) {
    if (index < literals.size() && sql::names_current_time(literals[index].text)) {
      return BypassReason::kVolatileLiteral;
    }
  }
  if (candidate.parameters != nullptr) {
    for (const std::uint16_t index : query.time_parameters) {
      if (index >= candidate.parameters->size()) continue;
      const wire::BindParameter& parameter = (*candidate.parameters)[index];
      // The binary form of a text is the text.
      if (sql::names_current_time(parameter.bytes)) {
        return BypassReason::kVolatileLiteral;
      }
    }
  }
  if (settings_->client_encoding == "UTF8") return std::nullopt;
  if (!is_ascii(candidate.sql)) return BypassReason::kClientEncoding;
  if (candidate.parameters != nullptr) {
    for (const wire::BindParameter& parameter : *candidate.parameters) {
      if (!is_ascii(parameter.bytes)) return BypassReason::kClientEncoding;
    }
  }
  return std::nullopt;
}

// The whole key, in a form that no two different requests share: fixed-width fields and counted
// bytes.
void Session::build_key(const ReadCandidate& candidate, std::int32_t row_limit) {
  key_.clear();
  append_be64(key_, candidate.shape->id.value);
  append_be32(key_, faults::broken("ignore_settings") ? 0 : settings_->id);
  if (candidate.by_execute) key_.push_back('X');
  key_.push_back(candidate.simple ? 'Q' : row_limit > 0 ? 'L' : 'E');
  if (row_limit > 0) append_be32(key_, static_cast<std::uint32_t>(row_limit));
  append_bytes(key_, candidate.result_formats_be);
  for (const sql::Literal& literal : candidate.statement_shape->literals) {
    append_bytes(key_, literal.text);
  }
  if (candidate.parameters == nullptr) return;
  for (const wire::BindParameter& parameter : *candidate.parameters) {
    key_.push_back(parameter.is_null ? 'n' : (parameter.binary ? 'b' : 't'));
    append_bytes(key_, parameter.bytes);
  }
}

// gate() is open and candidate.shape is set: may this statement with these values be served, and is
// the answer there?
Verdict Session::decide(ReadCandidate& candidate) {
  if (!candidate.shape && analysis_failed_) return fallback(FallbackReason::kCacheError);
  if (!candidate.shape) return bypass(BypassReason::kQueryTooLong);
  const sql::Analysis& analysis = candidate.shape->analysis;
  if (const auto* no = analysis.not_cacheable()) return bypass(no->reason);
  if (candidate.statement_shape->pgcache_off) return bypass(BypassReason::kComment);
  const sql::CacheableQuery& query = *analysis.cacheable();
  if (const auto reason = check_values(candidate, query)) return bypass(*reason);
  if (after_write_ == AfterWrite::kNeeded) {
    after_write_ = AfterWrite::kRequested;
    write_since_request_ = false;
    io_.request_position();
  }
  if (after_write_ == AfterWrite::kKnown && env_.cache->applied_lsn() >= write_position_) {
    after_write_ = AfterWrite::kNone;
    own_writes_.clear();
  }
  if (after_write_ != AfterWrite::kNone && own_writes_.touch(query)) {
    return bypass(BypassReason::kAfterWrite);
  }
  if (timed_out_) return fallback(*timed_out_);
  try {
    const CachePath path;
    return look_up(candidate);
  } catch (const std::exception& error) {
    log_error("cache look-up failed, the query goes to the origin: {}", error.what());
    return fallback(FallbackReason::kCacheError);
  }
}

// So many rows the answer has at most, whatever is in the tables.
std::optional<std::uint64_t> Session::rows_max(const ReadCandidate& candidate) {
  const sql::CacheableQuery& query = *candidate.shape->analysis.cacheable();
  if (query.one_row) return 1;
  const std::vector<sql::Literal>& literals = candidate.statement_shape->literals;
  if (!query.limit_literal || *query.limit_literal >= literals.size()) return std::nullopt;
  const std::string& text = literals[*query.limit_literal].text;
  std::uint64_t limit = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return limit;
}

// Whether no reload of the origin's configuration can have come between the portions of a result:
// one that did is known, and what was loaded around it dropped, once it was looked for behind them.
bool Session::is_of_one_form(const cache::CachedResult& result) const {
  // The server tells its processes of a reload one after the other.
  constexpr Duration kSpread = std::chrono::milliseconds(100);
  return !result.portions_ended || env_.configuration_checked->load(std::memory_order_acquire) >
                                       *result.portions_ended + kSpread;
}

Verdict Session::look_up(ReadCandidate& candidate) {
  cache::LookupRequest request;
  build_key(candidate, 0);
  request.key = key_;
  request.shape = candidate.shape;
  request.needs = candidate.needs;
  request.hit_only = true;
  Verdict verdict;
  cache::LookupOutcome outcome = env_.cache->lookup(request, io_.now());
  // All rows answer whatever the limit is; only the first ones are loaded if there may be more.
  if (candidate.row_limit > 0) verdict.rows_max = rows_max(candidate);
  const bool all = verdict.rows_max.value_or(~std::uint64_t{0}) <=
                   static_cast<std::uint64_t>(std::max(candidate.row_limit, 0));
  if (candidate.row_limit > 0 && !candidate.whole && !all &&
      std::holds_alternative<cache::NoEntry>(outcome)) {
    verdict.limited = true;
    build_key(candidate, candidate.row_limit);
    request.key = key_;
    outcome = env_.cache->lookup(request, io_.now());
    // Where the client may ask for the others later they must be those of the same moment.
    if (candidate.goes_on && std::holds_alternative<cache::Hit>(outcome)) return miss();
  }
  std::vector<sql::Operand> operands;
  if (std::holds_alternative<cache::NoEntry>(outcome)) {
    std::vector<sql::Parameter> parameters;
    if (candidate.parameters != nullptr) {
      for (const wire::BindParameter& p : *candidate.parameters) {
        parameters.push_back({p.is_null, p.binary, p.bytes});
      }
    }
    operands = sql::bind_operands(*candidate.shape->analysis.cacheable(),
                                  candidate.statement_shape->literals, parameters);
    request.operands = &operands;
    request.result_formats_be = candidate.result_formats_be;
    request.hit_only = false;
    request.may_wait = candidate.may_wait && !waited_;
    if (request.may_wait) request.wake = io_.wake_callback();
    outcome = env_.cache->lookup(request, io_.now());
  }
  if (auto* hit = std::get_if<cache::Hit>(&outcome)) {
    if (!is_of_one_form(*hit->result)) return miss();
    if (needs_proof()) return wait_for_proof();
    verdict.kind = Verdict::Kind::kHit;
    verdict.result = std::move(hit->result);
  } else if (auto* load = std::get_if<cache::StartLoad>(&outcome)) {
    verdict.kind = Verdict::Kind::kLoad;
    verdict.load = std::move(load->load);
  } else if (auto* waiting = std::get_if<cache::Waiting>(&outcome)) {
    return begin_wait(std::move(*waiting));
  } else if (const auto* no = std::get_if<cache::Bypass>(&outcome)) {
    verdict = bypass(no->reason);
  } else {
    verdict.kind = Verdict::Kind::kMiss;
  }
  return verdict;
}

Verdict Session::begin_wait(cache::Waiting waiting) {
  waiting_for_ = waiting.for_tracking ? FallbackReason::kTrackingWait : FallbackReason::kLoadWait;
  if (cancel_wanted_) return fallback(waiting_for_);
  hold_for(
      std::move(waiting.wait), waiting_for_,
      waiting.for_tracking ? env_.config->tracking_wait_timeout : env_.config->load_wait_timeout);
  return held();
}

void Session::hold_for(std::unique_ptr<cache::Wait> wait, FallbackReason reason,
                       Duration time_max) {
  parked_.clear();  // the timer is for this now
  drop_opened_loads();
  waiting_for_ = reason;
  wait_ = std::move(wait);
  hold_ = Hold::kWait;
  io_.set_timer(io_.now() + time_max);
}

// A frame is looked at, for the first time or again.
void Session::begin_frame() {
  if (frame_started_ != TimePoint{}) return;
  frame_started_ = io_.now();
  frame_came_by_ = input_at_;
}

// Whether a commit may have been acknowledged before the request came in that is not applied here.
bool Session::needs_proof() const {
  return env_.request_proof && !env_.cache->proven_since(frame_came_by_);
}

// One question to the origin serves all who wait by then.
Verdict Session::wait_for_proof() {
  if (cancel_wanted_) return fallback(FallbackReason::kProofWait);
  hold_for(env_.cache->wait_for_proof(frame_came_by_, io_.wake_callback()),
           FallbackReason::kProofWait, env_.config->max_staleness);
  env_.request_proof();
  return held();
}

// A read that was not cacheable under the settings last known is not worth asking for new ones,
// unless it names something that they may let it find.
bool Session::is_hopeless(const cache::Shape& shape) const {
  const sql::NotCacheable* const no = shape.analysis.not_cacheable();
  if (no == nullptr) return false;
  const bool by_name =
      no->reason == BypassReason::kUnknownRelation || no->reason == BypassReason::kUnknownColumn ||
      no->reason == BypassReason::kUnknownFunction ||
      no->reason == BypassReason::kUnknownOperator || no->reason == BypassReason::kUnknownType;
  return settings_ || !by_name;
}

// --- simple protocol

// `shape` becomes the one that was decided upon. A verdict that it is held: the frame stays.
Verdict Session::decide_query(std::string_view sql, Lead lead, const sql::StatementShape& scanned,
                              cache::ShapePtr& shape) {
  const bool read = lead == Lead::kRead;
  const bool executes = !read && shape && shape->analysis.kind == sql::StatementKind::kExecute;
  // What a PREPARE means, the settings of this moment decide.
  const bool prepares = !read && shape && shape->analysis.kind == sql::StatementKind::kPrepare;
  if (prepares && !settings_ && !open_unit_) {
    const std::optional<Verdict> stop = gate();
    if (stop && stop->kind == Verdict::Kind::kHeld) return held();
  }
  if (!read && !executes) {
    const auto* const no = shape ? shape->analysis.not_cacheable() : nullptr;
    return bypass(no != nullptr ? no->reason : BypassReason::kNotRead);
  }
  const StatementPtr executed = executes ? executed_statement(shape.get()) : nullptr;
  const bool not_worth_it = executes ? tracker_.idle() && !(executed && may_be_served(*executed))
                                     : shape && is_hopeless(*shape);
  // A query ends what a Flush left open.
  if (open_unit_ || begin_.state == Begin::kExchange) return bypass(BypassReason::kPipeline);
  std::optional<Verdict> stop;
  if (!not_worth_it) stop = gate();
  if (stop) return std::move(*stop);
  ReadCandidate candidate;
  candidate.sql = sql;
  candidate.statement_shape = &scanned;
  candidate.shape = shape;
  candidate.simple = true;
  candidate.needs.row_description = true;
  candidate.may_wait = true;
  if (!executes) return decide(candidate);
  Verdict verdict = decide_executed(candidate, *shape, scanned);
  if (candidate.by_execute) shape = candidate.shape;
  return verdict;
}

void Session::serve_query(const Verdict& verdict) {
  to_client_.append(verdict.result->row_description);
  to_client_.append_shared(verdict.result, verdict.result->rows);
  wire::append_ready_for_query(to_client_.tail(), status_);
  observe(Route::kHit, frame_started_);
  note_simple_hit();
}

bool Session::handle_query(wire::Frame frame) {
  begin_frame();
  std::optional<std::string_view> sql = wire::parse_query(frame.body());
  // A read behind a BEGIN is taken as a query of its own.
  std::size_t begin_bytes = sql ? begin_in_front(*sql) : 0;
  if (begin_bytes > 0) {
    const std::optional<Verdict> stop = gate();
    if (stop && stop->kind == Verdict::Kind::kHeld) return false;
    if (stop) begin_bytes = 0;
  }
  const std::string_view text = sql.value_or(std::string_view{});
  if (begin_bytes > 0) sql->remove_prefix(begin_bytes);
  const Lead lead = sql ? leading_keyword(*sql) : Lead::kUtility;
  cache::ShapePtr shape;  // of the text
  cache::ShapePtr decided;
  Verdict verdict = bypass(BypassReason::kNotRead);
  if (sql && sql->size() > env_.config->max_query_size) {
    verdict = bypass(BypassReason::kQueryTooLong);
  } else if (sql && lead == Lead::kDml) {
    if (is_worth_analysis(*sql)) {
      decided = shape = find_shape(*sql, sql::scan_shape(*sql, needs_conforming()), {});
    }
  } else if (sql) {
    const sql::StatementShape scanned = sql::scan_shape(*sql, needs_conforming());
    if (last_settings_ || lead != Lead::kRead) shape = find_shape(*sql, scanned, {});
    if (lead == Lead::kUtility && shape &&
        (answer_block_command(*sql, scanned, *shape) || answer_deallocate(*shape))) {
      consume_client(frame.bytes.size());
      return true;
    }
    decided = shape;
    verdict = decide_query(*sql, lead, scanned, decided);
    if (verdict.kind == Verdict::Kind::kHeld) return false;
  }
  const bool opens = sql && verdict.kind != Verdict::Kind::kHit && !portals_.empty();
  if (opens) {
    const Effects effects = text_effects(lead, *sql, shape);
    if (open_portals_first(effects, *sql) || opens_before_query(effects, *sql)) return false;
  }
  std::string instead;
  if (begin_bytes > 0) instead = begin_before_query(text, begin_bytes);
  if (opening_ == Opening::kLost) instead = instead_of_lost_portals(frame.bytes);
  count(verdict, decided.get());
  if (verdict.kind == Verdict::Kind::kHit) {
    serve_query(verdict);
    consume_client(frame.bytes.size());
    return true;
  }
  forward_decided_query(instead.empty() ? frame.bytes : instead, sql, lead, std::move(verdict),
                        shape, decided);
  consume_client(frame.bytes.size());
  return true;
}

// `shape`: of its text; `decided`: of what it executes.
void Session::forward_decided_query(std::string_view frame, std::optional<std::string_view> sql,
                                    Lead lead, Verdict verdict, const cache::ShapePtr& shape,
                                    const cache::ShapePtr& decided) {
  begin_at_origin();
  const StatementPtr executed = executed_statement(shape.get());
  Effects effects = !sql       ? unread_effects()
                    : executed ? statement_effects(*executed)
                               : text_effects(lead, *sql, shape);
  if (lead != Lead::kUtility) behind_.snapshot = false;
  if ((!effects.harmless || effects.begins) && !open_unit_) catch_up_snapshot();
  // One that fails early leaves it as it is.
  if (unnamed_portal_open_) {
    catch_up_portal({});
  } else {
    behind_.unnamed_portal = false;
  }
  if (sql) query_forgets_unnamed(*sql);  // a malformed one is refused before it destroys anything
  const bool refused = is_refused(executed);
  const std::string instead = refused ? instead_of_changed() : std::string{};
  if (refused) open_unit().refused = true;
  Inflight& inflight =
      forward_query(refused ? instead : frame, std::move(effects), std::move(verdict), decided);
  inflight.statement = executed;
  inflight.generation = plans_generation();
  inflight.doubts = doubts_;
  if (sql) note_prepare(inflight, *sql, shape.get());
}

}  // namespace pgcache::proxy
