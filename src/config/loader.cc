// SPDX-License-Identifier: Apache-2.0
// File, environment and command line → Config.
#include "config/loader.h"

#include <toml++/toml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "config/options.h"
#include "config/values.h"

extern char** environ;  // NOLINT: declared by POSIX, in no header

namespace pgcache::config {
namespace {

constexpr std::string_view kVariablePrefix = "PGCACHE_";
constexpr std::string_view kFileVariable = "PGCACHE_CONFIG";
constexpr std::uintmax_t kFileBytesMax = 1u << 20;
constexpr std::size_t kNearDistance = 2;  // so like a known name that it must be a slip
constexpr std::size_t kNearLengthMin = 5;

std::string dashed(std::string_view key) {
  std::string out(key);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

std::string underscored(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

std::string upper(std::string_view key) {
  std::string out(key);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string lower(std::string_view key) {
  std::string out(key);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Error bad_setting(const std::string& where, const std::string& name, std::string_view value,
                  const Error& why) {
  return Error{where + ": " + name + " = \"" + std::string(value) + "\" is not valid; " +
               why.message};
}

// "unknown option X; did you mean Y?" with both in the spelling of the place.
Error unknown_name(const std::string& where, const std::string& name, const std::string& nearest) {
  return Error{where + ": unknown option " + name +
               (nearest.empty() ? "; see pgcache --help" : "; did you mean " + nearest + "?")};
}

// --- file

// The text of a scalar as an option takes it; nothing for dates and tables.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) {  // a version
    std::ostringstream text;
    text << number->get();
    return text.str();
  }
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

std::string node_text(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& n) { out << n; });
  return out.str();
}

Status apply_toml_array(const Option& option, const toml::array& array, Config& config) {
  std::vector<std::string> items;
  for (const toml::node& element : array) {
    const auto* text = element.as_string();
    if (text == nullptr) return Error{"allowed: " + allowed_text(option)};
    items.push_back(text->get());
  }
  return set_option_list(option, std::move(items), config);
}

Status apply_toml_value(const Option& option, const toml::node& node, Config& config) {
  if (const auto* array = node.as_array()) return apply_toml_array(option, *array, config);
  const std::optional<std::string> text = scalar_text(node);
  if (!text) return Error{"allowed: " + allowed_text(option)};
  return set_option(option, *text, config);
}

Status apply_table(const toml::table& table, const std::string& name, Config& config) {
  for (const auto& [key, node] : table) {
    const std::string where = name + ":" + std::to_string(key.source().begin.line);
    const std::string key_text(key.str());
    const Option* option = find_option(key_text);
    if (option == nullptr) return unknown_name(where, key_text, nearest_key(key_text));
    if (const Status set = apply_toml_value(*option, node, config); !set.ok()) {
      const std::optional<std::string> text = scalar_text(node);
      return bad_setting(where, key_text, text ? *text : node_text(node), set.error());
    }
  }
  return {};
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{"configuration file " + path + ": " + std::strerror(errno)};
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return Error{"configuration file " + path + " cannot be read"};
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) {
    return Error{"configuration file " + path + " is larger than 1MiB"};
  }
  return text;
}

// --- environment

Status apply_environment(const Environment& environment, Config& config,
                         std::vector<std::string>& warnings) {
  for (const auto& [variable, value] : environment) {
    if (!variable.starts_with(kVariablePrefix) || variable == kFileVariable) continue;
    const std::string key = lower(variable.substr(kVariablePrefix.size()));
    if (const Option* option = find_option(key)) {
      if (const Status set = set_option(*option, value, config); !set.ok()) {
        return bad_setting("environment", variable, value, set.error());
      }
      continue;
    }
    // Others put variables into the environment too (a Kubernetes service called pgcache gives
    // PGCACHE_PORT): only what looks like a slip of the pen is an error.
    const std::string nearest = nearest_key(key);
    const std::string nearest_variable = std::string(kVariablePrefix) + upper(nearest);
    if (!nearest.empty() && key.size() >= kNearLengthMin &&
        edit_distance(key, nearest) <= kNearDistance) {
      return unknown_name("environment", variable, nearest_variable);
    }
    warnings.push_back("environment: " + variable + " is no option of pgcache and is ignored");
  }
  return {};
}

// --- command line

constexpr std::pair<const char*, const char*> kCommands[] = {
    {"run", "Serve clients (what is done when no command is given)"},
    {"check", "Say what the origin lacks, and the command that mends it"},
    {"explain", "Say whether the results of a query are cached, and which changes drop them"},
    {"cleanup", "Remove what pgcache made on the origin: slot, publication, triggers"}};

// What CLI11 collected: texts by option, in the order of the table.
struct Arguments {
  std::vector<std::vector<std::string>> values;
  std::vector<std::string> sets;
  std::string file;
  bool version = false;
};

void describe_options(CLI::App& app, Arguments& arguments) {
  const Config defaults;
  arguments.values.resize(options().size());
  for (std::size_t i = 0; i < options().size(); ++i) {
    const Option& option = options()[i];
    const std::string text = option_text(option, defaults);
    CLI::Option* added =
        app.add_option("--" + dashed(option.key), arguments.values[i],
                       std::string(option.help) + (text.empty() ? "" : " [" + text + "]"));
    added->type_name("")->allow_extra_args(false)->take_all();
    if (option.type == OptionType::kSwitch) {
      added->expected(0, 1);  // --live alone means true
    } else {
      added->expected(1);
    }
  }
  app.add_option("--set", arguments.sets, "KEY=VALUE: any option by its name in the file")
      ->type_name("")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("-c,--config", arguments.file, "Configuration file (TOML)")
      ->type_name("FILE")
      ->take_last();
  app.add_flag("--version", arguments.version, "Print the version and exit");
}

// With the default help of a command switched off, the program's help shows the options of explain
// as well.
void describe_explain(CLI::App& command, ExplainArguments& arguments, std::string& search_path) {
  command.add_option("QUERY", arguments.query, "The statement, with $1, $2 ... as parameters")
      ->required()
      ->type_name("");
  command
      .add_option("--types", arguments.types,
                  "Types of its parameters, separated by commas: int4,text; empty: inferred")
      ->type_name("");
  command
      .add_option("--search-path", search_path,
                  "Schemas in which names are looked up, instead of the connecting role's own")
      ->type_name("");
  command.add_flag("--json", arguments.json, "JSON instead of text");
}

Status apply_sets(const std::vector<std::string>& sets, Config& config) {
  for (const std::string& set : sets) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos) {
      return Error{"command line: --set \"" + set + "\" is not valid; allowed: KEY=VALUE"};
    }
    const std::string key = underscored(set.substr(0, equals));
    const std::string value = set.substr(equals + 1);
    const Option* option = find_option(key);
    if (option == nullptr) return unknown_name("command line", "--set " + key, nearest_key(key));
    if (const Status done = set_option(*option, value, config); !done.ok()) {
      return bad_setting("command line", "--set " + key, value, done.error());
    }
  }
  return {};
}

