// SPDX-License-Identifier: Apache-2.0
// An extended exchange, complete with its Sync, as a whole: read into steps, linked up, decided for
// each Execute, and then answered from memory or forwarded. See session.h.
#include <algorithm>

#include "proxy/session.h"
#include "wire/backend.h"

namespace pgcache::proxy {

using sql::BypassReason;

// A statement keeps the meaning that its names have when it is prepared. If the settings are not
// known then, it can hardly ever be served: so they are asked for first. True: wait for the answer.
bool Session::ask_settings_for_parse(std::string_view unit) {
  if (!settings_are_wanted()) return false;
  wire::FrameHeader header;
  while (wire::peek_frame(unit, header) == wire::FrameState::kHeader &&
         header.total_bytes() <= unit.size()) {
    const wire::Frame frame{header.tag, unit.substr(0, header.total_bytes())};
    unit.remove_prefix(header.total_bytes());
    if (frame.tag == 'E' && status_ == 'T') return false;  // which may set the block's modes
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

// Only memory has the portal, and what is on the way to the origin may have ended its failed block.
bool Session::may_have_outlived(const Step& step) const {
  if (step.tag != 'E' || step.statement || portals_.empty()) return false;
  const MemoryPortal* const portal = portals_.find(step.execute.portal);
  return portal != nullptr && portal->at_origin.only && !portal->at_origin.opened;
}

// Portals in memory are as the exchange finds them only when all before it is over.
bool Session::waits_for_portals() {
  const auto end = steps_.begin() + step_count_;
  const bool goes_on =
      std::any_of(steps_.begin(), end, [this](const Step& step) { return uses_old_portal(step); });
  const bool waits = goes_on || std::any_of(steps_.begin(), end, [this](const Step& step) {
                       return may_have_outlived(step);
                     });
  if (waits && !tracker_.idle() && !open_unit_ && !tracker_.discarding()) {
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
  // What the gate may ask of the origin would be the block's first query.
  const bool sets_modes = status_ == 'T' && unit_sets_modes(true);
  if (!only_unknown && !sets_modes) stop = gate_unit(executes_, shape_reason);
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
    } else if (sets_modes) {
      const bool read = step.statement && may_be_read(*step.statement);
      verdicts.push_back(bypass(read ? BypassReason::kInTransaction : BypassReason::kNotRead));
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
std::optional<Verdict> Session::gate_unit(const std::vector<std::size_t>& executes,
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
Verdict Session::again(std::size_t before) const {
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

Verdict Session::decide_execute(std::size_t at, bool alone) {
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
const Verdict& Session::verdict_of(std::size_t at, const std::vector<Verdict>& verdicts) const {
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
  if (status_ == 'I') portals_.clear();
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
Inflight Session::make_inflight(const Step& step, Verdict& verdict) const {
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
