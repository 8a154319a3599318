// SPDX-License-Identifier: Apache-2.0
// An extended exchange, complete with its Sync, as a whole: read into steps, linked up, decided for
// each Execute, and then answered from memory or forwarded. See session.h.
#include <algorithm>

#include "proxy/session.h"
#include "wire/backend.h"

namespace pgcache::proxy {

using sql::BypassReason;

void Session::parse_unit(std::string_view bytes) {
  step_count_ = 0;
  wire::FrameHeader header;
  while (wire::peek_frame(bytes, header) == wire::FrameState::kHeader &&
         header.total_bytes() <= bytes.size()) {
    if (steps_.size() == step_count_) steps_.emplace_back();
    Step& step = steps_[step_count_++];
    step.reset();
    step.tag = header.tag;
    step.frame = bytes.substr(0, header.total_bytes());
    const std::string_view body = step.frame.substr(wire::kHeaderBytes);
    bytes.remove_prefix(header.total_bytes());
    const auto keep = [&step](auto& member, auto parsed) {
      step.understood = parsed.has_value();
      if (parsed) member = std::move(*parsed);
    };
    switch (step.tag) {
      case 'P':
        keep(step.parse, wire::parse_parse(body));
        break;
      case 'B':
        step.understood = wire::parse_bind(body, step.bind);
        break;
      case 'D':
      case 'C':
        keep(step.target, wire::parse_target(body));
        break;
      case 'E':
        keep(step.execute, wire::parse_execute(body));
        break;
      default:
        step.understood = (step.tag == 'S' || step.tag == 'H') && body.empty();
        break;
    }
  }
}

// Binds to their statements and Executes to their Binds. A reason when the exchange is not one that
// can be answered from memory.
std::optional<BypassReason> Session::link_unit() {
  std::optional<BypassReason> reason;
  for (std::size_t at = 0; at < step_count_; ++at) {
    const std::optional<BypassReason> found = link_step(at);
    if (found && !reason) reason = found;
  }
  const bool plain = link_descriptions() && every_step_is_executed();
  if (!reason && !plain) reason = BypassReason::kProtocolShape;
  return reason;
}

// Describes of statements to the first Execute behind them, whose answer tells the columns. False:
// one has none.
bool Session::link_descriptions() {
  bool all = true;
  for (std::size_t i = 0; i < step_count_; ++i) {
    Step& step = steps_[i];
    if (step.tag != 'D' || !step.statement) continue;
    const auto first = steps_.begin() + static_cast<std::ptrdiff_t>(i);
    const auto end = steps_.begin() + static_cast<std::ptrdiff_t>(step_count_);
    const auto execute = std::find_if(first, end, [&](const Step& later) {
      return later.tag == 'E' && later.statement == step.statement && !later.resumes;
    });
    if (execute == end) {
      all = false;
      continue;
    }
    step.bind_step = execute->bind_step;
    step.understood_portal = true;
    steps_[step.bind_step].needs_row_description = true;
    steps_[step.bind_step].statement_described = true;
  }
  return all;
}

// A Parse or Bind whose statement is not executed, or a Describe behind the Execute, has to be
// checked or answered by the origin: a hit says nothing about it.
bool Session::every_step_is_executed() const {
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    if ((step.tag != 'P' && step.tag != 'B' && step.tag != 'D') || step.in_memory) continue;
    bool executed = is_bound_for_later(i);
    for (std::size_t j = i + 1; j < step_count_ && !executed; ++j) {
      const Step& later = steps_[j];
      if (later.tag != 'E' || later.in_memory) continue;
      const bool of_portal = step.tag == 'D' && !step.statement;
      executed = step.tag == 'B' ? later.bind_step == i
                 : of_portal     ? later.bind_step < i && later.execute.portal == step.target.name
                                 : later.statement == step.statement;
    }
    if (!executed) return false;
  }
  return true;
}

// The last message of this kind in front of a step that names the portal.
const Session::Step* Session::latest_step(std::size_t before, char tag,
                                          std::string_view portal) const {
  for (std::size_t i = before; i-- > 0;) {
    const Step& step = steps_[i];
    if (step.tag != tag || !step.understood) continue;
    const bool names = tag == 'B'   ? step.bind.portal == portal
                       : tag == 'E' ? step.execute.portal == portal
                                    : step.target.kind == 'P' && step.target.name == portal;
    if (names) return &step;
  }
  return nullptr;
}