// Given twice, the last one holds; lists add up.
std::string argument_text(const Option& option, const std::vector<std::string>& values) {
  if (option.type == OptionType::kSwitch && (values.empty() || values.back().empty()))
    return "true";
  if (option.type != OptionType::kTables && option.type != OptionType::kAddresses) {
    return values.back();
  }
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ",") + value;
  return text;
}

Status apply_arguments(const CLI::App& app, const Arguments& arguments, Config& config) {
  for (std::size_t i = 0; i < options().size(); ++i) {
    const Option& option = options()[i];
    const std::string name = "--" + dashed(option.key);
    if (app.get_option(name)->count() == 0) continue;
    const std::string text = argument_text(option, arguments.values[i]);
    if (const Status set = set_option(option, text, config); !set.ok()) {
      return bad_setting("command line", name, text, set.error());
    }
  }
  return apply_sets(arguments.sets, config);
}

Status reject_extras(const CLI::App& app) {
  std::vector<std::string> extras = app.remaining(true);
  std::erase(extras, "--");  // ends the options
  if (extras.empty()) return {};
  const std::string& first = extras.front();
  if (!first.starts_with("--")) {
    return Error{"command line: unexpected \"" + first +
                 "\"; allowed: run, check, explain, cleanup, and options (pgcache --help)"};
  }
  const std::string name = first.substr(0, first.find('='));
  const std::string nearest = nearest_key(underscored(name.substr(2)));
  return unknown_name("command line", name, nearest.empty() ? "" : "--" + dashed(nearest));
}

