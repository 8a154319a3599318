// SPDX-License-Identifier: Apache-2.0
#include "oracle/change.h"

#include <cstdlib>
#include <optional>

#include "oracle/query_builder.h"
#include "oracle/values.h"

namespace pgcache::oracle {
namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::vector<std::string> column_names(const Relation& relation) {
  std::vector<std::string> names;
  for (const Column& column : relation.columns) names.push_back(column.name);
  return names;
}

std::string value_for(const Column& column, Random& random) {
  if (column.nullable && random.chance(15)) return "NULL";
  return literal_for_type(column.kind, random);
}

std::string values_row(const Relation& relation, Random& random) {
  std::vector<std::string> values;
  for (const Column& column : relation.columns) values.push_back(value_for(column, random));
  return "(" + joined(values) + ")";
}

std::string conflict_clause(const Relation& relation, Random& random) {
  if (relation.key.empty() || random.chance(35)) return "";
  if (random.chance(40)) return " ON CONFLICT DO NOTHING";
  std::vector<std::string> sets;
  for (const Column& column : relation.columns) {
    if (!relation.in_key(column.name) && random.chance(50)) {
      sets.push_back(column.name + " = EXCLUDED." + column.name);
    }
  }
  if (sets.empty()) return " ON CONFLICT DO NOTHING";
  return " ON CONFLICT (" + joined(relation.key) + ") DO UPDATE SET " + joined(sets);
}

// A condition over the relation under the alias x. Usually one that few rows meet.
std::string condition(const Schema& schema, const Relation& relation, Random& random) {
  QueryBuilder builder(schema, random.next(), random.next());
  const Source source{"x", &relation};
  const int choice = random.below(10);
  if (choice < 6) {
    const Column& column = random.pick(relation.columns);
    if (column.kind != Kind::kBig) {
      return "x." + column.name + " = " + literal_for_type(column.kind, random);
    }
  }
  return builder.predicate({source}, choice < 9 ? 1 : 2);
}

Change update(const Schema& schema, const Relation& relation, Random& random) {
  std::vector<std::string> sets;
  for (const Column& column : relation.columns) {
    const bool key = relation.in_key(column.name);
    if (!random.chance(key ? 12 : 30)) continue;
    if (is_integer(column.kind) && random.chance(35)) {
      sets.push_back(column.name + " = x." + column.name +
                     random.pick({" + 1", " - 1", " % 7", ""}));
    } else if (random.chance(8)) {
      sets.push_back(column.name + " = x." + column.name);  // changes nothing
    } else {
      sets.push_back(column.name + " = " + value_for(column, random));
    }
  }
  if (sets.empty()) sets.push_back("v = x.v");
  std::string sql = "UPDATE " + relation.qualified() + " AS x SET " + joined(sets);
  if (random.chance(8)) {
    return {
        sql + " FROM oracle.par AS o WHERE o.id = x.v AND " + condition(schema, relation, random),
        "", false};
  }
  if (random.chance(97)) sql += " WHERE " + condition(schema, relation, random);
  return {sql, "", false};
}

Change erase(const Schema& schema, const Relation& relation, Random& random) {
  std::string sql = "DELETE FROM " + relation.qualified() + " AS x";
  if (random.chance(8))
    sql += " USING oracle.tlog AS o WHERE o.grp = x.v AND ";
  else
    sql += " WHERE ";
  return {sql + condition(schema, relation, random), "", false};
}

Change insert_select(const Relation& relation, Random& random) {
  const std::string names = joined(column_names(relation));
  std::vector<std::string> values;
  for (const Column& column : relation.columns) {
    const bool shifted = relation.in_key(column.name) && is_integer(column.kind);
    values.push_back(shifted ? column.name + " + " + std::to_string(random.between(1, 5))
                             : column.name);
  }
  return {"INSERT INTO " + relation.qualified() + " (" + names + ") SELECT " + joined(values) +
              " FROM " + relation.qualified() +
              " WHERE v % 5 = " + std::to_string(random.below(5)) + " ON CONFLICT DO NOTHING",
          "", false};
}

Change merge(const Relation& relation, Random& random) {
  std::string on;
  for (const std::string& key : relation.key) {
    on += (on.empty() ? "" : " AND ") + std::string("x.") + key + " = s." + key;
  }
  std::vector<std::string> from_source;
  for (const std::string& name : column_names(relation)) from_source.push_back("s." + name);
  std::string selected;
  for (const Column& column : relation.columns) {
    selected += (selected.empty() ? "" : ", ") + literal_for_type(column.kind, random) +
                "::" + type_name(column.kind) + " AS " + column.name;
  }
  return {"MERGE INTO " + relation.qualified() + " AS x USING (SELECT " + selected + ") AS s ON " +
              on +
              " WHEN MATCHED AND x.v > 5 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 6 "
              "WHEN NOT MATCHED THEN INSERT (" +
              joined(column_names(relation)) + ") VALUES (" + joined(from_source) + ")",
          "", false};
}

std::string copy_field(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') out += '\\';
    out += c;
  }
  return out;
}