// The portal's Bind in this exchange, unless it has been closed since, or has ended with its block.
Session::Step* Session::bind_of(std::size_t before, std::string_view portal) {
  const Step* const bind = latest_step(before, 'B', portal);
  const Step* const close = latest_step(before, 'C', portal);
  if (bind == nullptr || (close != nullptr && close > bind)) return nullptr;
  const auto at = static_cast<std::size_t>(bind - steps_.data());
  return block_ends_between(at, before) ? nullptr : &steps_[at];
}

// And with it all portals.
bool Session::block_ends_between(std::size_t from, std::size_t to) const {
  return std::any_of(steps_.begin() + static_cast<std::ptrdiff_t>(from),
                     steps_.begin() + static_cast<std::ptrdiff_t>(to), [](const Step& step) {
                       return step.tag == 'E' && step.command == BlockCommand::kEnd;
                     });
}

std::optional<BypassReason> Session::link_step(std::size_t at) {
  Step& step = steps_[at];
  if (!step.understood) return BypassReason::kProtocolShape;
  switch (step.tag) {
    case 'P':
      step.statement = make_statement(step.parse.sql, step.parse.parameter_types_be);
      if (step.parse.statement.empty() || may_prepare_here(at)) return std::nullopt;
      return BypassReason::kProtocolShape;
    case 'B': {
      const Step* const parse = parse_of(at, step.bind.statement);
      step.statement = parse != nullptr ? parse->statement : statements_.find(step.bind.statement);
      if (!step.statement) return BypassReason::kUnknownStatement;
      step.parsed_here = parse != nullptr;
      const std::string_view portal = step.bind.portal;
      const bool taken =
          portals_.full() ||
          (!portal.empty() && (bind_of(at, portal) != nullptr || portal_may_exist(portal)));
      return taken ? std::optional(BypassReason::kProtocolShape) : std::nullopt;
    }
    case 'D':
    case 'C':
      return link_target(at);
    case 'E':
      return link_execute(at);
    default:
      return std::nullopt;
  }
}

// The last Parse of the name in front of a step, in this exchange.
const Session::Step* Session::parse_of(std::size_t before, std::string_view statement) const {
  for (std::size_t i = before; i-- > 0;) {
    const Step& step = steps_[i];
    if (step.tag == 'P' && step.understood && step.parse.statement == statement) return &step;
  }
  return nullptr;
}

std::optional<BypassReason> Session::link_target(std::size_t at) {
  Step& step = steps_[at];
  if (step.target.kind != 'P') {
    return step.tag == 'D' ? link_described_statement(at) : BypassReason::kProtocolShape;
  }
  Step* const bind = bind_of(at, step.target.name);
  const bool closed =
      latest_step(at, 'C', step.target.name) != nullptr || block_ends_between(0, at);
  step.in_memory = bind == nullptr && !closed && in_memory(step.tag, step.target.name, 0);
  if (step.in_memory) return std::nullopt;
  if (step.tag == 'C') {
    const bool own = step.target.name.empty() || bind != nullptr;
    return own ? std::nullopt : std::optional(BypassReason::kProtocolShape);
  }
  if (bind == nullptr) return BypassReason::kProtocolShape;
  bind->needs_row_description = true;
  step.bind_step = static_cast<std::size_t>(bind - steps_.data());
  step.understood_portal = true;
  return std::nullopt;
}

// A Describe of a statement, which can be answered if its Parse has said all parameters' types.
std::optional<BypassReason> Session::link_described_statement(std::size_t at) {
  Step& step = steps_[at];
  const Step* const parse = parse_of(at, step.target.name);
  const StatementPtr statement =
      parse != nullptr ? parse->statement : statements_.find(step.target.name);
  const cache::ShapePtr shape = statement ? shape_of(*statement) : nullptr;
  const sql::CacheableQuery* const query = shape ? shape->analysis.cacheable() : nullptr;
  if (query == nullptr) return BypassReason::kProtocolShape;
  const std::vector<pg::Oid>& declared = statement->text->parameter_types;
  const bool all = declared.size() >= query->parameter_types.size() &&
                   std::none_of(declared.begin(), declared.end(), [](pg::Oid type) {
                     return type == pg::Oid::kInvalid || type == pg::type::kUnknown;
                   });
  if (!all) return BypassReason::kProtocolShape;
  step.statement = statement;
  return std::nullopt;
}