Result<Config> load_config(const CLI::App& app, const Arguments& arguments,
                           const Environment& environment, std::vector<std::string>& warnings) {
  Config config;
  std::string file = arguments.file;
  if (const auto named = environment.find(std::string(kFileVariable));
      file.empty() && named != environment.end()) {
    file = named->second;
  }
  if (!file.empty()) {
    const Result<std::string> text = read_file(file);
    if (!text.ok()) return text.error();
    Result<Config> applied = apply_toml(text.value(), file, std::move(config));
    if (!applied.ok()) return applied.error();
    config = std::move(applied).value();
  }
  if (const Status set = apply_environment(environment, config, warnings); !set.ok()) {
    return set.error();
  }
  if (const Status set = apply_arguments(app, arguments, config); !set.ok()) return set.error();
  if (const Status valid = validate(config); !valid.ok()) return valid.error();
  return config;
}

}  // namespace

Environment read_environment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return environment;
}

Result<Config> apply_toml(std::string_view text, const std::string& name, Config base) {
  try {
    const toml::table table = toml::parse(text, name);
    if (const Status applied = apply_table(table, name, base); !applied.ok()) {
      return applied.error();
    }
  } catch (const toml::parse_error& error) {
    return Error{name + ":" + std::to_string(error.source().begin.line) + ": " +
                 std::string(error.description())};
  }
  return base;
}

Result<CommandLine> load_command_line(int argc, const char* const* argv,
                                      const Environment& environment) {
  CLI::App app("pgcache: a PostgreSQL proxy that answers repeated reads from memory", "pgcache");
  Arguments arguments;
  describe_options(app, arguments);
  app.allow_extras();
  app.require_subcommand(0, 1);
  CommandLine line;
  std::string search_path;
  for (const auto& [name, help] : kCommands) {
    CLI::App* command = app.add_subcommand(name, help);
    command->fallthrough()->allow_extras();
    command->set_help_flag();  // none of its own: the program's is shown
    if (std::string_view(name) == "explain") describe_explain(*command, line.explain, search_path);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.command = CommandLine::kHelp;
    // app.help() would show the named command's part alone.
    line.text_to_print =
        app.get_formatter()->make_help(&app, "pgcache", CLI::AppFormatMode::Normal);
    return line;
  } catch (const CLI::ParseError& error) {
    return Error{std::string("command line: ") + error.what()};
  }
  if (const Status clean = reject_extras(app); !clean.ok()) return clean.error();
  if (arguments.version) {
    line.command = CommandLine::kVersion;
    line.text_to_print = "pgcache " PGCACHE_VERSION "\n";
    return line;
  }
  if (app.got_subcommand("check")) line.command = CommandLine::kCheck;
  if (app.got_subcommand("explain")) {
    line.command = CommandLine::kExplain;
    if (app.get_subcommand("explain")->get_option("--search-path")->count() > 0) {
      line.explain.search_path = search_path;
    }
  }
  if (app.got_subcommand("cleanup")) line.command = CommandLine::kCleanup;
  Result<Config> config = load_config(app, arguments, environment, line.warnings);
  if (!config.ok()) return config.error();
  line.config = std::move(config).value();
  return line;
}

std::string dump_config_table() {
  const Config defaults;
  std::string out = "| option | default | allowed | meaning |\n|---|---|---|---|\n";
  for (const Option& option : options()) {
    const std::string text = option_text(option, defaults);
    out += "| `" + std::string(option.key) + "` | " + (text.empty() ? "" : "`" + text + "`") +
           " | " + allowed_text(option) + " | " + std::string(option.help) + " |\n";
  }
  return out;
}

}  // namespace pgcache::config
