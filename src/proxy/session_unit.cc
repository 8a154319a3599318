// SPDX-License-Identifier: Apache-2.0
// An extended exchange, complete with its Sync, as a whole: read into steps, linked up, decided for
// each Execute, and then answered from memory or forwarded. See session.h.
#include <algorithm>

#include "proxy/session.h"

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
        step.understood = step.tag == 'S' && body.empty();
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
  if (!reason && (!every_step_is_executed() || mixes_blocks_and_portals())) {
    reason = BypassReason::kProtocolShape;
  }
  return reason;
}

// What becomes of a named portal depends on the blocks around it.
bool Session::mixes_blocks_and_portals() const {
  bool blocks = false;
  bool portals = false;
  for (std::size_t i = 0; i < step_count_; ++i) {
    blocks |= steps_[i].command != BlockCommand::kNone;
    portals |= steps_[i].tag == 'B' && !steps_[i].bind.portal.empty();
  }
  return blocks && portals;
}

// A Parse or Bind whose statement is not executed, or a Describe behind the Execute, has to be
// checked or answered by the origin: a hit says nothing about it.
bool Session::every_step_is_executed() const {
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    if (step.tag != 'P' && step.tag != 'B' && step.tag != 'D') continue;
    bool executed = false;
    for (std::size_t j = i + 1; j < step_count_ && !executed; ++j) {
      const Step& later = steps_[j];
      if (later.tag != 'E') continue;
      executed = step.tag == 'P' ? later.statement == step.statement
                 : step.tag == 'B'
                     ? later.bind_step == i
                     : later.bind_step < i && later.execute.portal == step.target.name;
    }
    if (!executed) return false;
  }
  return true;
}

std::optional<BypassReason> Session::link_step(std::size_t at) {
  Step& step = steps_[at];
  if (!step.understood) return BypassReason::kProtocolShape;
  const auto latest = [this, at](char tag, auto matches) -> Step* {
    for (std::size_t i = at; i-- > 0;) {
      if (steps_[i].tag == tag && steps_[i].understood && matches(steps_[i])) return &steps_[i];
    }
    return nullptr;
  };
  // The portal's Bind in this exchange, unless it has been closed since.
  const auto bind_of = [this, at](std::string_view portal) -> Step* {
    for (std::size_t i = at; i-- > 0;) {
      Step& s = steps_[i];
      if (s.tag == 'B' && s.understood && s.bind.portal == portal) return &s;
      if (s.tag == 'C' && s.target.kind == 'P' && s.target.name == portal) return nullptr;
    }
    return nullptr;
  };
  switch (step.tag) {
    case 'P':
      step.statement = make_statement(step.parse.sql, step.parse.parameter_types_be);
      if (!step.parse.statement.empty()) return BypassReason::kProtocolShape;
      return std::nullopt;
    case 'B': {
      const std::string_view name = step.bind.statement;
      const Step* parse = latest('P', [name](const Step& s) { return s.parse.statement == name; });
      step.statement = parse != nullptr ? parse->statement : statements_.find(name);
      if (!step.statement) return BypassReason::kUnknownStatement;
      step.parsed_here = parse != nullptr;
      const bool taken =
          status_ != 'I' || cursors_possible_ || bind_of(step.bind.portal) != nullptr;
      if (!step.bind.portal.empty() && taken) return BypassReason::kProtocolShape;
      return std::nullopt;
    }
    case 'D':
      if (step.target.kind == 'P') {
        if (Step* bind = bind_of(step.target.name)) {
          bind->needs_row_description = true;
          step.bind_step = static_cast<std::size_t>(bind - steps_.data());
          step.understood_portal = true;
          return std::nullopt;
        }
      }
      return BypassReason::kProtocolShape;
    case 'E': {
      Step* bind = bind_of(step.execute.portal);
      if (bind == nullptr) return BypassReason::kProtocolShape;
      step.bind_step = static_cast<std::size_t>(bind - steps_.data());
      step.statement = bind->statement;
      const std::string_view portal = step.execute.portal;
      const Step* before =
          latest('E', [portal](const Step& s) { return s.execute.portal == portal; });
      if (before != nullptr && before > bind) {
        step.statement = nullptr;  // the portal is exhausted: its answer is not the query's
        return BypassReason::kProtocolShape;
      }
      if (step.statement) step.command = command_of(*step.statement, bind->bind);
      return step.execute.row_limit > 0 && step.command == BlockCommand::kNone
                 ? std::optional(BypassReason::kRowLimit)
                 : std::nullopt;
    }
    case 'C': {
      const bool own = step.target.name.empty() || bind_of(step.target.name) != nullptr;
      return step.target.kind == 'P' && own ? std::nullopt
                                            : std::optional(BypassReason::kProtocolShape);
    }
    default:
      return std::nullopt;
  }
}

