// SPDX-License-Identifier: Apache-2.0
// The soundness contract of cacheable_query.h against a real server: random queries over random
// rows, one random change each; whenever a query's result differs, its dependencies must announce
// the change. The catalog is the server's own.
//
// PGCACHE_SOUNDNESS_SEED and PGCACHE_SOUNDNESS_QUERIES make other and longer runs.
// PGCACHE_SOUNDNESS_COMPLAIN shows the queries that are not cacheable or not valid.
// PGCACHE_SOUNDNESS_FILE names a file of queries to be tried instead, one a line, each followed by
// its parameters behind tabs (\N: NULL).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "origin/catalog_loader.h"
#include "origin/link.h"
#include "sql/analysis_support.h"
#include "sql/soundness_check_test_support.h"
#include "sql/soundness_generator_test_support.h"
#include "sql/soundness_schema_test_support.h"
#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::sql::testing {

using pgcache::testing::Cluster;
using pgcache::testing::Connection;
using pgcache::testing::QueryResult;
using pgcache::testing::Row;

namespace {

std::shared_ptr<const pg::Catalog> load(const std::string& dsn) {
  origin::LinkOptions options;
  options.conninfo = dsn;
  auto opened = origin::Link::open(options);
  if (const auto* failure = std::get_if<origin::Failure>(&opened)) {
    throw std::runtime_error(failure->message);
  }
  origin::Link& link = *std::get<std::unique_ptr<origin::Link>>(opened);
  auto loaded = origin::load_catalog(link, origin::ViewDefinitions::kRead);
  if (!loaded.ok()) throw std::runtime_error(loaded.error().message);
  return loaded->catalog;
}

// Of the generated statements.
constexpr const char* kStatementTimeout = "SET statement_timeout = '1s'";

class Soundness : public ::testing::Test {
 protected:
  Soundness() : sql_(cluster_.dsn()), values_(random_) {
    sql_.must(soundness_schema());
    sql_.must("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET jit = off");
    sql_.must(kStatementTimeout);
    catalog_ = load(cluster_.dsn());
    tables_ = tables_of(*catalog_);
    for (const Table& table : tables_) {
      if (table.has_rows) with_rows_.push_back(&table);
    }
    generator_.emplace(random_, tables_);
  }

  std::string insert(const Table& table) {
    std::string names;
    std::string row;
    for (const TableColumn& column : table.columns) {
      const std::string separator = names.empty() ? "" : ", ";
      names += separator + column.name;
      row += separator + values_.of_row(column);
    }
    return "INSERT INTO " + table.name + " (" + names + ") VALUES (" + row + ")";
  }

  // Rows that break a constraint are left out; the tables that others refer to come first.
  void fill() {
    std::string truncate;
    for (const Table* table : with_rows_) {
      truncate += (truncate.empty() ? "TRUNCATE " : ", ") + table->name;
    }
    // A busy disk may take its time for the files of all of them.
    sql_.must("SET statement_timeout = 0");
    sql_.must(truncate);
    sql_.must(kStatementTimeout);
    for (const char* name : {"teams", "users", "orders", "items", "prices", ""}) {
      for (const Table* table : with_rows_) {
        if (name[0] != '\0' && table->name != name) continue;
        for (int rows = values_.below(5); rows > 0; --rows) sql_.query(insert(*table));
      }
    }
  }

  static TextRow to_row(const QueryResult& result, std::size_t index) {
    TextRow row;
    for (std::size_t i = 0; i < result.columns.size(); ++i) {
      row.cells[result.columns[i]] = result.rows[index][i];
    }
    return row;
  }

  TableRows rows_of_partners(const CacheableQuery& query) {
    TableRows out;
    for (const Dependency& dependency : query.dependencies) {
      for (const Partner& partner : dependency.partners) {
        for (const pg::Oid table : partner.tables) {
          const auto [rows, is_new] = out.try_emplace(table);
          if (!is_new) continue;
          const pg::Relation& relation = *catalog_->find_relation(table);
          const QueryResult read =
              sql_.must("SELECT * FROM ONLY " + relation.schema_name + "." + relation.name);
          for (std::size_t i = 0; i < read.rows.size(); ++i) {
            rows->second.push_back(to_row(read, i));
          }
        }
      }
    }
    return out;
  }

  const Table& choose_table(const CacheableQuery& query) {
    const auto is_read = [&](pg::Oid oid) {
      return std::find(query.relations.begin(), query.relations.end(), oid) !=
             query.relations.end();
    };
    std::vector<const Table*> read;
    for (const Table* table : with_rows_) {
      if (is_read(table->oid)) read.push_back(table);
    }
    return read.empty() || values_.chance(10) ? *values_.pick(with_rows_) : *values_.pick(read);
  }