std::optional<BypassReason> Session::link_execute(std::size_t at) {
  Step& step = steps_[at];
  const std::string_view portal = step.execute.portal;
  Step* const bind = bind_of(at, portal);
  if (bind == nullptr) {
    const bool closed = latest_step(at, 'C', portal) != nullptr || block_ends_between(0, at);
    step.in_memory = !closed && in_memory('E', portal, step.execute.row_limit);
    return step.in_memory ? std::nullopt : std::optional(BypassReason::kRowLimit);
  }
  step.bind_step = static_cast<std::size_t>(bind - steps_.data());
  step.statement = bind->statement;
  const Step* const before = latest_step(at, 'E', portal);
  if (before != nullptr && before > bind) {
    bind->executed_again = true;
    step.resumes = static_cast<std::size_t>(before - steps_.data());
    return before->command == BlockCommand::kNone ? std::nullopt
                                                  : std::optional(BypassReason::kProtocolShape);
  }
  if (step.statement) step.command = command_of(*step.statement, bind->bind);
  return std::nullopt;
}

// Nothing is asked for but what portals in memory give.
bool Session::only_memory() const {
  for (std::size_t i = 0; i < step_count_; ++i) {
    if (steps_[i].tag != 'S' && steps_[i].tag != 'H' && !steps_[i].in_memory) return false;
  }
  return step_count_ > 1 || flushed_;
}

// Whether what an Execute leaves of its portal may be asked for in a later exchange.
bool Session::in_block_at(std::size_t step) const {
  if (status_ == 'T') return true;
  for (std::size_t i = 0; i < step; ++i) {
    if (steps_[i].command == BlockCommand::kBegin) return true;
  }
  return false;
}

// A statement keeps the meaning that its names have when it is prepared. If the settings are not
// known then, it can hardly ever be served: so they are asked for first. True: wait for the answer.
bool Session::ask_settings_for_parse(std::string_view unit) {
  const bool possible = !settings_ && !settings_failed_ && !unread_statement_ &&
                        cacheable_session_ && !open_unit_ && tracker_.idle() && status_ != 'E' &&
                        block_ != Block::kDirty && !env_.cache->unavailable(io_.now());
  if (!possible) return false;
  wire::FrameHeader header;
  while (wire::peek_frame(unit, header) == wire::FrameState::kHeader &&
         header.total_bytes() <= unit.size()) {
    const wire::Frame frame{header.tag, unit.substr(0, header.total_bytes())};
    unit.remove_prefix(header.total_bytes());
    if (frame.tag != 'P') continue;
    const auto parse = wire::parse_parse(frame.body());
    if (!parse || leading_keyword(parse->sql) != Lead::kRead) continue;
    ask_settings();
    return true;
  }
  return false;
}

// A portal of an earlier exchange that is in memory, or may be so again.
bool Session::uses_old_portal(const Step& step) const {
  if (step.in_memory) return true;
  if (step.tag == 'E' && !step.statement && !portals_.empty()) {
    const MemoryPortal* const portal = portals_.find(step.execute.portal);
    if (portal != nullptr && !portal->at_origin.only) return true;
  }
  return !unnamed_portals_.empty() &&
         ((step.tag == 'E' && !step.statement && step.execute.portal.empty()) ||
          (step.tag == 'D' && step.target.kind == 'P' && !step.understood_portal &&
           step.target.name.empty()));
}

bool Session::handle_unit(std::string_view bytes) {
  begin_frame();
  parse_unit(bytes);
  const std::optional<BypassReason> shape_reason = link_unit();
  if (waits_for_portals()) return false;
  list_executes();
  if (executes_.empty() && ask_settings_for_parse(bytes)) return false;
  if (!decide_unit(shape_reason)) return false;
  if (is_all_hit(shape_reason)) {
    serve_unit(verdicts_);
  } else if (unit_prepares_first()) {
    verdicts_.clear();
    return hold_ == Hold::kNone;
  } else {
    forward_unit(verdicts_, executes_, shape_reason);
  }
  verdicts_.clear();
  held_bytes_ = 0;
  consume_client(bytes.size());
  return true;
}

