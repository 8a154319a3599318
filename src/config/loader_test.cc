// SPDX-License-Identifier: Apache-2.0
#include "config/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "config/options.h"

namespace pgcache::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<CommandLine> load(std::vector<const char*> arguments, const Environment& environment = {}) {
  arguments.insert(arguments.begin(), "pgcache");
  return load_command_line(static_cast<int>(arguments.size()), arguments.data(), environment);
}

std::string error_of(std::vector<const char*> arguments, const Environment& environment = {}) {
  const Result<CommandLine> line = load(std::move(arguments), environment);
  return line.ok() ? "no error" : line.error().message;
}

// A file of its own for one test, removed at its end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text)
      : path_(::testing::TempDir() + "pgcache_loader_" + std::to_string(::getpid()) + "_" +
              std::to_string(++count_) + ".toml") {
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const char* path() const { return path_.c_str(); }

 private:
  static inline int count_ = 0;
  std::string path_;
};

TEST(Options, EveryDefaultIsAllowedAndReadsBackAsItself) {
  const Config defaults;
  for (const Option& option : options()) {
    const std::string text = option_text(option, defaults);
    Config config;
    if (option.type != OptionType::kText || !text.empty()) {
      const Status set = set_option(option, text, config);
      EXPECT_TRUE(set.ok()) << option.key << " = " << text;
    }
    EXPECT_EQ(option_text(option, config), text) << option.key;
    EXPECT_FALSE(option.help.empty()) << option.key;
  }
  EXPECT_TRUE(validate(defaults).ok());
}

TEST(Options, KeysAreUniqueAndWrittenAsMembers) {
  std::set<std::string_view> keys;
  for (const Option& option : options()) {
    EXPECT_TRUE(keys.insert(option.key).second) << option.key;
    EXPECT_EQ(option.key.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
  }
  EXPECT_EQ(keys.size(), 51u);  // as many as Config has members
}

TEST(Options, RangesHold) {
  Config config;
  for (const Option& option : options()) {
    if (option.max == 0 || option.type == OptionType::kText) continue;
    const std::string unit = option.type == OptionType::kDuration ? "ms" : "";
    EXPECT_TRUE(set_option(option, std::to_string(option.min) + unit, config).ok()) << option.key;
    EXPECT_TRUE(set_option(option, std::to_string(option.max) + unit, config).ok()) << option.key;
    EXPECT_FALSE(set_option(option, std::to_string(option.min - 1) + unit, config).ok())
        << option.key;
    EXPECT_FALSE(set_option(option, std::to_string(option.max + 1) + unit, config).ok())
        << option.key;
    EXPECT_FALSE(set_option(option, "9999999999999999999999" + unit, config).ok()) << option.key;
  }
}

TEST(CommandLine, DefaultsWithoutAnything) {
  const Result<CommandLine> line = load({});
  ASSERT_TRUE(line.ok());
  EXPECT_EQ(line->command, CommandLine::kRun);
  EXPECT_EQ(line->config.origin, "");
  EXPECT_EQ(line->config.listen.at(0).port, 6432);
  EXPECT_TRUE(line->warnings.empty());
}

TEST(CommandLine, Commands) {
  EXPECT_EQ(load({"run"})->command, CommandLine::kRun);
  EXPECT_EQ(load({"check"})->command, CommandLine::kCheck);
  EXPECT_EQ(load({"cleanup", "--origin", "x"})->command, CommandLine::kCleanup);
  EXPECT_EQ(load({"--origin", "x", "check"})->command, CommandLine::kCheck);
  EXPECT_EQ(load({"--live", "check"})->command, CommandLine::kCheck);
  const Result<CommandLine> version = load({"--version"});
  ASSERT_TRUE(version.ok());
  EXPECT_EQ(version->command, CommandLine::kVersion);
  EXPECT_THAT(version->text_to_print, HasSubstr("pgcache "));
}

TEST(CommandLine, HelpNamesEveryOption) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"--help"}, {"-h"}, {"run", "--help"}}) {
    const Result<CommandLine> help = load(arguments);
    ASSERT_TRUE(help.ok()) << help.error().message;
    EXPECT_EQ(help->command, CommandLine::kHelp);
    EXPECT_THAT(help->text_to_print, AllOf(HasSubstr("--cache-size"), HasSubstr("--max-staleness"),
                                           HasSubstr("--set"), HasSubstr("cleanup")));
  }
}

