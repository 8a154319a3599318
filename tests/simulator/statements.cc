// SPDX-License-Identifier: Apache-2.0
#include "simulator/statements.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/check.h"
#include "proxy/settings.h"
#include "sql/shape.h"

namespace pgcache::simulator {

namespace {

const std::vector<OutputColumn> kT1Columns = {{"id"}, {"grp"}, {"v"}, {"note", true}};
const std::vector<OutputColumn> kT2Columns = {{"id"}, {"t1_id"}, {"v"}};
const std::vector<OutputColumn> kT3Columns = {{"id"}, {"name", true}, {"v"}};

std::string literal(Number value, bool is_text) {
  if (!value) return "NULL";
  return is_text ? "'" + to_text(*value, true) + "'" : std::to_string(*value);
}

// Fills in the pattern's table and arguments.
Script fill(std::string_view pattern, std::string_view table, Command command,
            const std::vector<Number>& values, bool parameters) {
  Script script;
  for (std::size_t i = 0; i < values.size(); ++i) {
    Argument argument;
    argument.value = values[i];
    if (parameters) argument.parameter = static_cast<int>(i);
    command.arguments.push_back(argument);
  }
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      script.text.push_back(pattern[i]);
    } else if (pattern[++i] == 't') {
      script.text.append(table);
    } else {
      const auto at = static_cast<std::size_t>(pattern[i] - '0');
      script.text.append(parameters ? "$" + std::to_string(at + 1)
                                    : literal(values[at], takes_text(command, at)));
    }
  }
  script.commands.push_back(std::move(command));
  return script;
}

}  // namespace

int& Settings::of(Setting setting) {
  switch (setting) {
    case Setting::kSearchPath:
      return search_path;
    case Setting::kMonetary:
      return monetary;
    case Setting::kDateStyle:
      return date_style;
    case Setting::kMode:
      return mode;
  }
  return mode;
}

std::string_view setting_name(Setting setting) {
  constexpr std::string_view names[] = {"search_path", "lc_monetary", "DateStyle", "pgcache.mode"};
  return names[static_cast<std::size_t>(setting)];
}

std::string_view setting_text(Setting setting, int value) {
  constexpr std::string_view texts[][2] = {
      {"public", "alt, public"}, {"C", "de_DE"}, {"ISO", "German"}, {"on", "off"}};
  return texts[static_cast<std::size_t>(setting)][value];
}

Library::Library() {
  Command settings;
  settings.op = Op::kSettings;
  Command discard;
  discard.op = Op::kDiscardPlans;
  add(proxy::settings_query(), {settings});
  add("DISCARD PLANS", {discard});
  add("DISCARD PLANS; " + proxy::settings_query(), {discard, settings});
}

const Script* Library::find(std::string_view text) const {
  const auto it = scripts_.find(std::string(text));
  return it == scripts_.end() ? nullptr : &it->second;
}

const Script& Library::add(std::string text, std::vector<Command> commands) {
  const auto [it, added] = scripts_.try_emplace(text);
  if (added) it->second = {std::move(text), std::move(commands)};
  return it->second;
}

void Library::remember(const std::string& tag, const Call& call, const Settings& settings) {
  executions_.try_emplace(tag.substr(tag.find('#')), Execution{call, settings});
}

const Library::Execution* Library::recall(std::string_view tag) const {
  const std::size_t at = tag.find('#');
  if (at == std::string_view::npos) return nullptr;
  const auto it = executions_.find(std::string(tag.substr(at)));
  return it == executions_.end() ? nullptr : &it->second;
}

std::vector<const Library::Execution*> Library::recall_shape(std::string_view text) const {
  const std::string shape = sql::scan_shape(text, true).text;
  std::vector<const Execution*> out;
  for (const auto& [tag, execution] : executions_) {
    if (sql::scan_shape(execution.call.script->text, true).text == shape) out.push_back(&execution);
  }
  return out;
}

