// SPDX-License-Identifier: Apache-2.0
// Making requests. See client.h.
#include "simulator/client.h"

namespace pgcache::simulator {

namespace {

constexpr int kIds = 6;
constexpr int kGroups = 3;
constexpr int kValues = 4;

bool has_parameters(const Script& script) {
  const Command& command = script.commands.front();
  return !command.arguments.empty() && command.arguments[0].parameter >= 0;
}

}  // namespace

// --- messages

void Client::plan_other(char tag, std::string_view body) {
  Expected message;
  message.tag = tag;
  message.frame = simulator::frame(tag, body);
  plan(std::move(message));
}

void Client::plan_query(const Script& script) {
  Expected request;
  request.tag = 'Q';
  request.script = &context_.library.add(script.text, script.commands);
  std::string body;
  put_string(body, script.text);
  request.frame = simulator::frame('Q', body);
  plan(std::move(request));
}

void Client::plan_parse(const std::string& name, const Script& script) {
  Expected request;
  request.tag = 'P';
  request.statement = name;
  request.script = &context_.library.add(script.text, script.commands);
  std::string body;
  put_string(body, name);
  put_string(body, script.text);
  const bool declare = has_parameters(script) && context_.random.one_in(2);
  const Command& command = script.commands.front();
  put16(body, declare ? static_cast<std::uint16_t>(command.arguments.size()) : 0);
  for (std::size_t i = 0; declare && i < command.arguments.size(); ++i) {
    put32(body, takes_text(command, i) ? 25 : 23);
  }
  request.frame = simulator::frame('P', body);
  plan(std::move(request));
}

void Client::plan_bind(const std::string& portal, const std::string& statement,
                       const Script& script) {
  Random& random = context_.random;
  Expected request;
  request.tag = 'B';
  request.statement = statement;
  request.portal = portal;
  const Command& command = script.commands.front();
  const std::size_t count = has_parameters(script) ? command.arguments.size() : 0;
  std::string formats;
  std::string values;
  for (std::size_t i = 0; i < count; ++i) {
    BoundParameter parameter;
    const bool is_text = takes_text(command, i);
    parameter.binary = !is_text && random.one_in(3);
    const Number value = random.one_in(3) ? id() : command.arguments[i].value;
    if (value && !(i > 0 && random.one_in(40))) {
      parameter.bytes = parameter.binary ? encode_binary(*value) : to_text(*value, is_text);
    }
    put16(formats, parameter.binary ? 1 : 0);
    put32(values,
          parameter.bytes ? static_cast<std::uint32_t>(parameter.bytes->size()) : 0xffffffff);
    if (parameter.bytes) values += *parameter.bytes;
    request.parameters.push_back(std::move(parameter));
  }
  std::string body;
  put_string(body, portal);
  put_string(body, statement);
  put16(body, static_cast<std::uint16_t>(count));
  body += formats;
  put16(body, static_cast<std::uint16_t>(count));
  body += values;
  if (random.one_in(2)) request.result_formats.push_back(random.one_in(2) ? 1 : 0);
  put16(body, static_cast<std::uint16_t>(request.result_formats.size()));
  for (const int format : request.result_formats) put16(body, static_cast<std::uint16_t>(format));
  request.frame = simulator::frame('B', body);
  plan(std::move(request));
}

void Client::plan_target(char tag, char kind, const std::string& name) {
  Expected request;
  request.tag = tag;
  request.kind = kind;
  (kind == 'S' ? request.statement : request.portal) = name;
  std::string body(1, kind);
  put_string(body, name);
  request.frame = simulator::frame(tag, body);
  plan(std::move(request));
}

void Client::plan_execute(const std::string& portal, std::uint32_t row_limit) {
  Expected request;
  request.tag = 'E';
  request.portal = portal;
  std::string body;
  put_string(body, portal);
  put32(body, row_limit);
  request.frame = simulator::frame('E', body);
  plan(std::move(request));
}

void Client::plan_sync() {
  Expected request;
  request.tag = 'S';
  request.frame = simulator::frame('S', {});
  plan(std::move(request));
}

void Client::send_planned() {
  Expected message = std::move(plan_.front());
  plan_.pop_front();
  output_ += message.frame;
  constexpr std::string_view answered = "QPBDECS";
  if (answered.find(message.tag) == std::string_view::npos) return;
  expected_.push_back(std::move(message));
  drop_until_sync();
}

// --- statements

Number Client::id() { return context_.random.between(1, kIds); }

std::vector<Number> Client::read_values(Read read) {
  Random& random = context_.random;
  std::vector<Number> values;
  for (std::size_t i = 0; i < pattern(read).text_arguments.size(); ++i) {
    values.push_back(random.between(1, read == Read::kById || read == Read::kIn ? kIds : kGroups));
  }
  return values;
}

Script Client::random_read(bool parameters) {
  Random& random = context_.random;
  // The first ones are asked for most, so that there are hits.
  const bool usual = context_.calm ? !random.one_in(5) : random.one_in(2);
  auto read = static_cast<Read>(usual ? random.below(2) : random.below(kReadCount));
  constexpr Read joins[] = {Read::kJoin, Read::kLeftJoin, Read::kExists};
  if (context_.joins && !random.one_in(4)) read = joins[random.below(3)];
  if (read == Read::kMissingTable && !random.one_in(4)) read = Read::kReferring;
  return make_read(read, random.one_in(3), read_values(read), parameters);
}

Script Client::random_write(bool parameters) {
  Random& random = context_.random;
  constexpr TableId tables[] = {TableId::kT1, TableId::kT1, TableId::kT2, TableId::kT3,
                                TableId::kT4};
  const TableId table = tables[random.below(5)];
  const bool qualified = random.one_in(2);
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2: {
      std::vector<Number> values = {id()};
      while (values.size() < spec(table).columns.size()) {
        values.push_back(random.one_in(6) ? Number{} : Number{random.between(1, kGroups)});
      }
      return make_write(Op::kInsert, table, qualified, values, parameters);
    }
    case 3:
    case 4:
      return make_write(Op::kDelete, table, qualified, {id()}, parameters);
    case 5:
      return make_write(Op::kUpdateKey, table, qualified, {id(), id()}, parameters);
    case 6:
      return make_write(Op::kUpdateMany, TableId::kT1, qualified,
                        {random.between(1, kValues), random.between(1, kGroups)}, parameters);
    case 7:
    case 8:
      return make_write(Op::kUpdateGroup, TableId::kT1, qualified,
                        {random.between(1, kGroups), id()}, parameters);
    default:
      return make_write(Op::kUpdateValue, table, qualified, {random.between(1, kValues), id()},
                        parameters);
  }
}