  // Makes one random change in the open transaction, mostly of a table that the query reads;
  // nothing when there is no row for it, or a constraint is against it.
  std::optional<Change> change(const CacheableQuery& query) {
    const Table& table = choose_table(query);
    Change out{table.oid};
    const QueryResult rows = sql_.must("SELECT ctid, * FROM ONLY " + table.name);
    const int kind = values_.below(10);
    if (kind == 0) {
      out.truncate = true;
      if (!sql_.query("TRUNCATE ONLY " + table.name).ok()) return std::nullopt;
      return out;
    }
    if (kind < 4 || rows.rows.empty()) {
      const QueryResult done = sql_.query(insert(table) + " RETURNING *");
      if (!done.ok()) return std::nullopt;
      out.after = to_row(done, 0);
      return out;
    }
    const auto index = static_cast<std::size_t>(values_.below(static_cast<int>(rows.rows.size())));
    const std::string where = " WHERE ctid = '" + *rows.rows[index][0] + "'";
    out.before = to_row(rows, index);
    if (kind < 7) {
      if (!sql_.query("DELETE FROM ONLY " + table.name + where).ok()) return std::nullopt;
      return out;
    }
    std::string set;
    for (const TableColumn& column : table.columns) {
      if (values_.below(3) != 0) continue;
      set += (set.empty() ? " SET " : ", ") + column.name + " = " + values_.of_row(column);
    }
    if (set.empty()) return std::nullopt;
    const QueryResult done = sql_.query("UPDATE ONLY " + table.name + set + where + " RETURNING *");
    if (!done.ok() || done.rows.empty()) return std::nullopt;
    out.after = to_row(done, 0);
    return out;
  }

  // In any order, and with one of the spellings of equal numbers, of which PostgreSQL may show any.
  std::optional<std::vector<Row>> answer(const GeneratedQuery& query) {
    QueryResult result = sql_.exec_params(query.text, query.parameters);
    if (!result.ok()) {
      last_error_ = result.error;
      return std::nullopt;
    }
    return std::move(result.rows);
  }