const ReadPattern& pattern(Read read) {
  static const std::array<ReadPattern, kReadCount> patterns = {{
      {"SELECT * FROM %t WHERE id = %0", {false}, kT1Columns},
      {"SELECT * FROM %t WHERE grp = %0", {false}, kT1Columns},
      {"SELECT * FROM %t WHERE id >= %0 AND id < %1", {false, false}, kT1Columns},
      {"SELECT * FROM %t WHERE id IN (%0, %1)", {false, false}, kT1Columns},
      {"SELECT * FROM %t WHERE id = %0 OR grp = %1", {false, false}, kT1Columns},
      {"SELECT id FROM %t WHERE NOT (grp = %0)", {false}, {{"id"}}},
      {"SELECT id FROM %t WHERE v IS NULL", {}, {{"id"}}},
      {"SELECT id, v FROM %t WHERE note = %0", {true}, {{"id"}, {"v"}}},
      {"SELECT count(*) FROM %t WHERE grp = %0", {false}, {{"count"}}},
      {"SELECT max(v) FROM %t WHERE grp = %0", {false}, {{"max"}}},
      {"SELECT id, v FROM %t ORDER BY id LIMIT 2", {}, {{"id"}, {"v"}}},
      {"SELECT * FROM %t", {}, kT1Columns},
      {"SELECT a.id, b.v FROM %t a JOIN t2 b ON b.t1_id = a.id WHERE a.grp = %0",
       {false},
       {{"id"}, {"v"}}},
      {"SELECT a.id, b.id FROM %t a LEFT JOIN t2 b ON b.t1_id = a.id WHERE a.id = %0",
       {false},
       {{"id"}, {"id"}}},
      {"SELECT a.id FROM %t a WHERE EXISTS (SELECT 1 FROM t2 b WHERE b.t1_id = a.id AND b.v = %0)",
       {false},
       {{"id"}}},
      {"SELECT id FROM %t WHERE grp = %0 UNION ALL SELECT id FROM t2 WHERE t1_id = %1",
       {false, false},
       {{"id"}}},
      {"SELECT * FROM t2 WHERE t1_id = %0", {false}, kT2Columns},
      {"SELECT * FROM t3 WHERE name = %0", {true}, kT3Columns},
      {"SELECT * FROM t3 WHERE v > %0 AND name <> %1", {false, true}, kT3Columns},
      {"SELECT * FROM t4 WHERE id = %0", {false}, {{"id"}, {"v"}}},
      {"SELECT id FROM %t WHERE id = %0 AND now() IS NOT NULL", {false}, {{"id"}}},
      {"SELECT * FROM missing WHERE id = %0", {false}, {{"id"}}},
  }};
  return patterns[static_cast<std::size_t>(read)];
}

Script make_read(Read read, bool qualified, const std::vector<Number>& values, bool parameters) {
  Command command;
  command.op = Op::kRead;
  command.read = read;
  command.qualified = qualified;
  return fill(pattern(read).text, qualified ? "public.t1" : "t1", std::move(command), values,
              parameters);
}

Script make_write(Op op, TableId table, bool qualified, const std::vector<Number>& values,
                  bool parameters) {
  Command command;
  command.op = op;
  command.table = table;
  command.qualified = qualified;
  const std::string name = (qualified ? "public." : "") + std::string(spec(table).name);
  std::string insert = "INSERT INTO %t VALUES (%0, %1, %2, %3)";
  insert.resize(insert.find(static_cast<char>('0' + spec(table).columns.size() - 1)) + 1);
  insert += ")";
  const std::string_view text = op == Op::kInsert        ? std::string_view(insert)
                                : op == Op::kUpdateValue ? "UPDATE %t SET v = %0 WHERE id = %1"
                                : op == Op::kUpdateGroup ? "UPDATE %t SET grp = %0 WHERE id = %1"
                                : op == Op::kUpdateMany  ? "UPDATE %t SET v = %0 WHERE grp = %1"
                                : op == Op::kUpdateKey   ? "UPDATE %t SET id = %0 WHERE id = %1"
                                : op == Op::kDelete      ? "DELETE FROM %t WHERE id = %0"
                                : op == Op::kTruncate    ? "TRUNCATE %t"
                                                         : "COPY %t FROM STDIN";
  return fill(text, name, std::move(command), values, parameters);
}