Script Client::simple_command(Op op, std::string text) {
  Command command;
  command.op = op;
  return {std::move(text), {command}};
}

Script Client::setting_command() {
  Random& random = context_.random;
  Command command;
  const std::uint32_t which = random.below(10);
  command.setting = static_cast<Setting>(which < 9 ? which % 3 : 3);
  command.value = random.one_in(2) ? 1 : 0;
  if (command.setting == Setting::kMode && !random.one_in(3)) command.value = 0;
  command.op = random.one_in(3)                ? Op::kSetByFunction
               : in_block_ && random.one_in(2) ? Op::kSetLocal
                                               : Op::kSet;
  const std::string name(setting_name(command.setting));
  const std::string value(setting_text(command.setting, command.value));
  if (command.op == Op::kSetByFunction) {
    return {"SELECT set_config('" + name + "', '" + value + "', false)", {command}};
  }
  const std::string local = command.op == Op::kSetLocal ? "LOCAL " : "";
  if (command.setting == Setting::kSearchPath) {
    return {"SET " + local + name + " = " + value, {command}};
  }
  return {"SET " + local + name + " = '" + value + "'", {command}};
}

// --- exchanges

void Client::plan_call(const Script& script, const std::string& portal, bool parse) {
  Random& random = context_.random;
  if (parse) plan_parse("", script);
  if (parse && random.one_in(10)) plan_target('D', 'S', "");
  plan_bind(portal, "", script);
  if (random.one_in(2)) plan_target('D', 'P', portal);
  plan_execute(portal, 0);
  if (random.one_in(8)) plan_target('C', 'P', portal);
}

void Client::extended_exchange() {
  Random& random = context_.random;
  const bool writes = random.one_in(context_.calm ? 60 : 6);
  const Script script = writes ? random_write(true) : random_read(!random.one_in(4));
  switch (random.below(8)) {
    case 0: {  // several in one exchange
      const int count = random.between(2, 3);
      for (int i = 0; i < count; ++i) {
        plan_call(random.one_in(6) ? random_write(true) : random_read(true), "", true);
      }
      break;
    }
    case 1:  // the driver asks for the description first
      plan_parse("", script);
      plan_target('D', 'S', "");
      if (random.one_in(2))
        plan_other('H', {});
      else
        plan_sync();
      plan_bind("", "", script);
      plan_execute("", 0);
      break;
    case 2:  // in portions
      plan_parse("", script);
      plan_bind("p", "", script);
      plan_execute("p", static_cast<std::uint32_t>(random.between(1, 2)));
      if (random.one_in(2)) plan_other('H', {});
      plan_execute("p", random.one_in(2) ? 1 : 0);
      break;
    case 3:  // the same statement twice, prepared once
      plan_call(script, "", true);
      plan_sync();
      plan_call(script, "", false);
      break;
    case 4:
      if (random.one_in(3)) {
        plan_parse("", script);
        break;
      }
      [[fallthrough]];
    default:
      plan_call(script, random.one_in(6) ? "q" : "", true);
      break;
  }
  plan_sync();
}

