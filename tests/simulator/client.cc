// SPDX-License-Identifier: Apache-2.0
// Checking what comes back. See client.h.
#include "simulator/client.h"

#include <utility>

#include "base/bytes.h"

namespace pgcache::simulator {

namespace {

bool is_fatal(std::string_view frame) { return frame[0] == 'E' && frame.substr(5, 6) == "SFATAL"; }

}  // namespace

Client::Client(ClientContext context, const std::string& database) : context_(std::move(context)) {
  std::string body;
  if (context_.random.one_in(4)) {
    put32(body, 8);
    put32(body, 80877103);
    ssl_asked_ = true;
    output_ += body;
    body.clear();
  }
  put32(body, 196608);
  put_string(body, "user");
  put_string(body, "app");
  put_string(body, "database");
  put_string(body, database);
  if (context_.random.one_in(5)) {
    put_string(body, "lc_monetary");
    put_string(body, "de_DE");
  }
  if (context_.random.one_in(5)) {
    put_string(body, "DateStyle");
    put_string(body, "German");
  }
  body.push_back('\0');
  std::string packet;
  put32(packet, static_cast<std::uint32_t>(body.size() + 4));
  output_ += packet + body;
}

void Client::receive(std::string_view bytes, Backend* backend) {
  input_.append(bytes);
  if (ssl_asked_ && !input_.empty()) {
    if (input_[0] == 'N') {
      input_.erase(0, 1);
    } else if (input_[0] != 'E') {
      context_.fail("SSLRequest was not answered by N");
    }
    ssl_asked_ = false;
  }
  std::size_t at = 0;
  for (;;) {
    const std::string_view frame = first_frame(std::string_view(input_).substr(at));
    if (frame.empty()) break;
    at += frame.size();
    if (!ready_) {
      on_startup_frame(frame);
    } else if (backend == nullptr) {
      context_.fail("frames after the start without a server");
    } else {
      on_frame(frame, *backend);
    }
  }
  input_.erase(0, at);
  if (backend != nullptr) settle_record(*backend);
}

void Client::on_startup_frame(std::string_view frame) {
  switch (frame[0]) {
    case 'R':
      if (get32(frame.substr(5)) == 3) output_ += simulator::frame('p', std::string("secret\0", 7));
      return;
    case 'Z':
      ready_ = true;
      return;
    case 'E':
      if (!is_fatal(frame)) context_.fail("an error that is not FATAL during the start");
      fatal_seen_ = true;
      return;
    case 'S':
    case 'K':
    case 'N':
    case 'A':
      return;
    default:
      context_.fail("unexpected message during the start: " + printable(frame));
  }
}

void Client::on_frame(std::string_view frame, Backend& backend) {
  settle_record(backend);
  if (fatal_seen_) {
    context_.fail("a message behind FATAL: " + printable(frame));
    return;
  }
  if (frame[0] == 'N' || frame[0] == 'S') return;
  if (const auto id = read_marker(frame)) {
    on_marker(*id, backend);
    return;
  }
  const Record* record = active_ != 0 ? backend.record(active_) : nullptr;
  if (active_ != 0 && !is_fatal(frame)) {
    if (record == nullptr) {
      context_.fail("the active record is gone");
      return;
    }
    on_record_frame(frame, *record);
    settle_record(backend);
  } else {
    on_own_frame(frame);
  }
}

// --- answers of the server

void Client::on_marker(std::uint32_t id, Backend& backend) {
  const Record* record = backend.record(id);
  if (record == nullptr || id != next_record_) {
    context_.fail("answer " + std::to_string(id) + " where " + std::to_string(next_record_) +
                  " was due: an answer was lost or came twice");
    return;
  }
  if (std::exchange(perhaps_hidden_, false) && active_at_ == 0) active_ = 0;
  if (!own_.empty() || active_ != 0) {
    context_.fail("an answer of the server within another answer");
    return;
  }
  next_record_ = id + 1;
  active_ = id;
  active_at_ = 0;
  active_error_ = active_hidden_ = false;
  if (is_hidden_describe(*record)) return;
  if (is_hidden_prepare(*record)) {
    active_ = 0;
    return;
  }
  if (!expected_.empty() && record->request == expected_.front().frame) return;
  if (is_hidden_begin(*record)) {
    if (record->frames[0] == 'E') {
      active_hidden_ = true;
    } else {
      active_ = 0;
    }
    return;
  }
  // An unnamed portal or statement that the client has no more.
  if (record->request == simulator::frame('C', std::string("P\0", 2)) ||
      record->request == simulator::frame('C', std::string("S\0", 2))) {
    active_ = 0;
    return;
  }
  // A portal of memory that is opened at the server, in front of what sets something.
  const bool ends_portal = std::exchange(hidden_portal_, false) && record->request[0] == 'S';
  if (ends_portal || (record->request[0] == 'E' && record->frames[0] != 'E')) {
    hidden_portal_ = !ends_portal;
    active_ = 0;
    return;
  }
  if (!is_hidden_parse(*record)) {
    context_.fail(
        "the server answers a request whose turn it is not: " + printable(record->request) +
        "; due was " + (expected_.empty() ? "nothing" : printable(expected_.front().frame)));
    return;
  }
  // Its ParseComplete is the proxy's own affair; an error is not.
  active_hidden_ = true;
  if (record->frames[0] != '1') return;
  active_ = 0;
  const std::string_view name = std::string_view(record->request).substr(5);
  hidden_describe_ =
      simulator::frame('D', 'S' + std::string(name.substr(0, name.find('\0'))) + '\0');
}

// Behind a hidden Parse, to learn whether its result is what it was. The client's own may follow.
bool Client::is_hidden_describe(const Record& record) {
  const std::string describe = std::exchange(hidden_describe_, {});
  if (describe.empty() || record.request != describe) return false;
  if (!expected_.empty() && record.request == expected_.front().frame) {
    perhaps_hidden_ = true;
  } else if (record.frames[0] == 'E') {
    active_hidden_ = true;
  } else {
    active_ = 0;
  }
  return true;
}

// A statement that so far the proxy alone knew, prepared just before it is used.
bool Client::is_hidden_parse(const Record& record) const {
  if (record.request[0] != 'P' || expected_.empty()) return false;
  if (expected_.front().tag != 'B' && expected_.front().tag != 'D') return false;
  const std::string_view body = std::string_view(record.request).substr(5);
  const std::string name(body.substr(0, body.find('\0')));
  const std::string_view rest = body.substr(name.size() + 1);
  const auto it = statements_.find(name);
  return it != statements_.end() && rest.substr(0, rest.find('\0')) == it->second->text;
}

// The next message of a BEGIN that the client knows to be done.
bool Client::is_hidden_begin(const Record& record) {
  if (unseen_begin_.empty() || record.request != unseen_begin_.front()) return false;
  unseen_begin_.pop_front();
  return true;
}

// What prepares a statement behind the exchange that the proxy answered. An error in it is told
// when the statement is used.
bool Client::is_hidden_prepare(const Record& record) {
  if (unseen_prepare_.empty() || record.request != unseen_prepare_.front()) return false;
  unseen_prepare_.pop_front();
  const bool failed = !record.frames.empty() && record.frames[0] == 'E';
  if (failed && record.request[0] == 'P') unseen_prepare_.pop_front();
  return true;
}

bool Client::is_own_block_command(const Script& script) const {
  if (script.commands.size() != 1) return false;
  const Op op = script.commands.front().op;
  if (op == Op::kBegin) return status_ == 'I';
  return (op == Op::kCommit || op == Op::kRollback) && !unseen_begin_.empty();
}

// The proxy's own answer to BEGIN, or to what ends a block that the server has not seen.
void Client::check_block_command(const Script& script, bool simple) {
  const Op op = script.commands.front().op;
  status_ = op == Op::kBegin ? 'T' : 'I';
  unseen_begin_.clear();
  if (op == Op::kBegin) {
    std::string body(1, '\0');
    put_string(body, script.text);
    put16(body, 0);
    unseen_begin_.push_back(simulator::frame('P', body));
    unseen_begin_.push_back(simulator::frame('B', std::string(8, '\0')));
    unseen_begin_.push_back(simulator::frame('E', std::string(5, '\0')));
    if (simple) unseen_begin_.push_back(simulator::frame('C', std::string("P\0", 2)));
  } else {
    ++context_.counters.local_blocks;
  }
  std::string wanted = command_complete(op == Op::kBegin    ? "BEGIN"
                                        : op == Op::kCommit ? "COMMIT"
                                                            : "ROLLBACK");
  if (simple) wanted += ready_for_query(status_);
  if (own_ != wanted) context_.fail("a wrong answer to " + script.text + ": " + printable(own_));
}

void Client::on_record_frame(std::string_view frame, const Record& record) {
  if (std::string_view(record.frames).substr(active_at_, frame.size()) != frame) {
    context_.fail("the server's answer was changed: got " + printable(frame) + " for " +
                  printable(std::string_view(record.frames).substr(active_at_)));
    return;
  }
  active_at_ += frame.size();
  if (frame[0] == 'E') active_error_ = true;
  if (frame[0] == 'Z') status_ = frame[5];
}

void Client::settle_record(Backend& backend) {
  if (active_ == 0) return;
  const Record* record = backend.record(active_);
  if (record == nullptr || !record->done || active_at_ != record->frames.size()) return;
  backend.forget_records_below(active_);
  active_ = 0;
  if (!fatal_seen_) finish_record();
}

void Client::finish_record() {
  ++context_.counters.answers;
  if (active_error_) ++context_.counters.errors;
  if (active_hidden_) {
    dropping_ = true;
    drop_until_sync();
    return;
  }
  const Expected request = expected_.front();
  note_done(request, !active_error_);
  pop_expected();
  if (active_error_ && request.tag != 'Q') {
    dropping_ = true;
    drop_until_sync();
  }
}

void Client::pop_expected() {
  if (expected_.front().tag == 'S') dropping_ = false;
  expected_.pop_front();
}

void Client::drop_until_sync() {
  while (dropping_ && !expected_.empty() && expected_.front().tag != 'S') expected_.pop_front();
}

// What the server, and the proxy in its stead, now remember.
void Client::note_done(const Expected& request, bool success) {
  switch (request.tag) {
    case 'P':
      if (request.statement.empty()) statements_.erase("");
      if (success) statements_[request.statement] = request.script;
      return;
    case 'B':
      if (success) {
        const auto it = statements_.find(request.statement);
        if (it == statements_.end()) {
          context_.fail("Bind of a statement that does not exist succeeded");
          return;
        }
        portals_[request.portal] = {{it->second, request.parameters, request.result_formats},
                                    std::nullopt};
      }
      return;
    case 'E':
      if (const auto it = portals_.find(request.portal); success && it != portals_.end()) {
        note_commands(*it->second.call.script);
      }
      return;
    case 'C':
      if (request.kind == 'S') statements_.erase(request.statement);
      if (request.kind == 'P') portals_.erase(request.portal);
      return;
    case 'Q':
      statements_.erase("");
      portals_.erase("");
      if (success) note_commands(*request.script);
      if (status_ == 'I') portals_.clear();
      return;
    case 'S':
      if (status_ == 'I') portals_.clear();
      return;
    default:
      return;
  }
}

void Client::note_commands(const Script& script) {
  for (const Command& command : script.commands) {
    if (command.op == Op::kDiscardAll) statements_.clear();
    if (command.op == Op::kDeallocate) statements_.erase(command.name);
  }
}

// --- answers of the proxy

void Client::on_own_frame(std::string_view frame) {
  if (is_fatal(frame)) {
    fatal_seen_ = true;
    return;
  }
  if (expected_.empty()) {
    context_.fail("an answer to nothing: " + printable(frame));
    return;
  }
  const Expected& request = expected_.front();
  switch (request.tag) {
    case 'Q':
      on_own_part(frame, 'Z');
      return;
    case 'E':
      on_own_part(frame, 'C');
      return;
    case 'P':
    case 'B':
    case 'C': {
      const char tag = request.tag == 'P' ? '1' : request.tag == 'B' ? '2' : '3';
      if (frame != simulator::frame(tag, {})) break;
      if (tag == '1' && !request.statement.empty()) {
        unseen_prepare_.push_back(request.frame);
        unseen_prepare_.push_back(simulator::frame('D', 'S' + request.statement + '\0'));
        unseen_prepare_.push_back(simulator::frame('S', {}));
      }
      note_done(request, true);
      pop_expected();
      return;
    }
    case 'D': {
      if (request.kind == 'S') {
        if (frame[0] == 't') return;
        const auto it = statements_.find(request.statement);
        if (it == statements_.end()) break;
        if (frame != row_description(columns_of(it->second->commands[0]), {})) break;
        pop_expected();
        return;
      }
      const auto it = portals_.find(request.portal);
      if (request.kind != 'P' || it == portals_.end()) break;
      const Call& call = it->second.call;
      if (frame != row_description(columns_of(call.script->commands[0]), call.result_formats))
        break;
      pop_expected();
      return;
    }
    case 'S':
      if (frame != ready_for_query(status_)) break;
      note_done(request, true);
      pop_expected();
      return;
    default:
      break;
  }
  context_.fail("the proxy answers " + printable(request.frame) + " with " + printable(frame));
}

void Client::on_own_part(std::string_view frame, char wanted) {
  constexpr std::string_view allowed = "TDCZs";
  if (allowed.find(frame[0]) == std::string_view::npos) {
    context_.fail("not part of an answer from memory: " + printable(frame));
    return;
  }
  own_.append(frame);
  const bool suspended = wanted == 'C' && frame[0] == 's';
  if (frame[0] != wanted && !suspended) return;
  const Expected request = expected_.front();
  Call call{request.script, {}, {}};
  OpenPortal* portal = nullptr;
  if (request.tag == 'E') {
    const auto it = portals_.find(request.portal);
    if (it == portals_.end()) {
      context_.fail("Execute of a portal that does not exist succeeded");
      return;
    }
    portal = &it->second;
    call = portal->call;
  }
  if (is_own_block_command(*call.script)) {
    check_block_command(*call.script, request.tag == 'Q');
  } else {
    check_hit(call, portal);
  }
  own_.clear();
  note_done(request, true);
  pop_expected();
}

namespace {

// The DataRows at the start, and how many.
std::string_view leading_rows(std::string_view frames, std::size_t& count) {
  std::size_t end = 0;
  count = 0;
  while (end + 5 <= frames.size() && frames[end] == 'D') {
    end += 1 + load_be32(frames.data() + end + 1);
    ++count;
  }
  return frames.substr(0, end);
}

// Whether `own` is what pgcache makes itself of an answer: some of its rows, of a portal in memory.
bool is_portion(std::string_view own, std::string_view answer) {
  std::size_t count = 0;
  const std::string_view rows = leading_rows(own, count);
  const std::string_view rest = own.substr(rows.size());
  if (rest != frame('s', {}) && rest != command_complete("SELECT " + std::to_string(count))) {
    return false;
  }
  std::size_t all = 0;
  return leading_rows(answer, all).find(rows) != std::string_view::npos;
}

bool reads(const Script& script, TableId table, const Settings& settings) {
  constexpr std::array<std::string_view, kTableCount> names = {"t1", "t2", "t3", "t4", "t1"};
  if (script.text.find(names[static_cast<std::size_t>(table)]) == std::string::npos) return false;
  Command on_t1 = script.commands.front();
  on_t1.table = TableId::kT1;
  const bool is_t1 = table == TableId::kT1 || table == TableId::kAltT1;
  return !is_t1 || resolve(on_t1, settings) == table;
}

// The oldest moment of which an answer may be.
std::uint64_t oldest(const HitWindow& window, const Script& script, const Settings& settings) {
  std::uint64_t moment = window.oldest;
  for (const TableId table : kTables) {
    const std::uint64_t own = window.own_commits[static_cast<std::size_t>(table)];
    if (reads(script, table, settings)) moment = std::max(moment, own);
  }
  return moment;
}

}  // namespace

void Client::check_hit(const Call& call, OpenPortal* portal) {
  const bool simple = portal == nullptr;
  const bool goes_on = portal != nullptr && portal->window;
  ++context_.counters.hits;
  if (!simple) ++context_.counters.extended_hits;
  if (status_ == 'T') ++context_.counters.block_hits;
  if (context_.hits.empty()) {
    context_.fail("an answer that neither the server nor the cache gave: " + printable(own_));
    return;
  }
  const HitWindow window = goes_on ? *portal->window : context_.hits.front();
  context_.hits.pop_front();
  if (portal != nullptr) portal->window = window;
  const Command& command = call.script->commands.front();
  if (command.op != Op::kRead || call.script->commands.size() != 1 || command.read == Read::kNow) {
    context_.fail("answered from memory: " + call.script->text);
    return;
  }
  std::vector<Settings> possible = {window.settings};
  if (window.reloaded) {
    possible.push_back(window.settings);
    possible.back().monetary = 1 - possible.back().monetary;
  }
  const std::vector<Number> values = argument_values(command, call.parameters);
  std::string present;
  for (const Settings& settings : possible) {
    const std::uint64_t first = oldest(window, *call.script, settings);
    for (std::uint64_t at = window.newest; at >= first; --at) {
      const Table table = evaluate(command, values, settings, context_.origin, {at});
      std::string answer = read_answer(call, table, settings);
      if (simple) {
        answer = row_description(table.columns, {}) + answer + ready_for_query(status_);
      }
      if (answer == own_ || (!simple && is_portion(own_, answer))) return;
      if (present.empty()) present = answer;
    }
  }
  context_.fail("stale or wrong: " + call.script->text + " of moments " +
                std::to_string(oldest(window, *call.script, window.settings)) + " to " +
                std::to_string(window.newest) + " got " + printable(own_) + "; now it would be " +
                printable(present));
}

void Client::on_end(bool excused, Backend* backend) {
  if (backend != nullptr) settle_record(*backend);
  if (excused || fatal_seen_) return;
  if (!closing()) {
    context_.fail("the proxy closed the connection without a reason");
  } else if (!expected_.empty() || !own_.empty()) {
    context_.fail("the connection ended before the answer to " +
                  (expected_.empty() ? std::string("?") : printable(expected_.front().frame)));
  } else if (!context_.hits.empty()) {
    context_.fail("an answer from memory was never delivered");
  }
}

}  // namespace pgcache::simulator
