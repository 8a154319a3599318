// SPDX-License-Identifier: Apache-2.0
// Messages: taking them, and the extended protocol. See backend.h.
#include "simulator/backend.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"

namespace pgcache::simulator {

namespace {

// Cuts the body of a message into pieces.
class Reader {
 public:
  explicit Reader(std::string_view body) : rest_(body) {}
  std::string_view string() {
    const std::size_t end = rest_.find('\0');
    CHECK(end != std::string_view::npos);
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::string_view bytes(std::size_t n) {
    const std::string_view part = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return part;
  }
  int int16() {
    const std::string_view b = bytes(2);
    return static_cast<unsigned char>(b[0]) << 8 | static_cast<unsigned char>(b[1]);
  }
  std::uint32_t int32() { return get32(bytes(4)); }

 private:
  std::string_view rest_;
};

}  // namespace

std::string fingerprint_tag(const Call& call, const Settings& settings, std::size_t rows) {
  std::string all = call.script->text;
  all.push_back('\0');
  for (const BoundParameter& parameter : call.parameters) {
    all.push_back(parameter.binary ? 'b' : 't');
    all += parameter.bytes ? *parameter.bytes : "NULL";
    all.push_back('\0');
  }
  for (const int format : call.result_formats) all.push_back(static_cast<char>('0' + format));
  for (const int value : {settings.search_path, settings.monetary, settings.date_style}) {
    all.push_back(static_cast<char>('a' + value));
  }
  return "SELECT " + std::to_string(rows) + " #" + std::to_string(hash_bytes(all));
}

std::string read_answer(const Call& call, const Table& table, const Settings& settings) {
  std::string out;
  for (const Row& row : table.rows) {
    out += row_frame(table.columns, row, call.result_formats, settings);
  }
  return out + command_complete(fingerprint_tag(call, settings, table.rows.size()));
}

Backend::Backend(Origin& origin, Library& library, Random& random, std::uint32_t pid,
                 const int& configured, bool lies)
    : origin_(origin),
      library_(library),
      random_(random),
      pid_(pid),
      configured_(configured),
      lies_(lies) {}

bool Backend::can_step() const {
  if (closed_) return false;
  if (waiting_ != nullptr) return waiting_->state == TxState::kVisible;
  if (!started_ && !asked_password_) {
    return input_.size() >= 4 && input_.size() >= get32(input_);
  }
  return !first_frame(input_).empty();
}

void Backend::step() {
  if (waiting_ != nullptr) {
    for (const Change& change : waiting_->changes) {
      own_commits_[static_cast<std::size_t>(change.table)] = waiting_->visible_at;
    }
    waiting_ = nullptr;
    const Next next = std::move(then_);
    next();
  } else if (!started_ && !asked_password_) {
    const std::string packet = input_.substr(0, get32(input_));
    input_.erase(0, packet.size());
    start(packet);
  } else {
    const std::string frame(first_frame(input_));
    input_.erase(0, frame.size());
    if (!copying_) {  // what belongs to a COPY continues the message that began it
      message_ = frame;
      record_open_ = false;
      erred_ = false;
    }
    dispatch(frame);
  }
  if (waiting_ != nullptr) return;
  if (!records_.empty() && !copying_) records_.back().done = true;
  if (random_.one_in(10)) flush();
}

void Backend::start(std::string_view packet) {
  Reader reader(packet.substr(8));
  for (std::string_view name = reader.string(); !name.empty(); name = reader.string()) {
    const std::string_view value = reader.string();
    if (name == "lc_monetary") {
      start_.monetary = value == "C" ? 0 : 1;
      overridden_ = true;
    }
    if (name == "DateStyle") start_.date_style = value == "ISO" ? 0 : 1;
  }
  if (!overridden_) start_.monetary = configured_;
  current_ = session_ = saved_ = start_;
  reported_style_ = start_.date_style;
  if (random_.one_in(3)) {
    asked_password_ = true;
    std::string body;
    put32(body, 3);
    emit_async(frame('R', body));
    flush();
  } else {
    finish_startup();
  }
}

void Backend::finish_startup() {
  started_ = true;
  std::string body;
  put32(body, 0);
  emit_async(frame('R', body));
  emit_async(parameter_status("DateStyle", setting_text(Setting::kDateStyle, reported_style_)));
  body.clear();
  put32(body, pid_);
  put32(body, pid_ * 7 + 1);
  emit_async(frame('K', body));
  if (random_.one_in(10)) emit_async(notice("welcome"));
  emit_async(ready_for_query('I'));
  flush();
}

// A backend takes note of a new configuration when it has read its next message.
void Backend::reload_configuration() {
  if (overridden_) return;
  start_.monetary = saved_.monetary = session_.monetary = current_.monetary = configured_;
}

void Backend::dispatch(std::string_view frame) {
  const char tag = frame[0];
  const std::string_view body = frame.substr(5);
  if (!started_) {
    CHECK(tag == 'p');
    finish_startup();
    return;
  }
  reload_configuration();
  if (copying_) {
    dispatch_copy(tag, body);
    return;
  }
  if (tag == 'X') {
    disconnect();
    return;
  }
  if (skipping_ && tag != 'S') return;
  note_own(tag, body);
  switch (tag) {
    case 'Q':
      on_query(body);
      return;
    case 'P':
      on_parse(body);
      return;
    case 'B':
      on_bind(body);
      return;
    case 'D':
      on_describe(body);
      return;
    case 'E':
      on_execute(body);
      return;
    case 'C':
      on_close(body);
      return;
    case 'S':
      on_sync();
      return;
    case 'H':
      flush();
      return;
    default:
      return;  // what is left of a copy that failed
  }
}

// Whether the message is the proxy's own, by the names in it.
void Backend::note_own(char tag, std::string_view body) {
  const bool own = body.find("pgcache settings") != std::string_view::npos ||
                   body.find("pgcache: ") != std::string_view::npos;
  silent_ = tag == 'S' ? own_exchange_ : own;
  own_exchange_ = tag != 'S' && own;
}

// --- the simple protocol

void Backend::on_query(std::string_view body) {
  statements_.erase("");
  portals_.erase("");
  query_ = library_.find(Reader(body).string());
  query_at_ = 0;
  silent_ = query_ != nullptr && query_->commands.back().op == Op::kSettings;
  if (query_ == nullptr) {
    fail("42601", "syntax error");
    finish_query();
  } else {
    run_next();
  }
}

void Backend::run_next() {
  if (erred_ || query_at_ == query_->commands.size()) {
    if (!erred_ && implicit_ && !in_block_) {
      commit_then([this] { finish_query(); });
    } else {
      finish_query();
    }
    return;
  }
  const Command& command = query_->commands[query_at_++];
  begin_implicit();
  if (failed_ && command.op != Op::kCommit && command.op != Op::kRollback) {
    fail("25P02", "current transaction is aborted");
    run_next();
    return;
  }
  Call call;
  call.script = query_;
  run(command, call, true, [this] { run_next(); });
}

void Backend::finish_query() {
  implicit_ = false;
  portals_.clear();
  emit_ready();
  silent_ = false;
}

// --- the extended protocol

void Backend::on_sync() {
  skipping_ = false;
  if (implicit_ && !in_block_) {
    commit_then([this] { finish_query(); });
  } else {
    implicit_ = false;
    if (!in_block_) portals_.clear();
    emit_ready();
  }
}

bool Backend::refuses(const Script* script) const {
  if (!failed_ || script == nullptr) return false;
  const Op op = script->commands.front().op;
  return op != Op::kCommit && op != Op::kRollback;
}

void Backend::on_parse(std::string_view body) {
  begin_implicit();
  Reader reader(body);
  const std::string name(reader.string());
  const Script* script = library_.find(reader.string());
  if (name.empty()) statements_.erase("");
  if (refuses(script)) {
    fail("25P02", "current transaction is aborted");
  } else if (script == nullptr || script->commands.size() != 1 ||
             (script->commands[0].op == Op::kRead &&
              script->commands[0].read == Read::kMissingTable)) {
    fail("42P01", "relation does not exist");
  } else if (!name.empty() && statements_.contains(name)) {
    fail("42P05", "prepared statement already exists");
  } else {
    statements_[name] = script;
    emit(frame('1', {}));
  }
}

void Backend::on_bind(std::string_view body) {
  begin_implicit();
  Reader reader(body);
  const std::string portal_name(reader.string());
  const auto statement = statements_.find(reader.string());
  Portal portal;
  std::vector<int> formats(static_cast<std::size_t>(reader.int16()));
  for (int& format : formats) format = reader.int16();
  portal.call.parameters.resize(static_cast<std::size_t>(reader.int16()));
  for (std::size_t i = 0; i < portal.call.parameters.size(); ++i) {
    const int format = formats.empty() ? 0 : formats.size() == 1 ? formats[0] : formats[i];
    const std::uint32_t length = reader.int32();
    BoundParameter& parameter = portal.call.parameters[i];
    parameter.binary = format == 1;
    if (length != 0xffffffff) parameter.bytes = std::string(reader.bytes(length));
  }
  portal.call.result_formats.resize(static_cast<std::size_t>(reader.int16()));
  for (int& format : portal.call.result_formats) format = reader.int16();
  if (statement == statements_.end()) {
    fail("26000", "prepared statement does not exist");
    return;
  }
  if (refuses(statement->second)) {
    fail("25P02", "current transaction is aborted");
    return;
  }
  portal.call.script = statement->second;
  const Command& command = portal.call.script->commands.front();
  if (portal.call.parameters.size() !=
      (command.arguments.empty() || command.arguments[0].parameter < 0
           ? 0
           : command.arguments.size())) {
    fail("08P01", "wrong number of parameters");
    return;
  }
  if (!portal_name.empty() && portals_.contains(portal_name)) {
    fail("42P03", "portal already exists");
    return;
  }
  if (command.op == Op::kRead) {
    const View seen = view();  // a portal's snapshot is taken here
    portal.table = evaluate(command, argument_values(command, portal.call.parameters), current_,
                            origin_, seen);
    portal.settings = current_;
  }
  portals_[portal_name] = std::move(portal);
  emit(frame('2', {}));
}

void Backend::on_describe(std::string_view body) {
  begin_implicit();
  const char kind = body[0];
  const std::string_view name = Reader(body.substr(1)).string();
  const Script* script = nullptr;
  std::vector<int> formats;
  if (kind == 'S') {
    const auto it = statements_.find(name);
    if (it != statements_.end()) script = it->second;
  } else if (const auto it = portals_.find(name); it != portals_.end()) {
    script = it->second.call.script;
    formats = it->second.call.result_formats;
  }
  if (script == nullptr) {
    fail(kind == 'S' ? "26000" : "34000", "does not exist");
    return;
  }
  const Command& command = script->commands.front();
  if (failed_ && !columns_of(command).empty()) {
    fail("25P02", "current transaction is aborted");
    return;
  }
  if (kind == 'S') {
    std::string types;
    const bool bound = !command.arguments.empty() && command.arguments[0].parameter >= 0;
    put16(types, bound ? static_cast<std::uint16_t>(command.arguments.size()) : 0);
    for (std::size_t i = 0; bound && i < command.arguments.size(); ++i) {
      put32(types, takes_text(command, i) ? 25 : 23);
    }
    emit(frame('t', types));
  }
  emit(columns_of(command).empty() ? frame('n', {})
                                   : row_description(columns_of(command), formats));
}

void Backend::on_execute(std::string_view body) {
  begin_implicit();
  Reader reader(body);
  const auto it = portals_.find(reader.string());
  const std::size_t row_limit = reader.int32();
  if (it == portals_.end()) {
    fail("34000", "portal does not exist");
    return;
  }
  Portal& portal = it->second;
  const Command command = portal.call.script->commands.front();
  if (refuses(portal.call.script)) {
    fail("25P02", "current transaction is aborted");
  } else if (command.op == Op::kRead) {
    execute_portal(portal, row_limit);
  } else if (portal.complete) {
    fail("55000", "portal cannot be run");
  } else {
    portal.complete = true;
    const Call call = portal.call;
    run(command, call, false, [] {});
  }
}

void Backend::execute_portal(Portal& portal, std::size_t row_limit) {
  if (cancelled_) {
    fail("57014", "canceling statement due to user request");
    return;
  }
  // Names were resolved at Bind; the text of values is made now.
  Settings settings = current_;
  settings.search_path = portal.settings.search_path;
  const std::vector<Row>& rows = portal.table.rows;
  std::size_t sent = 0;
  while (portal.position < rows.size() && (row_limit == 0 || sent < row_limit)) {
    emit(row_frame(portal.table.columns, rows[portal.position++], portal.call.result_formats,
                   settings));
    ++sent;
  }
  if (row_limit != 0 && sent == row_limit) {
    library_.remember(fingerprint_tag(portal.call, settings, sent), portal.call, settings);
    emit(frame('s', {}));
  } else {
    complete_read(portal.call, settings, sent);
  }
}

void Backend::on_close(std::string_view body) {
  const std::string_view name = Reader(body.substr(1)).string();
  if (body[0] == 'S') {
    if (const auto it = statements_.find(name); it != statements_.end()) statements_.erase(it);
  } else if (const auto it = portals_.find(name); it != portals_.end()) {
    portals_.erase(it);
  }
  emit(frame('3', {}));
}

}  // namespace pgcache::simulator