// Portals in memory are as the exchange finds them only when all before it is over.
bool Session::waits_for_portals() {
  const bool goes_on = std::any_of(steps_.begin(), steps_.begin() + step_count_,
                                   [this](const Step& step) { return uses_old_portal(step); });
  if (goes_on && !tracker_.idle() && !open_unit_ && !tracker_.discarding()) {
    hold_ = Hold::kOrigin;
    return true;
  }
  return (goes_on && ask_settings_for_portals()) || unit_opens_portals_first();
}

void Session::list_executes() {
  executes_.clear();
  for (std::size_t i = 0; i < step_count_; ++i) {
    if (steps_[i].tag == 'B' && ends_in_flush() && !is_executed(i)) {
      steps_[i].bind_step = i;
      executes_.push_back(i);
    } else if (steps_[i].tag == 'E') {
      executes_.push_back(i);
    }
  }
}

// False: held.
bool Session::decide_unit(std::optional<BypassReason> shape_reason) {
  std::vector<Verdict>& verdicts = verdicts_;
  verdicts.clear();
  std::optional<Verdict> stop;
  const bool only_unknown =
      std::none_of(executes_.begin(), executes_.end(), [this](std::size_t at) {
        const Step& step = steps_[at];
        return step.statement && !step.resumes && may_be_read(*step.statement);
      });
  if (!only_unknown) stop = gate_unit(executes_, shape_reason);
  if (stop && stop->kind == Verdict::Kind::kHeld) return false;
  const bool blocks_here = !shape_reason && !ends_in_flush() && may_answer_blocks();
  bool disturbed = false;
  for (const std::size_t at : executes_) {
    const Step& step = steps_[at];
    if (blocks_here && step.command != BlockCommand::kNone) {
      verdicts.emplace_back().kind = Verdict::Kind::kBlock;
    } else if (step.in_memory) {
      verdicts.emplace_back().kind = Verdict::Kind::kPortal;
      continue;
    } else if (step.resumes) {
      verdicts.push_back(again(*step.resumes));
      continue;
    } else if (only_unknown) {
      verdicts.push_back(bypass(step.statement
                                    ? BypassReason::kNotRead
                                    : shape_reason.value_or(BypassReason::kUnknownStatement)));
    } else if (stop) {
      verdicts.push_back(stop->kind == Verdict::Kind::kFallback ? fallback(stop->fallback)
                                                                : bypass(stop->bypass));
    } else if (disturbed) {
      verdicts.push_back(bypass(BypassReason::kInTransaction));
    } else {
      verdicts.push_back(decide_execute(at, executes_.size() == 1));
      if (verdicts.back().kind == Verdict::Kind::kHeld) {
        verdicts.clear();  // and with it the loads of Executes before
        return false;
      }
    }
    // What gate() found out holds for the next Execute only if this one leaves it alone.
    disturbed = disturbed || !execute_is_harmless(at);
  }
  return true;
}

bool Session::is_all_hit(std::optional<BypassReason> shape_reason) const {
  const bool goes_on =
      flushed_ || std::any_of(steps_.begin(), steps_.begin() + step_count_,
                              [this](const Step& s) { return uses_old_portal(s); });
  const bool in_turn = !goes_on || (tracker_.idle() && !open_unit_);
  return (!verdicts_.empty() || only_memory()) && !shape_reason && in_turn &&
         std::all_of(verdicts_.begin(), verdicts_.end(), [](const Verdict& v) {
           return v.kind == Verdict::Kind::kHit || v.kind == Verdict::Kind::kBlock ||
                  v.kind == Verdict::Kind::kPortal;
         });
}

// gate(), unless no Execute of the unit can be served whatever the gate says.
std::optional<Session::Verdict> Session::gate_unit(const std::vector<std::size_t>& executes,
                                                   std::optional<BypassReason> shape_reason) {
  if (last_settings_) {
    const bool hopeless = std::all_of(executes.begin(), executes.end(), [this](std::size_t at) {
      return !steps_[at].statement || !may_be_served(*steps_[at].statement);
    });
    if (hopeless) return std::nullopt;
  }
  // A first Parse under a name is forwarded, but its answer is worth loading all the same.
  if (shape_reason && *shape_reason != BypassReason::kProtocolShape) return bypass(*shape_reason);
  return gate();
}