  static std::vector<Row> normal(std::vector<Row> rows) {
    for (Row& row : rows) {
      for (auto& cell : row) {
        if (!cell || cell->find_first_not_of("-0123456789.") != std::string::npos) continue;
        if (cell->find('.') == std::string::npos) continue;
        cell->erase(cell->find_last_not_of('0') + 1);
        if (cell->back() == '.') cell->pop_back();
      }
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

  // For whoever works on the generator.
  static void complain(const std::string& why, const GeneratedQuery& query) {
    if (std::getenv("PGCACHE_SOUNDNESS_COMPLAIN") == nullptr) return;
    std::printf("%s: %s\n", why.c_str(), query.text.c_str());
  }

  void check(const GeneratedQuery& query, int changes) {
    const StatementShape shape = scan_shape(query.text, true);
    const Analysis analysis = analyze_with(*catalog_, query.text);
    if (analysis.cacheable() == nullptr) {
      ++refused_[show(analysis, *catalog_, false)];
      complain(show(analysis, *catalog_, false), query);
      return;
    }
    const auto before = answer(query);
    if (!before) {
      ++invalid_[last_error_];
      complain(last_error_, query);
      return;
    }
    ++checked_;
    std::vector<Parameter> parameters;
    for (const auto& value : query.parameters) {
      parameters.push_back({!value.has_value(), false, value ? *value : std::string_view()});
    }
    const CacheableQuery& cacheable = *analysis.cacheable();
    const auto operands = bind_operands(cacheable, shape.literals, parameters);
    const TableRows tables = rows_of_partners(cacheable);
    for (int i = 0; i < changes; ++i) {
      sql_.must("BEGIN");
      std::optional<Change> made = change(cacheable);
      for (int tries = 0; !made && tries < 4; ++tries) {
        sql_.must("ROLLBACK; BEGIN");
        made = change(cacheable);
      }
      const auto after = made ? answer(query) : std::nullopt;
      if (after) judge(query, analysis, *made, *before, *after, operands, tables);
      sql_.must("ROLLBACK");
      if (failed_) return;
    }
  }

  void judge(const GeneratedQuery& query, const Analysis& analysis, const Change& made,
             const std::vector<Row>& before, const std::vector<Row>& after,
             const std::vector<Operand>& operands, const TableRows& tables) {
    const bool differs = normal(before) != normal(after);
    const bool claimed = is_announced(*analysis.cacheable(), made, operands, before, tables);
    changed_ += differs ? 1 : 0;
    needless_ += claimed && !differs ? 1 : 0;
    spared_ += !claimed && !differs ? 1 : 0;
    if (!differs || claimed) return;
    failed_ = true;
    ++failures_;
    std::string text = query.text;
    for (const auto& value : query.parameters) text += "\t" + value.value_or("\\N");
    std::string passes;
    for (const std::string& pass : analysis.cacheable()->passes) passes += " " + pass;
    ADD_FAILURE() << text << "\n  " << show(analysis, *catalog_, true) << "\n  passes:" << passes
                  << "\n  " << testing::print(made, *catalog_) << "\n  result " << print(before)
                  << "\n  became " << print(after);
    show_tables(*analysis.cacheable());
  }

  static std::string print(const std::vector<Row>& rows) {
    std::string out;
    for (const Row& row : rows) {
      out += out.empty() ? "(" : " (";
      for (const auto& cell : row) out += cell.value_or("NULL") + " ";
      out += ")";
    }
    return out;
  }

  void show_tables(const CacheableQuery& query) {
    sql_.must("ROLLBACK; BEGIN");
    for (const pg::Oid oid : query.relations) {
      const std::string& name = catalog_->find_relation(oid)->name;
      const QueryResult rows = sql_.must("SELECT * FROM ONLY " + name);
      std::string names;
      for (const std::string& column : rows.columns) names += " " + column;
      std::printf("  %s (%s ): %s\n", name.c_str(), names.c_str(), print(rows.rows).c_str());
    }
  }

  void report() {
    for (const auto& [reason, count] : refused_) {
      std::printf("not cacheable: %5d %s\n", count, reason.c_str());
    }
    int invalid = 0;
    for (const auto& [error, count] : invalid_) invalid += count;
    std::printf("checked %d, invalid %d; changes: %d of results, %d needless, %d spared\n",
                checked_, invalid, changed_, needless_, spared_);
    std::fflush(stdout);
  }

  Cluster cluster_;
  Connection sql_;
  std::mt19937 random_;
  Values values_;
  std::shared_ptr<const pg::Catalog> catalog_;
  std::vector<Table> tables_;
  std::vector<const Table*> with_rows_;
  std::optional<QueryGenerator> generator_;
  std::string last_error_;
  bool failed_ = false;  // the query at hand
  int failures_ = 0;
  int checked_ = 0, changed_ = 0, needless_ = 0, spared_ = 0;
  std::map<std::string, int> refused_;
  std::map<std::string, int> invalid_;
};

constexpr int kFailuresMax = 5;

int from_environment(const char* name, int otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

std::vector<GeneratedQuery> queries_of_file(const char* path) {
  std::vector<GeneratedQuery> queries;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream parts(line);
    GeneratedQuery& query = queries.emplace_back();
    std::getline(parts, query.text, '\t');
    for (std::string value; std::getline(parts, value, '\t');) {
      query.parameters.push_back(value == "\\N" ? std::nullopt : std::optional(value));
    }
  }
  return queries;
}

TEST_F(Soundness, EveryChangeOfAResultIsAnnounced) {
  const char* const path = std::getenv("PGCACHE_SOUNDNESS_FILE");
  const int queries = from_environment("PGCACHE_SOUNDNESS_QUERIES", path == nullptr ? 600 : 60);
  random_.seed(static_cast<unsigned>(from_environment("PGCACHE_SOUNDNESS_SEED", 1)));
  if (path != nullptr) {
    for (const GeneratedQuery& query : queries_of_file(path)) {
      failed_ = false;
      for (int i = 0; i < queries && !failed_; ++i) {
        fill();
        check(query, 12);
      }
      std::printf("%s\n  %s\n", query.text.c_str(),
                  show(analyze_with(*catalog_, query.text), *catalog_, true).c_str());
      report();
    }
    return;
  }
  for (int i = 0; i < queries && failures_ < kFailuresMax; ++i) {
    if (i % 10 == 0) fill();
    failed_ = false;
    check(generator_->query(), 8);
  }
  report();
  // That the test tests something.
  EXPECT_GT(checked_, queries / 2);
  EXPECT_GT(changed_, queries / 3);
  EXPECT_GT(spared_, queries / 3);
}

}  // namespace
}  // namespace pgcache::sql::testing
