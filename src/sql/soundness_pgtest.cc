// SPDX-License-Identifier: Apache-2.0
// The soundness contract of cacheable_query.h against a real server: random queries, random changes
// of one row; whenever a query's result differs, its dependencies must say that the change matters.
//
// PGCACHE_SOUNDNESS_SEED and PGCACHE_SOUNDNESS_QUERIES make other and longer runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "sql/analysis_support.h"
#include "sql/soundness_generator.h"
#include "support/cluster.h"
#include "support/pq.h"

namespace pgcache::sql::testing {

using pgcache::testing::Cluster;
using pgcache::testing::Connection;
using pgcache::testing::QueryResult;

// ---------------------------------------------------------------- the check

namespace {

class TextRow final : public RowView {
 public:
  std::map<std::string, std::optional<std::string>, std::less<>> cells;
  Operand column(const ColumnRef& column) const override {
    const auto it = cells.find(column.name);
    if (it == cells.end()) return {};
    if (!it->second) return {Operand::State::kNull, std::nullopt};
    auto value = pg::parse_text(column.type, *it->second);
    if (!value) return {};
    return {Operand::State::kValue, std::move(value)};
  }
};

struct Change {
  pg::Oid relation;
  std::optional<TextRow> before;
  std::optional<TextRow> after;
};

// Whether column and operand may be related as `holds` says of their order.
template <typename Holds>
bool may_relate(const Operand& column, const Operand& operand, Holds holds) {
  if (column.state == Operand::State::kNull || operand.state == Operand::State::kNull) return false;
  if (!column.value || !operand.value) return true;
  if (column.value->family() != operand.value->family()) return true;
  const auto order = pg::compare(*column.value, *operand.value);
  return !order || holds(*order);
}

bool row_matters(const Dependency& d, const TextRow& row, const std::vector<Operand>& operands) {
  if (!may_hold(d.guard, operands) || !may_match(d.residual, row, operands)) return false;
  for (const EqualityBinding& binding : d.equalities) {
    const Operand column = row.column(binding.column);
    if (binding.array) continue;  // as if the array were not known
    const Operand& first = operands[binding.operands.front()];
    if (binding.or_null && (column.state == Operand::State::kNull ||
                            first.state == Operand::State::kNull)) {
      continue;
    }
    const bool any =
        std::any_of(binding.operands.begin(), binding.operands.end(), [&](OperandIndex i) {
          return may_relate(column, operands[i], [](auto order) { return order == 0; });
        });
    if (!any) return false;
  }
  if (!d.range) return true;
  const Operand column = row.column(d.range->column);
  const bool low_enough =
      !d.range->upper || may_relate(column, operands[*d.range->upper], [&](auto order) {
        return order < 0 || (order == 0 && d.range->upper_inclusive);
      });
  const bool high_enough =
      !d.range->lower || may_relate(column, operands[*d.range->lower], [&](auto order) {
        return order > 0 || (order == 0 && d.range->lower_inclusive);
      });
  return low_enough && high_enough;
}

bool matters(const CacheableQuery& query, const Change& change,
             const std::vector<Operand>& operands) {
  for (const Dependency& d : query.dependencies) {
    if (std::find(d.members.begin(), d.members.end(), change.relation) == d.members.end()) continue;
    if (change.before && change.after && !d.reads_all_columns) {
      const bool touches =
          std::any_of(d.columns_read.begin(), d.columns_read.end(), [&](const std::string& name) {
            return change.before->cells.at(name) != change.after->cells.at(name);
          });
      if (!touches) continue;
    }
    if (change.before && row_matters(d, *change.before, operands)) return true;
    if (change.after && row_matters(d, *change.after, operands)) return true;
  }
  return false;
}

struct Target {
  const char* table;
  pg::Oid oid;
};
constexpr Target kTargets[] = {
    {"users", kUsers}, {"orders", kOrders},  {"order_items", kOrderItems}, {"animals", kAnimals},
    {"cats", kCats},   {"parts_1", kParts1}, {"parts_2", kParts2}};

const char* const kSchema =
    "CREATE COLLATION nondeterministic (provider = icu, locale = 'und-u-ks-level2',"
    "  deterministic = false);"
    "CREATE TABLE users (id int, name text, email varchar(80), active bool, score numeric,"
    "  created_at timestamptz, born date, code char(4), tag text COLLATE \"C\", team_id bigint,"
    "  settings jsonb, tags text[], nick text COLLATE nondeterministic);"
    "CREATE TABLE orders (id bigint, user_id int, status text, placed timestamp, total numeric);"
    "CREATE TABLE order_items (order_id bigint, product_id int, qty smallint);"
    "CREATE TABLE animals (id int, name text);"
    "CREATE TABLE cats () INHERITS (animals);"
    "CREATE TABLE parts (k int, r int, v text) PARTITION BY LIST (r);"
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (0, 1);"
    "CREATE TABLE parts_2 PARTITION OF parts DEFAULT;"
    "CREATE VIEW active_users AS SELECT id, name, email FROM users WHERE active AND score > 1;"
    "CREATE VIEW user_totals AS SELECT u.id, u.name, sum(o.total) AS total FROM users u"
    "  LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, u.name;"
    "CREATE VIEW nested_view AS SELECT id AS uid FROM active_users WHERE name = 'x';"
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET statement_timeout = '5s'";

class Soundness : public ::testing::Test {
 protected:
  Soundness() : sql_(cluster_.dsn()), generator_(random_) { sql_.must(kSchema); }