// A statement keeps the meaning that its names have when it is prepared. If the settings are not
// known then, it can hardly ever be served: so they are asked for first. True: wait for the answer.
bool Session::ask_settings_for_parse(std::string_view unit) {
  const bool possible = !settings_ && !settings_failed_ && !unread_statement_ &&
                        !(status_ == 'T' && unnamed_portal_open_) && cacheable_session_ &&
                        !open_unit_ && tracker_.idle() && status_ != 'E' &&
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

bool Session::handle_unit(std::string_view bytes) {
  if (frame_started_ == TimePoint{}) frame_started_ = io_.now();
  parse_unit(bytes);
  const std::optional<BypassReason> shape_reason = link_unit();
  std::vector<std::size_t>& executes = executes_;
  executes.clear();
  bool candidate_read = false;
  for (std::size_t i = 0; i < step_count_; ++i) {
    const Step& step = steps_[i];
    if (step.tag != 'E') continue;
    executes.push_back(i);
    candidate_read |= step.statement && step.statement->text->lead == Lead::kRead;
  }
  if (executes.empty() && ask_settings_for_parse(bytes)) return false;
  std::vector<Verdict>& verdicts = verdicts_;
  verdicts.clear();
  std::optional<Verdict> stop;
  const bool only_unknown = executes.empty() || !candidate_read;
  if (!only_unknown) stop = gate_unit(executes, shape_reason);
  if (stop && stop->kind == Verdict::Kind::kHeld) return false;
  const bool blocks_here = !shape_reason && may_answer_blocks();
  bool disturbed = false;
  for (const std::size_t at : executes) {
    if (blocks_here && steps_[at].command != BlockCommand::kNone) {
      verdicts.emplace_back().kind = Verdict::Kind::kBlock;
    } else if (only_unknown) {
      verdicts.push_back(
          bypass(steps_[at].statement ? BypassReason::kNotRead : BypassReason::kUnknownStatement));
    } else if (stop) {
      verdicts.push_back(stop->kind == Verdict::Kind::kFallback ? fallback(stop->fallback)
                                                                : bypass(stop->bypass));
    } else if (disturbed) {
      verdicts.push_back(bypass(BypassReason::kInTransaction));
    } else {
      verdicts.push_back(decide_execute(at, executes.size() == 1));
      if (verdicts.back().kind == Verdict::Kind::kHeld) {
        verdicts.clear();  // and with it the loads of Executes before
        return false;
      }
    }
    // What gate() found out holds for the next Execute only if this one leaves it alone.
    disturbed = disturbed || !execute_is_harmless(at);
  }
  const bool all_hit = !verdicts.empty() && !shape_reason &&
                       std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) {
                         return v.kind == Verdict::Kind::kHit || v.kind == Verdict::Kind::kBlock;
                       });
  if (all_hit) {
    serve_unit(verdicts);
  } else {
    forward_unit(verdicts, executes, shape_reason);
  }
  verdicts.clear();
  held_bytes_ = 0;
  consume_client(bytes.size());
  return true;
}

// gate(), unless no Execute of the unit can be served whatever the gate says.
std::optional<Session::Verdict> Session::gate_unit(const std::vector<std::size_t>& executes,
                                                   std::optional<BypassReason> shape_reason) {
  if (last_settings_) {
    const bool hopeless = std::all_of(executes.begin(), executes.end(), [this](std::size_t at) {
      const cache::ShapePtr shape =
          steps_[at].statement ? shape_of(*steps_[at].statement) : nullptr;
      return !shape || shape->analysis.not_cacheable() != nullptr;
    });
    if (hopeless) return std::nullopt;
  }
  // A first Parse under a name is forwarded, but its answer is worth loading all the same.
  if (shape_reason && *shape_reason != BypassReason::kProtocolShape) return bypass(*shape_reason);
  if (!settings_ && unit_keeps_unnamed_portal()) return bypass(BypassReason::kProtocolShape);
  return gate();
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
  candidate.sql = step.statement->text->sql;
  candidate.shape = shape_of(*step.statement);
  const sql::CacheableQuery* query =
      candidate.shape ? candidate.shape->analysis.cacheable() : nullptr;
  if (query != nullptr && (step.statement->accepted_generation != env_.shapes->generation() ||
                           !means_what_it_meant(*step.statement, *query))) {
    Verdict verdict;
    verdict.kind = Verdict::Kind::kMiss;
    return verdict;
  }
  candidate.statement_shape = &step.statement->text->shape;
  candidate.parameters = &bind.bind.parameters;
  candidate.result_formats_be = bind.bind.result_formats_be;
  candidate.needs = {bind.needs_row_description, bind.parsed_here};
  candidate.may_wait = alone && !open_unit_;  // the origin holds locks for what was prepared
  return decide(candidate);
}