TEST(CommandLine, OptionsOfEveryType) {
  const Result<CommandLine> line = load({"run",
                                         "--origin",
                                         "postgresql://h/db",
                                         "--listen",
                                         "[::1]:7000",
                                         "--consistency=strict",
                                         "--workers",
                                         "3",
                                         "--cache-size",
                                         "2GiB",
                                         "--max-staleness",
                                         "2s",
                                         "--deny-tables",
                                         "public.a,public.b",
                                         "--deny-tables",
                                         "x.*",
                                         "--cache",
                                         "false",
                                         "--live",
                                         "--slot",
                                         "s_1"});
  ASSERT_TRUE(line.ok()) << line.error().message;
  const Config& config = line->config;
  EXPECT_EQ(config.origin, "postgresql://h/db");
  ASSERT_EQ(config.listen.size(), 1u);
  EXPECT_EQ(config.listen[0].host, "::1");
  EXPECT_EQ(config.listen[0].port, 7000);
  EXPECT_EQ(config.consistency, Consistency::kStrict);
  EXPECT_EQ(config.workers, 3);
  EXPECT_EQ(config.cache_size, 2ull << 30);
  EXPECT_EQ(config.max_staleness.count(), 2000);
  EXPECT_THAT(config.deny_tables, ElementsAre("public.a", "public.b", "x.*"));
  EXPECT_FALSE(config.cache);
  EXPECT_TRUE(config.live);
  EXPECT_EQ(config.slot, "s_1");
}

TEST(CommandLine, OriginMayHoldSpacesAndEquals) {
  const Result<CommandLine> line = load({"--origin", "host=/tmp user=me application_name=a,b"});
  ASSERT_TRUE(line.ok()) << line.error().message;
  EXPECT_EQ(line->config.origin, "host=/tmp user=me application_name=a,b");
}

TEST(CommandLine, LastOneHolds) {
  EXPECT_EQ(load({"--workers", "1", "--workers", "2"})->config.workers, 2);
  EXPECT_EQ(load({"--workers", "1", "--set", "workers=5"})->config.workers, 5);
}

TEST(CommandLine, SwitchesByEverySpelling) {
  EXPECT_TRUE(load({"--live"})->config.live);
  EXPECT_TRUE(load({"--live=true"})->config.live);
  EXPECT_FALSE(load({"--live=false"})->config.live);
  EXPECT_FALSE(load({"--live", "off"})->config.live);
  EXPECT_TRUE(load({"--keep-slot", "--live"})->config.keep_slot);
}