  std::string row_values(const std::string& table) {
    std::string values;
    for (const GeneratedColumn& column : QueryGenerator::columns_of(table)) {
      // Where a partition takes only some values.
      std::string value = generator_.row_value(column.type);
      if (table == "parts_1" && column.name == "r") value = generator_.below(2) == 0 ? "0" : "1";
      if (table == "parts_2" && column.name == "r") value = generator_.below(2) == 0 ? "2" : "3";
      values += (values.empty() ? "" : ", ") + value;
    }
    return values;
  }

  std::string insert(const std::string& table) {
    std::string names;
    for (const GeneratedColumn& column : QueryGenerator::columns_of(table)) {
      names += (names.empty() ? "" : ", ") + column.name;
    }
    return "INSERT INTO " + table + " (" + names + ") VALUES (" + row_values(table) + ")";
  }

  void fill() {
    for (const Target& target : kTargets) sql_.must(std::string("TRUNCATE ONLY ") + target.table);
    for (const Target& target : kTargets) {
      for (int rows = generator_.below(5); rows > 0; --rows) sql_.must(insert(target.table));
    }
  }

  static TextRow to_row(const QueryResult& result, std::size_t index) {
    TextRow row;
    for (std::size_t i = 0; i < result.columns.size(); ++i) {
      row.cells[result.columns[i]] = result.rows[index][i];
    }
    return row;
  }

  // Makes one random change in the open transaction, mostly of a table that the query reads;
  // nothing when there is no row for it.
  std::optional<Change> change(const CacheableQuery& query) {
    const auto is_read = [&](const Target& t) {
      return std::find(query.relations.begin(), query.relations.end(), t.oid) !=
             query.relations.end();
    };
    const Target* chosen = nullptr;
    for (int tries = 0; tries < 10 && (chosen == nullptr || !is_read(*chosen)); ++tries) {
      chosen = &kTargets[generator_.below(static_cast<int>(std::size(kTargets)))];
    }
    const Target& target = *chosen;
    const std::string table = target.table;
    const QueryResult rows = sql_.must("SELECT ctid, * FROM ONLY " + table);
    Change out{target.oid, std::nullopt, std::nullopt};
    const int kind = generator_.below(3);
    if (kind == 0 || rows.rows.empty()) {
      out.after = to_row(sql_.must(insert(table) + " RETURNING *"), 0);
      return out;
    }
    const auto index =
        static_cast<std::size_t>(generator_.below(static_cast<int>(rows.rows.size())));
    const std::string where = " WHERE ctid = '" + *rows.rows[index][0] + "'";
    out.before = to_row(rows, index);
    if (kind == 1) {
      sql_.must("DELETE FROM ONLY " + table + where);
      return out;
    }
    std::string set;
    for (const GeneratedColumn& column : QueryGenerator::columns_of(table)) {
      const bool fixed = table.substr(0, 5) == "parts" && column.name == "r";
      if (fixed || generator_.below(3) != 0) continue;
      set +=
          (set.empty() ? " SET " : ", ") + column.name + " = " + generator_.row_value(column.type);
    }
    if (set.empty()) return std::nullopt;
    out.after = to_row(sql_.must("UPDATE ONLY " + table + set + where + " RETURNING *"), 0);
    return out;
  }

