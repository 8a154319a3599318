// SPDX-License-Identifier: Apache-2.0
// `pgcache explain` and /explain: what they say is what happens to the query.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "stack.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

std::string in_quotes(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string url_encoded(const std::string& text) {
  std::string out;
  for (const char c : text) {
    std::array<char, 8> hex{};
    std::snprintf(hex.data(), hex.size(), "%%%02X", static_cast<unsigned char>(c));
    out += hex.data();
  }
  return out;
}

class Explain : public SharedStack<Explain> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE SCHEMA shop;
      CREATE TABLE items (id int PRIMARY KEY, kind text, price numeric, note text);
      INSERT INTO items SELECT i, 'k' || i % 3, i, 'n' FROM generate_series(1, 9) i;
      CREATE TABLE shop.items (id int PRIMARY KEY, kind text, stock int);
      CREATE TABLE whole (id int PRIMARY KEY, v text);
      ALTER TABLE whole REPLICA IDENTITY FULL;
      CREATE TABLE keyless (v text);
      CREATE TABLE hidden (id int PRIMARY KEY);
      CREATE ROLE seller LOGIN; GRANT USAGE ON SCHEMA shop TO seller;
      ALTER ROLE seller SET search_path = shop, public;)";
    options.arguments = {"--deny-tables", "public.hidden"};
    return options;
  }

 protected:
  Outcome run(const std::string& query, const std::string& more = {},
              const std::string& user = "postgres") {
    return run_command("env -u PGCACHE_BINARY -u PGCACHE_PG_BIN '" +
                       std::string(std::getenv("PGCACHE_BINARY")) + "' explain " +
                       in_quotes(query) + " --origin " +
                       in_quotes(stack().origin().dsn("postgres", user)) + " " + more);
  }
  HttpAnswer page(const std::string& query, const std::string& more = {}) {
    return stack().proxy().http("/explain?q=" + url_encoded(query) + more);
  }
};

TEST_F(Explain, SaysWhatDropsAResult) {
  const Outcome outcome =
      run("SELECT note FROM items WHERE kind = $1 AND price >= 3 AND id IN (1, 2)");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  for (const char* part :
       {"cacheable   yes\n", "reads public.items\n", "kind = $1", "price >= ?1", "id IN (?2, ?3)",
        "$1 (text)", "identity    default (id)", "former kind, price", "DateStyle"}) {
    EXPECT_TRUE(contains(outcome.output, part)) << part << "\n" << outcome.output;
  }
}

TEST_F(Explain, ThePageSaysTheSameAsTheCommand) {
  for (const char* query :
       {"SELECT note FROM items WHERE kind = $1", "SELECT v FROM whole WHERE id = 4",
        "SELECT now()", "SELECT v FROM keyless", "TABLE items", "SELECT 1"}) {
    const Outcome outcome = run(query);
    EXPECT_EQ(page(query).body, outcome.output);
    EXPECT_EQ(outcome.status, contains(outcome.output, "cacheable   yes") ? 0 : 1) << query;
    EXPECT_EQ(page(query, "&format=json").body, run(query, "--json").output);
  }
}

TEST_F(Explain, VerdictsAreWhatHappens) {
  Connection session = stack().client();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"SELECT kind FROM items WHERE id = 3", ""},
      {"SELECT count(*) FROM items i JOIN whole w USING (id)", ""},
      {"SELECT now()", "volatile_function"},
      {"SELECT v FROM keyless", "no_replica_identity"},
      {"SELECT id FROM hidden", "denied"},
      {"SELECT count(*) FROM pg_class", "system_relation"},
      {"SELECT id FROM items FOR UPDATE", "locking"},
      {"UPDATE items SET note = 'x' WHERE id = 999", "not_read"}};
  for (const auto& [query, reason] : cases) {
    const Outcome outcome = run(query, "--set deny_tables=public.hidden");
    if (reason.empty()) {
      EXPECT_EQ(outcome.status, 0) << outcome.output;
      stack().query_until(session, query, "hit");
    } else {
      EXPECT_EQ(outcome.status, 1) << outcome.output;
      EXPECT_TRUE(contains(outcome.output, "reason      " + reason)) << outcome.output;
      EXPECT_TRUE(contains(page(query).body, "reason      " + reason)) << page(query).body;
      stack().query_until(session, query, "bypass:" + reason);
    }
    stack().settle_session(session);
  }
}

TEST_F(Explain, NamesAreLookedUpAsTheConnectingRoleHasIt) {
  const std::string query = "SELECT stock FROM items";
  EXPECT_TRUE(contains(run(query).output, "unknown_column: stock"));
  EXPECT_TRUE(contains(run(query, {}, "seller").output, "reads shop.items"));
  EXPECT_TRUE(contains(run(query, "--search-path 'shop, public'").output, "reads shop.items"));
  EXPECT_TRUE(contains(run(query, "--search-path public", "seller").output, "unknown_column"));
  EXPECT_TRUE(contains(page(query).body, "unknown_column: stock"));
  EXPECT_TRUE(contains(page(query, "&search_path=shop").body, "reads shop.items"));
}

TEST_F(Explain, KnowsTheNewCatalogAtOnce) {
  EXPECT_TRUE(contains(page("SELECT * FROM fresh").body, "unknown_relation"));
  stack().direct().must("CREATE TABLE fresh (id int PRIMARY KEY)");
  stack().settle_catalog();
  EXPECT_TRUE(contains(page("SELECT * FROM fresh").body, "reads public.fresh"));
}

TEST_F(Explain, ExitStatusTellsErrorsFromVerdicts) {
  EXPECT_EQ(run("SELECT 1").status, 0);
  EXPECT_EQ(run("SELEC 1").status, 1);
  EXPECT_EQ(run("SELECT $1", "--types nothing").status, 2);
  EXPECT_EQ(run("SELECT 1", "--no-such-option").status, 2);
  EXPECT_EQ(run("SELECT 1", "surplus").status, 2);
  EXPECT_EQ(run("SELECT 1", "--set origin=host=127.0.0.1").status, 2);  // no such port there
  EXPECT_EQ(run("SELECT 1", {}, "nobody").status, 2);
}

}  // namespace
}  // namespace pgcache::testing