void Session::serve_unit(const std::vector<Verdict>& verdicts) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < step_count_; ++i) {
    Step& step = steps_[i];
    switch (step.tag) {
      case 'P':
        wire::append_parse_complete(to_client_.tail());
        statements_.put({}, step.statement);
        break;
      case 'B':
        wire::append_bind_complete(to_client_.tail());
        break;
      case 'D':
        for (std::size_t j = i, n = next; j < step_count_; ++j) {
          if (steps_[j].tag != 'E') continue;
          if (steps_[j].execute.portal == step.target.name) {
            if (verdicts[n].kind == Verdict::Kind::kBlock) {
              wire::append_no_data(to_client_.tail());
            } else {
              to_client_.append(verdicts[n].result->row_description);
            }
            break;
          }
          ++n;
        }
        break;
      case 'E': {
        const Verdict& verdict = verdicts[next++];
        if (verdict.kind == Verdict::Kind::kBlock) {
          serve_block_command(step);
          break;
        }
        to_client_.append_shared(verdict.result, verdict.result->rows);
        count(verdict, step.statement->analysed.get());
        observe(Route::kHit, frame_started_);
        note_hit(false);
        break;
      }
      case 'C':
        wire::append_close_complete(to_client_.tail());
        break;
      default:
        // What was prepared in front of a Flush has the origin wait for the Sync.
        if (open_unit_) {
          forward_sync(step.frame);
        } else {
          append_ready();
        }
        break;
    }
  }
}

void Session::forward_unit(std::vector<Verdict>& verdicts, const std::vector<std::size_t>& executes,
                           std::optional<BypassReason> shape_reason) {
  begin_at_origin();
  if (!open_unit_ && unit_needs_snapshot()) catch_up_snapshot();
  std::size_t next = 0;
  for (std::size_t i = 0; i < step_count_; ++i) {
    Step& step = steps_[i];
    const wire::Frame frame{step.tag, step.frame};
    if (step.tag == 'S') {
      forward_sync(step.frame);
    } else if (step.tag == 'P' && step.understood) {
      open_unit();
      forward_parse(step.frame, step.parse, step.statement);
    } else if (step.tag == 'D' && step.understood_portal) {
      forward_raw(step.frame);
      tracker_.sent({wire::Request::kDescribe, false, steps_[step.bind_step].inflight_id});
    } else if (step.tag == 'B' && step.understood) {
      step.inflight_id = next_id_++;
      forward_bind(step.frame, step.bind);
    } else if (step.tag != 'E' || executes.empty()) {
      forward_extended(frame);
    } else {
      Verdict& verdict = verdicts[next++];
      if (verdict.kind == Verdict::Kind::kHit) {
        // It was there, but something else in the exchange has to go to the origin.
        verdict = bypass(shape_reason.value_or(BypassReason::kPipeline));
      } else if (verdict.kind == Verdict::Kind::kBlock) {
        verdict = bypass(BypassReason::kNotRead);
      }
      count(verdict, step.statement ? step.statement->analysed.get() : nullptr);
      Inflight inflight;
      inflight.id = step.statement ? steps_[step.bind_step].inflight_id : next_id_++;
      inflight.route = forwarded_route(verdict);
      inflight.shape = step.statement ? step.statement->analysed : nullptr;
      inflight.load = std::move(verdict.load);
      inflight.statement = step.statement;
      inflight.generation = env_.shapes->generation();
      inflight.parsed = step.statement && steps_[step.bind_step].parsed_here;
      const std::uint64_t id = inflight.id;
      open_unit().inflight.push_back(std::move(inflight));
      if (step.understood) catch_up_portal(step.execute.portal);
      forward_raw(step.frame);
      tracker_.sent({wire::Request::kExecute, false, id});
    }
  }
}

}  // namespace pgcache::proxy