Change copy(const Relation& relation, Random& random) {
  Change change;
  change.sql =
      "COPY " + relation.qualified() + " (" + joined(column_names(relation)) + ") FROM STDIN";
  const int rows = random.between(1, 3);
  for (int i = 0; i < rows; ++i) {
    std::string line;
    for (const Column& column : relation.columns) {
      if (!line.empty()) line += '\t';
      line += column.nullable && random.chance(15) ? "\\N"
                                                   : copy_field(value_text(column.kind, random));
    }
    change.copy_data += line + "\n";
  }
  return change;
}

Change with_changes(const Schema& schema, const Relation& relation, Random& random) {
  const std::string inner = erase(schema, relation, random).sql;
  return {"WITH gone AS (" + inner +
              " RETURNING x.grp) INSERT INTO oracle.tlog AS l SELECT DISTINCT " +
              "grp, 1 FROM gone WHERE grp IS NOT NULL ON CONFLICT (grp) DO UPDATE SET v = l.v + 1",
          "", false};
}

// One of the texts as a value of the column, if it can be one.
std::optional<std::string> near_value(const Column& column, const std::vector<std::string>& near,
                                      Random& random) {
  if (near.empty()) return std::nullopt;
  const std::string& text = random.pick(near);
  if (!is_integer(column.kind) && column.kind != Kind::kDomain) return quote(text);
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || text.empty() || text.size() > 4) return std::nullopt;
  return text;
}

std::string value_near(const Column& column, const std::vector<std::string>& near, Random& random) {
  const std::optional<std::string> found = near_value(column, near, random);
  if (!found || random.chance(40)) return value_for(column, random);
  if (found->front() == '\'') return *found;
  return std::to_string(std::atoi(found->c_str()) + random.below(3) - 1);
}

// A condition that so many rows meet: those from some place on in the order of the key, or the
// first ones that have one of the texts in some column.
std::string some_rows(const Relation& relation, int rows, const std::vector<std::string>& near,
                      Random& random) {
  const std::vector<std::string> names =
      relation.key.empty() ? std::vector<std::string>{"grp", "v"} : relation.key;
  const std::string list = joined(names);
  std::string which = " ORDER BY " + list + " LIMIT " + std::to_string(rows);
  // Often a column of the key, which most tables have first.
  const Column& column = random.chance(40) ? relation.columns[0] : random.pick(relation.columns);
  const std::optional<std::string> value = near_value(column, near, random);
  if (is_integer(column.kind) && value && random.chance(70)) {
    which = " WHERE " + column.name + " = " + *value + which;
  } else {
    which += " OFFSET " + std::to_string(random.below(20));
  }
  return "(" + list + ") IN (SELECT " + list + " FROM " + relation.qualified() + which + ")";
}