TEST(CommandLine, ErrorsSayWhereWhatAndWhatIsAllowed) {
  EXPECT_THAT(error_of({"--workers", "many"}),
              AllOf(HasSubstr("command line"), HasSubstr("--workers"), HasSubstr("\"many\""),
                    HasSubstr("a number from 0 to 1024")));
  EXPECT_THAT(error_of({"--cache-size", "1QB"}),
              AllOf(HasSubstr("\"1QB\""), HasSubstr("a size from 1MiB to 64TiB")));
  EXPECT_THAT(error_of({"--consistency", "strong"}), HasSubstr("one of eventual, session, strict"));
  EXPECT_THAT(error_of({"--listen", "6432"}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(error_of({"--live=maybe"}),
              AllOf(HasSubstr("\"maybe\""), HasSubstr("true or false")));
  EXPECT_THAT(error_of({"--slot", "My-Slot"}), HasSubstr("lower-case"));
  EXPECT_THAT(error_of({"--publication", ""}), HasSubstr("a text of 1 to 63 bytes"));
  EXPECT_EQ(error_of({"--publication", "My Publication"}), "no error");
  EXPECT_THAT(error_of({"--deny-tables", "users"}),
              AllOf(HasSubstr("\"users\""), HasSubstr("schema.table")));
  EXPECT_THAT(error_of({"--heartbeat-interval", "100"}), HasSubstr("such as 250ms"));
  EXPECT_THAT(error_of({"--set", "workers"}), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(error_of({"--set", "workers=x"}), AllOf(HasSubstr("workers"), HasSubstr("\"x\"")));
}

TEST(CommandLine, UnknownOptionsSuggestTheNearest) {
  EXPECT_THAT(error_of({"--cache-sise", "1GiB"}),
              AllOf(HasSubstr("--cache-sise"), HasSubstr("did you mean --cache-size?")));
  EXPECT_THAT(error_of({"run", "--worker=1"}), HasSubstr("did you mean --workers?"));
  EXPECT_THAT(error_of({"--set", "lissten=a:1"}), HasSubstr("did you mean listen?"));
  EXPECT_THAT(error_of({"--qqqqqqqqqqqqqqqqqq"}), HasSubstr("see pgcache --help"));
  EXPECT_THAT(error_of({"serve"}),
              AllOf(HasSubstr("\"serve\""), HasSubstr("run, check, explain, cleanup")));
  EXPECT_THAT(error_of({"--workers"}), HasSubstr("command line"));
}

TEST(CommandLine, ExplainTakesAQuery) {
  const Result<CommandLine> plain = load({"explain", "SELECT 1", "--origin", "host=h"});
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  EXPECT_EQ(plain->command, CommandLine::kExplain);
  EXPECT_EQ(plain->config.origin, "host=h");
  EXPECT_EQ(plain->explain.query, "SELECT 1");
  EXPECT_EQ(plain->explain.types, "");
  EXPECT_FALSE(plain->explain.search_path.has_value());
  EXPECT_FALSE(plain->explain.json);
  const Result<CommandLine> all =
      load({"explain", "--json", "--types", "int4,text", "--search-path", "", "--origin", "host=h",
            "SELECT $1, $2"});
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all->explain.query, "SELECT $1, $2");
  EXPECT_EQ(all->explain.types, "int4,text");
  EXPECT_EQ(all->explain.search_path, "");
  EXPECT_TRUE(all->explain.json);
  EXPECT_EQ(load({"explain", "--", "-- a comment\nSELECT 1"})->explain.query,
            "-- a comment\nSELECT 1");
  EXPECT_THAT(error_of({"explain"}), HasSubstr("QUERY"));
  EXPECT_THAT(error_of({"explain", "SELECT 1", "SELECT 2"}), HasSubstr("SELECT 2"));
  EXPECT_THAT(error_of({"run", "--json"}), HasSubstr("--json"));
}

TEST(CommandLine, ReplicaIdentityIsOnlyRaisedInAManagedPublication) {
  EXPECT_EQ(load({})->config.replica_identity, "keep");
  EXPECT_EQ(load({"--replica-identity", "full"})->config.replica_identity, "full");
  EXPECT_THAT(error_of({"--replica-identity", "FULL"}), HasSubstr("one of keep, full"));
  EXPECT_THAT(error_of({"--replica-identity", "full", "--manage-publication", "false"}),
              HasSubstr("needs manage_publication"));
}

TEST(Environment_, OverridesDefaultsAndIsOverridden) {
  const Environment environment = {{"PGCACHE_WORKERS", "7"},
                                   {"PGCACHE_CACHE_SIZE", "64MiB"},
                                   {"PGCACHE_DENY_TABLES", "a.b, c.*"},
                                   {"PGHOST", "/tmp"}};
  const Result<CommandLine> line = load({"--workers", "2"}, environment);
  ASSERT_TRUE(line.ok()) << line.error().message;
  EXPECT_EQ(line->config.workers, 2);
  EXPECT_EQ(line->config.cache_size, 64ull << 20);
  EXPECT_THAT(line->config.deny_tables, ElementsAre("a.b", "c.*"));
  EXPECT_TRUE(line->warnings.empty());
}

TEST(Environment_, Errors) {
  EXPECT_THAT(error_of({}, {{"PGCACHE_WORKERS", "x"}}),
              AllOf(HasSubstr("environment"), HasSubstr("PGCACHE_WORKERS"), HasSubstr("\"x\"")));
  EXPECT_THAT(error_of({}, {{"PGCACHE_DENY_TABELS", "a.b"}}),
              HasSubstr("did you mean PGCACHE_DENY_TABLES?"));
}

TEST(Environment_, ForeignVariablesAreOnlyWarnedOf) {
  const Result<CommandLine> line =
      load({}, {{"PGCACHE_PORT_5432_TCP", "tcp://10.0.0.1:5432"}, {"PGCACHE_PORT", "x"}});
  ASSERT_TRUE(line.ok()) << line.error().message;
  EXPECT_EQ(line->warnings.size(), 2u);
}

TEST(Environment_, TheProcessOwn) {
  ::setenv("PGCACHE_TEST_VARIABLE", "a=b", 1);
  EXPECT_EQ(read_environment().at("PGCACHE_TEST_VARIABLE"), "a=b");
  ::unsetenv("PGCACHE_TEST_VARIABLE");
}

TEST(File, IsOverriddenByEnvironmentAndCommandLine) {
  const TemporaryFile file(
      "workers = 1\ncache_size = \"2GiB\"\nmax_shapes = 5\nlive = true\n"
      "deny_tables = [\"a.b\", \"c.*\"]\nallow_tables = \"d.e, f.g\"\nlisten = '0.0.0.0:1'\n");
  const Result<CommandLine> line = load({"-c", file.path(), "--max-shapes", "9"},
                                        {{"PGCACHE_WORKERS", "2"}, {"PGCACHE_MAX_SHAPES", "8"}});
  ASSERT_TRUE(line.ok()) << line.error().message;
  EXPECT_EQ(line->config.workers, 2);
  EXPECT_EQ(line->config.cache_size, 2ull << 30);
  EXPECT_EQ(line->config.max_shapes, 9u);
  EXPECT_TRUE(line->config.live);
  EXPECT_THAT(line->config.deny_tables, ElementsAre("a.b", "c.*"));
  EXPECT_THAT(line->config.allow_tables, ElementsAre("d.e", "f.g"));
  EXPECT_EQ(line->config.listen.at(0).host, "0.0.0.0");
}

TEST(File, IsNamedByTheEnvironmentToo) {
  const TemporaryFile one("workers = 11\n");
  const TemporaryFile two("workers = 12\n");
  EXPECT_EQ(load({}, {{"PGCACHE_CONFIG", one.path()}})->config.workers, 11);
  EXPECT_EQ(load({"-c", two.path()}, {{"PGCACHE_CONFIG", one.path()}})->config.workers, 12);
}

TEST(File, ErrorsNameTheLine) {
  const auto toml_error = [](const char* text) {
    const Result<Config> config = apply_toml(text, "p.toml", {});
    return config.ok() ? std::string("no error") : config.error().message;
  };
  EXPECT_THAT(toml_error("\n\nworkers = \"x\"\n"),
              AllOf(HasSubstr("p.toml:3:"), HasSubstr("workers"), HasSubstr("\"x\"")));
  EXPECT_THAT(toml_error("live = true\ncache_sise = 1\n"),
              AllOf(HasSubstr("p.toml:2:"), HasSubstr("did you mean cache_size?")));
  EXPECT_THAT(toml_error("tls_min_version = 1.1\n"), HasSubstr("one of 1.2, 1.3"));
  EXPECT_EQ(toml_error("tls_min_version = 1.3\n"), "no error");
  EXPECT_THAT(toml_error("workers = 1.5\n"), AllOf(HasSubstr("p.toml:1:"), HasSubstr("1.5")));
  EXPECT_THAT(toml_error("workers = [1]\n"), HasSubstr("p.toml:1:"));
  EXPECT_THAT(toml_error("deny_tables = [\"a.b\", 3]\n"), HasSubstr("schema.table"));
  EXPECT_THAT(toml_error("deny_tables = [\"a\"]\n"), HasSubstr("\"a\""));
  EXPECT_THAT(toml_error("[listen]\nhost = \"x\"\n"), HasSubstr("listen"));
  EXPECT_THAT(toml_error("[cache_limits]\nx = 1\n"), HasSubstr("unknown option cache_limits"));
  EXPECT_THAT(toml_error("workers = \n"), HasSubstr("p.toml:1:"));
  EXPECT_THAT(toml_error("workers = 1\nworkers = 2\n"), HasSubstr("p.toml:2:"));
  EXPECT_THAT(toml_error("\xff = 1"), HasSubstr("p.toml:"));
}

TEST(File, MissingOrUnreadable) {
  EXPECT_THAT(error_of({"-c", "/nonexistent/p.toml"}),
              AllOf(HasSubstr("/nonexistent/p.toml"), HasSubstr("No such file")));
  EXPECT_THAT(error_of({"-c", "/"}), HasSubstr("configuration file /"));
}

TEST(Validate, RulesBetweenOptions) {
  EXPECT_THAT(error_of({"--heartbeat-interval", "1s"}), HasSubstr("shorter than max_staleness"));
  EXPECT_THAT(error_of({"--cache-size", "1MiB"}), HasSubstr("max_result_size"));
  EXPECT_THAT(error_of({"--admin", "127.0.0.1:6432"}), HasSubstr("same address"));
  EXPECT_EQ(error_of({"--admin", "127.0.0.1:0", "--listen", "127.0.0.1:0"}), "no error");
}

TEST(CommandLine, SeveralAddresses) {
  const Result<CommandLine> line =
      load({"--listen", "127.0.0.1:1,[::1]:2", "--listen", "/run/a, /run/b:7000"});
  ASSERT_TRUE(line.ok()) << line.error().message;
  const std::vector<HostPort>& listen = line->config.listen;
  ASSERT_EQ(listen.size(), 4u);
  EXPECT_EQ(listen[1].host, "::1");
  EXPECT_EQ(listen[2].host, "/run/a");
  EXPECT_EQ(listen[2].port, 0);
  EXPECT_EQ(listen[3].host, "/run/b");
  EXPECT_EQ(listen[3].port, 7000);
  EXPECT_EQ(option_text(*find_option("listen"), line->config),
            "127.0.0.1:1,[::1]:2,/run/a,/run/b:7000");
  for (const char* bad : {"", ",", "127.0.0.1:1,6432", "/run/a:0", "/run/a:x", "::1:6432"}) {
    EXPECT_THAT(error_of({"--listen", bad}), HasSubstr("HOST:PORT")) << bad;
  }
  EXPECT_TRUE(apply_toml("listen = [\"127.0.0.1:1\", \"/run/a\"]\n", "p.toml", {}).ok());
  EXPECT_THAT(error_of({"--listen", "127.0.0.1:6433,127.0.0.1:6432"}), HasSubstr("same address"));
}

TEST(Validate, CertificateAndKeyGoTogether) {
  EXPECT_THAT(error_of({"--tls-cert", "c"}), HasSubstr("go together"));
  EXPECT_THAT(error_of({"--tls-key", "k"}), HasSubstr("go together"));
  EXPECT_THAT(error_of({"--tls-required"}), HasSubstr("tls_required = true needs"));
  EXPECT_EQ(error_of({"--tls-cert", "c", "--tls-key", "k", "--tls-required"}), "no error");
  EXPECT_THAT(error_of({"--tls-cert", "c", "--tls-key", "k", "--tls-client-auth", "require"}),
              HasSubstr("needs tls_ca"));
  EXPECT_EQ(error_of({"--tls-cert", "c", "--tls-key", "k", "--tls-client-auth", "optional",
                      "--tls-ca", "a"}),
            "no error");
  EXPECT_THAT(error_of({"--tls-min-version", "1.1"}), HasSubstr("one of 1.2, 1.3"));
}

TEST(Documentation, TableHoldsEveryOption) {
  const std::string table = dump_config_table();
  for (const Option& option : options()) {
    EXPECT_THAT(table, HasSubstr("| `" + std::string(option.key) + "` |"));
  }
}

}  // namespace
}  // namespace pgcache::config