// An Execute that goes on with the portal of an earlier one in the unit.
Session::Verdict Session::again(std::size_t before) const {
  const std::size_t at = static_cast<std::size_t>(
      std::find(executes_.begin(), executes_.end(), before) - executes_.begin());
  const Verdict& first = verdicts_[at];
  Verdict verdict;
  switch (first.kind) {
    case Verdict::Kind::kHit:
    case Verdict::Kind::kPortal:
      verdict.kind = Verdict::Kind::kPortal;
      return verdict;
    case Verdict::Kind::kLoad:
    case Verdict::Kind::kMiss:
      verdict.kind = Verdict::Kind::kMiss;
      return verdict;
    case Verdict::Kind::kFallback:
      return fallback(first.fallback);
    case Verdict::Kind::kBypass:
      return bypass(first.bypass);
    case Verdict::Kind::kBlock:
    case Verdict::Kind::kHeld:
      break;
  }
  return bypass(BypassReason::kProtocolShape);
}

bool Session::execute_is_harmless(std::size_t at) const {
  const StatementPtr& statement = steps_[at].statement;
  if (!statement) return false;
  return statement_effects(*statement).harmless;
}

// Whether the text, analysed now, is what PostgreSQL executes under the statement's name: it parsed
// the text and chose the parameters' types when the statement was prepared.
bool Session::means_what_it_meant(Statement& statement, const sql::CacheableQuery& query) const {
  if (!statement.parsed_settings && statement.parsed_at_disturbance == disturbances_) {
    statement.parsed_settings = settings_;
  }
  if (!statement.parsed_settings) return false;
  const SessionSettings& then = *statement.parsed_settings;
  if (then.standard_conforming_strings != settings_->standard_conforming_strings &&
      statement.text->sql.find('\\') != std::string::npos) {
    return false;
  }
  const std::vector<pg::Oid>& types = query.parameter_types;
  if (then.search_path == settings_->search_path &&
      statement.parsed_generation == env_.shapes->generation()) {
    if (!statement.parsed_types) statement.parsed_types = types;
    return true;
  }
  const std::vector<pg::Oid>& declared = statement.text->parameter_types;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (i < declared.size() && declared[i] != pg::Oid::kInvalid) continue;
    const bool same = statement.parsed_types && i < statement.parsed_types->size() &&
                      (*statement.parsed_types)[i] == types[i] && types[i] != pg::Oid::kInvalid;
    if (!same) return false;
  }
  return true;
}

Session::Verdict Session::decide_execute(std::size_t at, bool alone) {
  Step& step = steps_[at];
  if (!step.statement) return bypass(BypassReason::kUnknownStatement);
  const Step& bind = steps_[step.bind_step];
  ReadCandidate candidate;
  candidate.result_formats_be = bind.bind.result_formats_be;
  candidate.needs = {bind.needs_row_description, bind.parsed_here};
  candidate.may_wait = alone && !open_unit_;  // the origin holds locks for what was prepared
  candidate.row_limit = step.tag == 'B' ? 1 : step.execute.row_limit;  // there may be one
  candidate.goes_on = in_block_at(at) || ends_in_flush();
  candidate.whole =
      bind.executed_again || ends_in_flush() || (!bind.bind.portal.empty() && candidate.goes_on);
  candidate.shape = shape_of(*step.statement);
  const StatementText& text = *step.statement->text;
  if (executed_statement(candidate.shape.get())) {
    // What the name stands for is looked up when the EXECUTE is parsed, too.
    // It is executed when rows are first fetched.
    if (!bind.parsed_here || !bind.bind.parameters.empty() || ends_in_flush()) {
      return bypass(BypassReason::kNotRead);
    }
    const cache::ShapePtr call = candidate.shape;
    return decide_executed(candidate, *call, text.shape);
  }
  if (!is_current(*step.statement)) return miss();
  candidate.sql = text.sql;
  candidate.statement_shape = &text.shape;
  candidate.parameters = &bind.bind.parameters;
  return decide(candidate);
}