// Usually under a key that no row has.
std::string row_near(const Relation& relation, const std::vector<std::string>& near,
                     Random& random) {
  std::vector<std::string> values;
  for (const Column& column : relation.columns) {
    const bool fresh = relation.in_key(column.name) && is_integer(column.kind) &&
                       column.name != "grp" && column.name != "par_id";
    values.push_back(fresh && random.chance(70) ? std::to_string(random.between(15, 900))
                                                : value_near(column, near, random));
  }
  return "(" + joined(values) + ")";
}

}  // namespace

Change make_small_change(const Relation& relation, const std::vector<std::string>& near,
                         Random& random) {
  const int choice = random.below(100);
  const int rows = random.chance(15) ? random.between(2, 3) : 1;
  if (choice < 20) {
    return {
        "DELETE FROM " + relation.qualified() + " WHERE " + some_rows(relation, rows, near, random),
        "", false};
  }
  if (choice < 55) {
    std::vector<std::string> lines;
    for (int i = 0; i < rows; ++i) lines.push_back(row_near(relation, near, random));
    return {"INSERT INTO " + relation.qualified() + " (" + joined(column_names(relation)) +
                ") VALUES " + joined(lines) + " ON CONFLICT DO NOTHING",
            "", false};
  }
  const Column* column = &random.pick(relation.columns);
  if (relation.in_key(column->name) && random.chance(60)) column = &random.pick(relation.columns);
  const std::string value = value_near(*column, near, random);
  return {"UPDATE " + relation.qualified() + " SET " + column->name + " = " + value + " WHERE " +
              some_rows(relation, rows, near, random) + " AND " + column->name +
              " IS DISTINCT FROM " + value,
          "", false};
}

Change make_move(const Relation& relation, const std::vector<std::string>& near, Random& random) {
  std::vector<std::string> numbers;
  for (const Column& column : relation.columns) {
    if (is_integer(column.kind)) numbers.push_back(column.name);
  }
  std::string value = std::to_string(random.below(12));
  if (!near.empty() && random.chance(80)) {
    const std::string& text = random.pick(near);
    const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
    if (digits && !text.empty() && text.size() <= 4) value = text;
  }
  return {"UPDATE " + relation.qualified() + " SET " + random.pick(numbers) + " = " + value +
              " WHERE " + some_rows(relation, 1, near, random),
          "", false};
}

Change make_truncate(const Relation& relation, Random& random) {
  if (relation.name == "par" || relation.name == "chi") {
    return {"TRUNCATE " + relation.qualified() + " CASCADE", "", true};
  }
  if (relation.name == "inh" && random.chance(50)) return {"TRUNCATE ONLY oracle.inh", "", true};
  return {"TRUNCATE " + relation.qualified() + (random.chance(20) ? ", oracle.tlog" : ""), "",
          true};
}

Change make_insert(const Relation& relation, int rows, Random& random) {
  std::vector<std::string> lines;
  for (int i = 0; i < rows; ++i) lines.push_back(values_row(relation, random));
  return {"INSERT INTO " + relation.qualified() + " (" + joined(column_names(relation)) +
              ") VALUES " + joined(lines) +
              (rows > 3 ? " ON CONFLICT DO NOTHING" : conflict_clause(relation, random)),
          "", false};
}

Change make_change_of(const Schema& schema, const Relation& relation, Random& random) {
  const int choice = random.below(100);
  if (choice < 27) return make_insert(relation, random.between(1, 3), random);
  if (choice < 62) return update(schema, relation, random);
  if (choice < 82) return erase(schema, relation, random);
  if (choice < 87) return insert_select(relation, random);
  if (choice < 91 && !relation.key.empty()) return merge(relation, random);
  if (choice < 95) return copy(relation, random);
  if (choice < 97) return with_changes(schema, relation, random);
  if (choice < 99) return make_insert(relation, 5, random);
  return make_truncate(relation, random);
}

Change make_change(const Schema& schema, Random& random) {
  const Relation* relation = &random.pick(schema.relations);
  while (!relation->writable) relation = &random.pick(schema.relations);
  return make_change_of(schema, *relation, random);
}

}  // namespace pgcache::oracle
