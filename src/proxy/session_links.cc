// SPDX-License-Identifier: Apache-2.0
// The messages of an extended exchange as steps, linked up: Binds with their statements, Executes,
// Describes and Closes with the Binds of their portals. See session.h.
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
const Step* Session::latest_step(std::size_t before, char tag, std::string_view portal) const {
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
Step* Session::bind_of(std::size_t before, std::string_view portal) {
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
const Step* Session::parse_of(std::size_t before, std::string_view statement) const {
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

}  // namespace pgcache::proxy