// A Bind that is answered here makes a portal, to be run by the Executes behind it.
void Session::serve_bind(const Step& step, std::size_t at, const std::vector<Verdict>& verdicts) {
  wire::append_bind_complete(to_client_.tail());
  const std::string_view name = step.bind.portal;
  if (name.empty() && status_ == 'T') behind_.unnamed_portal = true;
  std::size_t next = 0;
  while (executes_[next] < at || steps_[executes_[next]].bind_step != at ||
         steps_[executes_[next]].in_memory) {
    ++next;
  }
  if (verdicts[next].kind == Verdict::Kind::kBlock) {
    portals_.erase(name);
    return;
  }
  MemoryPortal portal;
  portal.name = name;
  portal.statement = step.statement;
  portal.result = verdicts[next].result;
  portal.settings = settings_;
  if (status_ == 'T') {
    portal.bind = step.bind.rest;
    behind_.snapshot = true;
  }
  portals_.put(std::move(portal));
}

void Session::serve_unit(const std::vector<Verdict>& verdicts) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < step_count_; ++i) {
    Step& step = steps_[i];
    switch (step.tag) {
      case 'P':
        wire::append_parse_complete(to_client_.tail());
        statements_.put(step.parse.statement, step.statement);
        if (const auto& result = verdict_of(i, verdicts).result) {
          step.statement->described = result->row_description;
        }
        break;
      case 'B':
        serve_bind(step, i, verdicts);
        if (next < executes_.size() && executes_[next] == i) ++next;
        break;
      case 'D':
        serve_describe(step, i, verdicts);
        break;
      case 'E': {
        const Verdict& verdict = verdicts[next++];
        if (verdict.kind == Verdict::Kind::kBlock) {
          serve_block_command(step);
          break;
        }
        MemoryPortal& portal = *portals_.find(step.execute.portal);
        send_local(run_portal(portal, step.execute.row_limit));
        count(verdict, portal.statement->analysed.get());
        observe(Route::kHit, frame_started_);
        if (status_ == 'T') behind_.snapshot = true;
        exchange_executed_ = true;
        break;
      }
      case 'H':
        break;
      case 'C':
        wire::append_close_complete(to_client_.tail());
        portals_.erase(step.target.name);
        if (step.target.name.empty() && status_ == 'T') behind_.unnamed_portal = true;
        break;
      default:
        serve_sync(step, verdicts);
        break;
    }
  }
}

// That of the first Execute behind a step that executes its statement.
const Session::Verdict& Session::verdict_of(std::size_t at,
                                            const std::vector<Verdict>& verdicts) const {
  std::size_t next = 0;
  while (executes_[next] < at || steps_[executes_[next]].statement != steps_[at].statement ||
         steps_[executes_[next]].resumes) {
    ++next;
  }
  return verdicts[next];
}

void Session::serve_describe(const Step& step, std::size_t at,
                             const std::vector<Verdict>& verdicts) {
  if (step.statement) {
    const StatementText& text = *step.statement->text;
    wire::append_parameter_description(to_client_.tail(), text.parameter_types_be);
    const std::string& description = verdict_of(at, verdicts).result->row_description;
    to_client_.append(wire::with_result_formats(description, {}).value_or(description));
  } else if (const MemoryPortal* portal = portals_.find(step.target.name)) {
    to_client_.append(portal->result->row_description);
  } else {
    wire::append_no_data(to_client_.tail());  // of a block's command
  }
}

void Session::serve_sync(const Step& step, const std::vector<Verdict>& verdicts) {
  end_exchange_here();
  if (status_ != 'T') portals_.clear();
  // What was prepared in front of a Flush has the origin wait for the Sync.
  if (open_unit_) {
    forward_sync(step.frame);
    return;
  }
  append_ready();
  prepare_parsed(verdicts);
}

void Session::prepare_parsed(const std::vector<Verdict>& verdicts) {
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& parse = steps_[i];
    if (parse.tag != 'P' || parse.parse.statement.empty()) continue;
    prepare_at_origin(parse, verdict_of(i, verdicts).result);
  }
}