bool takes_text(const Command& command, std::size_t argument) {
  if (command.op == Op::kRead) return pattern(command.read).text_arguments[argument];
  return command.op == Op::kInsert && spec(command.table).columns[argument].is_text;
}

std::string encode_binary(int value) {
  std::string bytes;
  put32(bytes, static_cast<std::uint32_t>(value));
  return bytes;
}

std::vector<Number> argument_values(const Command& command,
                                    const std::vector<BoundParameter>& parameters) {
  std::vector<Number> values;
  for (std::size_t i = 0; i < command.arguments.size(); ++i) {
    const Argument& argument = command.arguments[i];
    if (argument.parameter < 0) {
      values.push_back(argument.value);
      continue;
    }
    const BoundParameter& bound = parameters.at(static_cast<std::size_t>(argument.parameter));
    if (!bound.bytes) {
      values.push_back(std::nullopt);
    } else if (takes_text(command, i)) {
      values.push_back(std::atoi(bound.bytes->c_str() + 1));
    } else if (bound.binary) {
      values.push_back(static_cast<int>(get32(*bound.bytes)));
    } else {
      values.push_back(std::atoi(bound.bytes->c_str()));
    }
  }
  return values;
}

TableId resolve(const Command& command, const Settings& settings) {
  const bool shadowed = !command.qualified && settings.search_path == 1;
  return command.table == TableId::kT1 && shadowed ? TableId::kAltT1 : command.table;
}

std::vector<OutputColumn> columns_of(const Command& command) {
  if (command.op == Op::kRead) return pattern(command.read).columns;
  if (command.op == Op::kSetByFunction) return {{"set_config", true}};
  if (command.op == Op::kSettings) {
    std::vector<OutputColumn> columns(proxy::settings_column_count());
    for (OutputColumn& column : columns) column = {"current_setting", true};
    return columns;
  }
  return {};
}

WriteResult write(const Command& command, const std::vector<Number>& values,
                  const Settings& settings, Origin& origin, Tx& tx, const View& view) {
  const TableId table = resolve(command, settings);
  const std::size_t value_column = table == TableId::kT4 ? 1 : 2;
  const auto where = [&values](std::size_t column, std::size_t argument) {
    return [column, wanted = values.at(argument)](const Row& row) {
      return wanted && row[column] == wanted;
    };
  };
  const auto set = [&values](std::size_t column) {
    return [column, value = values.at(0)](Row& row) { row[column] = value; };
  };
  switch (command.op) {
    case Op::kInsert: {
      Row row;
      std::copy(values.begin(), values.end(), row.begin());
      return origin.insert(tx, table, row, view);
    }
    case Op::kUpdateValue:
      return origin.update(tx, table, view, where(0, 1), set(value_column));
    case Op::kUpdateGroup:
      return origin.update(tx, table, view, where(0, 1), set(1));
    case Op::kUpdateMany:
      return origin.update(tx, table, view, where(1, 1), set(value_column));
    case Op::kUpdateKey:
      return origin.update(tx, table, view, where(0, 1), set(0));
    case Op::kDelete:
      return origin.remove(tx, table, view, where(0, 0));
    case Op::kTruncate:
      return origin.truncate(tx, table);
    default:
      CHECK(false);
  }
  return {};
}

std::string row_frame(const std::vector<OutputColumn>& columns, const Row& row,
                      const std::vector<int>& formats, const Settings& settings) {
  std::vector<std::optional<std::string>> cells;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const int format = formats.empty() ? 0 : formats.size() == 1 ? formats[0] : formats[i];
    if (!row[i]) {
      cells.emplace_back();
    } else if (format == 1 && !columns[i].is_text) {
      cells.push_back(encode_binary(*row[i]));
    } else {
      std::string text = to_text(*row[i], columns[i].is_text);
      // Text is what it is under any settings.
      if (settings.monetary != 0 && !columns[i].is_text) text += "$";
      if (settings.date_style != 0 && !columns[i].is_text) text += ".";
      cells.push_back(std::move(text));
    }
  }
  return data_row(cells);
}

}  // namespace pgcache::simulator