  std::optional<std::vector<pgcache::testing::Row>> answer(const GeneratedQuery& query) {
    QueryResult result = sql_.exec_params(query.text, query.parameters);
    if (!result.ok()) return std::nullopt;
    std::sort(result.rows.begin(), result.rows.end());
    return std::move(result.rows);
  }

  void check(const GeneratedQuery& query) {
    const StatementShape shape = scan_shape(query.text, true);
    const Analysis analysis = analyze_with(shop(), query.text);
    if (analysis.cacheable() == nullptr) {
      ++refused_[show(analysis, shop(), false)];
      return;
    }
    const auto before = answer(query);
    if (!before) {
      ++invalid_;
      return;
    }
    ++checked_;
    std::vector<Parameter> parameters;
    for (const auto& value : query.parameters) parameters.push_back({false, false, *value});
    const CacheableQuery& cacheable = *analysis.cacheable();
    const auto operands = bind_operands(cacheable, shape.literals, parameters);
    for (int i = 0; i < 8; ++i) {
      sql_.must("BEGIN");
      const std::optional<Change> made = change(cacheable);
      const auto after = made ? answer(query) : std::nullopt;
      sql_.must("ROLLBACK");
      if (!after) continue;
      const bool differs = *after != *before;
      const bool claimed = matters(cacheable, *made, operands);
      changed_ += differs ? 1 : 0;
      needless_ += claimed && !differs ? 1 : 0;
      spared_ += !claimed && !differs ? 1 : 0;
      if (!differs || claimed) continue;
      ADD_FAILURE() << query.text << "\n  " << show(analysis, shop(), true) << "\n  change of "
                    << shop().find_relation(made->relation)->name << " " << print(made->before)
                    << " to " << print(made->after);
      return;
    }
  }

  static std::string print(const std::optional<TextRow>& row) {
    if (!row) return "nothing";
    std::string out = "(";
    for (const auto& [name, value] : row->cells) out += name + "=" + value.value_or("NULL") + " ";
    return out + ")";
  }

  Cluster cluster_;
  Connection sql_;
  std::mt19937 random_;
  QueryGenerator generator_;
  int checked_ = 0, invalid_ = 0, changed_ = 0, needless_ = 0, spared_ = 0;
  std::map<std::string, int> refused_;
};

int from_environment(const char* name, int otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

TEST_F(Soundness, EveryChangeOfAResultIsAnnounced) {
  const int queries = from_environment("PGCACHE_SOUNDNESS_QUERIES", 250);
  random_.seed(static_cast<unsigned>(from_environment("PGCACHE_SOUNDNESS_SEED", 1)));
  for (int i = 0; i < queries && !HasFailure(); ++i) {
    if (i % 10 == 0) fill();
    check(generator_.query());
  }
  for (const auto& [reason, count] : refused_) {
    std::printf("not cacheable: %5d %s\n", count, reason.c_str());
  }
  std::printf("checked %d, invalid %d; changes: %d of results, %d needless, %d spared\n", checked_,
              invalid_, changed_, needless_, spared_);
  // That the test tests something.
  EXPECT_GT(checked_, queries / 2);
  EXPECT_GT(changed_, queries / 3);
  EXPECT_GT(spared_, queries / 3);
}

}  // namespace
}  // namespace pgcache::sql::testing