void Client::named_exchange() {
  Random& random = context_.random;
  const std::string name = "s" + std::to_string(random.below(3));
  const auto known = sent_statements_.find(name);
  if (known == sent_statements_.end() || random.one_in(30)) {
    const bool writes = random.one_in(context_.calm ? 40 : 8);
    const Script script = writes ? random_write(true) : random_read(true);
    plan_parse(name, script);
    if (known == sent_statements_.end()) {
      sent_statements_[name] = &context_.library.add(script.text, script.commands);
    }
    if (random.one_in(2)) plan_target('D', 'S', name);
  } else if (random.one_in(20)) {
    plan_target('C', 'S', name);
    sent_statements_.erase(known);
  } else if (random.one_in(30)) {
    Script script = simple_command(Op::kDeallocate, "DEALLOCATE " + name);
    script.commands[0].name = name;
    sent_statements_.erase(known);
    plan_query(script);
    return;
  } else {
    plan_bind("", name, *known->second);
    if (random.one_in(2)) plan_target('D', 'P', "");
    plan_execute("", 0);
  }
  plan_sync();
}

void Client::several_in_one_query() {
  Script all;
  const int count = context_.random.between(2, 3);
  for (int i = 0; i < count; ++i) {
    const Script one = context_.random.one_in(2) ? random_write(false) : random_read(false);
    all.text += (i == 0 ? "" : "; ") + one.text;
    all.commands.push_back(one.commands[0]);
  }
  plan_query(all);
}

// Reads a row, changes it, and reads it again: what a session promises itself.
void Client::own_write_exchange() {
  Random& random = context_.random;
  const Number row = id();
  const bool qualified = random.one_in(2);
  const Script read = make_read(Read::kById, qualified, {row}, false);
  const Number value = random.between(1, kValues);
  plan_query(read);
  plan_query(make_write(Op::kUpdateValue, TableId::kT1, qualified, {value, row}, false));
  plan_query(read);
  plan_query(read);
}

void Client::copy_exchange() {
  Random& random = context_.random;
  const Script script = make_write(Op::kCopy, TableId::kT2, random.one_in(2), {}, false);
  const bool extended = random.one_in(3);
  if (extended) {
    plan_parse("", script);
    plan_bind("", "", script);
    plan_execute("", 0);
    if (random.one_in(2)) plan_other('H', {});
  } else {
    plan_query(script);
  }
  const int lines = random.between(0, 3);
  for (int i = 0; i < lines; ++i) {
    const std::string reference = random.one_in(6) ? "\\N" : std::to_string(*id());
    plan_other('d', std::to_string(random.between(1, 40)) + "\t" + reference + "\t" +
                        std::to_string(random.between(1, kValues)) + "\n");
  }
  if (random.one_in(5)) {
    plan_other('f', std::string("no\0", 3));
  } else {
    plan_other('c', {});
  }
  if (extended) plan_sync();
}

void Client::rare_exchange() {
  Random& random = context_.random;
  switch (random.below(6)) {
    case 0:
      plan_query(simple_command(Op::kDiscardAll, "DISCARD ALL"));
      if (!in_block_) sent_statements_.clear();
      return;
    case 1:
      if (!random.one_in(6)) return;
      plan_query(simple_command(Op::kTempTable, "CREATE TEMP TABLE scratch (a int)"));
      return;
    case 2:
      plan_query(make_write(Op::kTruncate, random.one_in(2) ? TableId::kT2 : TableId::kT3, false,
                            {}, false));
      return;
    case 3:
      copy_exchange();
      return;
    default:
      several_in_one_query();
      return;
  }
}

void Client::plan_exchange() {
  Random& random = context_.random;
  if (random.one_in(in_block_ ? 5 : context_.calm ? 60 : 14)) {
    Op op = Op::kBegin;
    std::string text = "BEGIN";
    if (in_block_) {
      op = random.one_in(3) ? Op::kRollback : Op::kCommit;
      text = op == Op::kCommit ? "COMMIT" : "ROLLBACK";
    } else if (random.one_in(4)) {
      op = Op::kBeginRepeatable;
      text = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    }
    in_block_ = !in_block_;
    const Script script = simple_command(op, text);
    if (random.one_in(3)) {
      plan_parse("", script);
      plan_bind("", "", script);
      plan_execute("", 0);
      plan_sync();
    } else {
      plan_query(script);
    }
    return;
  }
  const std::uint32_t kind = random.below(context_.calm && !random.one_in(8) ? 80 : 100);
  if (kind < 40) {
    plan_query(random_read(false));
  } else if (kind < 62) {
    extended_exchange();
  } else if (kind < 80) {
    named_exchange();
  } else if (kind < 85) {
    own_write_exchange();
  } else if (kind < 91) {
    plan_query(random_write(false));
  } else if (kind < 96) {
    plan_query(setting_command());
  } else {
    rare_exchange();
  }
}

void Client::make_requests() {
  if (plan_.empty()) {
    plan_exchange();
    ++context_.counters.requests;
  }
  int count = context_.random.one_in(4) ? context_.random.between(1, 3) : 1000;
  while (!plan_.empty() && count-- > 0) {
    const bool flush = plan_.front().tag == 'H';
    send_planned();
    if (flush) return;
  }
}

void Client::finish_open_exchange() {
  while (!plan_.empty()) send_planned();
}

void Client::send_terminate() {
  finish_open_exchange();
  output_ += simulator::frame('X', {});
  terminated_ = true;
}

}  // namespace pgcache::simulator