void Session::forward_unit(std::vector<Verdict>& verdicts, const std::vector<std::size_t>& executes,
                           std::optional<BypassReason> shape_reason) {
  begin_at_origin();
  if (!open_unit_ && unit_needs_snapshot()) catch_up_snapshot();
  raise_for_lost_portals();
  for (std::size_t i = 0; i < step_count_; ++i) {
    if (steps_[i].tag == 'B' && steps_[i].understood) steps_[i].inflight_id = next_id_++;
  }
  std::size_t next = 0;
  for (std::size_t i = 0; i < step_count_; ++i) {
    Step& step = steps_[i];
    const wire::Frame frame{step.tag, step.frame};
    if (step.tag == 'S') {
      if (env_.pooled()) append_settings_request();
      forward_sync(step.frame);
    } else if (step.tag == 'P' && step.understood) {
      open_unit();
      forward_parse(step.frame, step.parse, step.statement);
    } else if (step.tag == 'D' && step.understood_portal) {
      forward_describe(step);
    } else if (step.tag == 'B' && step.understood) {
      forward_bind(step.frame, step.bind);
      const bool opens = next < executes.size() && executes[next] == i;
      if (opens) open_load(step, std::move(verdicts[next++]));
    } else if (step.tag == 'H') {
      forward_raw(step.frame);
    } else if (step.tag != 'E' || executes.empty()) {
      forward_extended(frame);
    } else {
      forward_execute(step, std::move(verdicts[next++]),
                      shape_reason.value_or(BypassReason::kPipeline));
    }
  }
}

// Of a statement or portal that is executed in the exchange.
void Session::forward_describe(const Step& step) {
  before_target('D', step.target);
  std::uint64_t cookie = steps_[step.bind_step].inflight_id;
  if (step.target.kind == 'S') {
    if (describe_changed_statement(step.target.name)) return;
    if (step.target.name.empty()) cookie = describing(cookie);
  }
  forward_raw(step.frame);
  tracker_.sent({wire::Request::kDescribe, false, cookie});
}

// Of an Execute, or of a Bind that is executed later.
Session::Inflight Session::make_inflight(const Step& step, Verdict& verdict) const {
  Inflight inflight;
  inflight.route = forwarded_route(verdict);
  inflight.load = std::move(verdict.load);
  inflight.generation = plans_generation();
  inflight.doubts = doubts_;
  inflight.limited = verdict.limited;
  inflight.rows_max = verdict.rows_max;
  inflight.opened = ends_in_flush();
  inflight.in_portions = step.tag == 'B';  // long after it, perhaps
  const std::string_view portal = step.tag == 'B' ? step.bind.portal : step.execute.portal;
  inflight.portal = portal.substr(0, PortalTable::kNameBytes);
  if (!step.statement) return inflight;
  const Step& bind = steps_[step.bind_step];
  inflight.id = bind.inflight_id;
  inflight.shape = step.statement->analysed;
  const StatementPtr executed = executed_statement(inflight.shape.get());
  inflight.statement = executed ? executed : step.statement;
  inflight.parsed = bind.parsed_here;
  if (bind.statement_described) inflight.formats_be = bind.bind.result_formats_be;
  return inflight;
}

// `reason`: why the exchange goes to the origin.
void Session::forward_execute(Step& step, Verdict verdict, BypassReason reason) {
  open_unit();
  const std::string_view portal = step.execute.portal;
  // One of its own exchange that goes to the origin is not the one that is here.
  const bool older = step.understood && !step.statement;
  if (older && answer_portal('E', portal, step.execute.row_limit)) return;
  std::optional<std::uint64_t> id;
  if (step.understood && !step.statement) id = follow_load(portal);
  if (id) {
    verdict.kind = Verdict::Kind::kMiss;
  } else if (verdict.kind == Verdict::Kind::kHit || verdict.kind == Verdict::Kind::kPortal) {
    // It was there, but something else in the exchange has to go to the origin.
    verdict = bypass(reason);
  } else if (verdict.kind == Verdict::Kind::kBlock) {
    verdict = bypass(BypassReason::kNotRead);
  }
  count(verdict, step.statement ? step.statement->analysed.get() : nullptr);
  if (!id && step.resumes) id = steps_[step.bind_step].inflight_id;
  if (!id) {
    Inflight inflight = make_inflight(step, verdict);
    if (!step.statement) inflight.id = next_id_++;
    if (step.statement) note_prepare(inflight, step.statement->text->sql, inflight.shape.get());
    id = inflight.id;
    open_unit().inflight.push_back(std::move(inflight));
  }
  if (step.understood) catch_up_portal(portal);
  if (step.statement && is_refused(executed_statement(step.statement->analysed.get()))) {
    execute_changed_statement();
    return;
  }
  forward_raw(step.frame);
  tracker_.sent({wire::Request::kExecute, false, *id});
}

}  // namespace pgcache::proxy
