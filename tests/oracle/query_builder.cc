// SPDX-License-Identifier: Apache-2.0
#include "oracle/query_builder.h"

#include <algorithm>
#include <cctype>

#include "oracle/values.h"

namespace pgcache::oracle {
namespace {

constexpr std::size_t kShownMax = 200;  // of a parameter

constexpr Oid kBoolOid = 16;
constexpr Oid kInt8Oid = 20;
constexpr Oid kInt2Oid = 21;
constexpr Oid kInt4Oid = 23;
constexpr Oid kTextOid = 25;
constexpr Oid kNumericOid = 1700;

std::string big_endian(std::int64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>((value >> (8 * i)) & 0xff);
  return out;
}

// The parameter with an explicit type, in binary where that is easily made.
Parameter typed_parameter(Kind kind, const std::string& text, int choice) {
  const std::int64_t number = std::atoll(text.c_str());
  if (is_integer(kind)) {
    switch (choice) {
      case 0:
        return {big_endian(number, 4), kInt4Oid, true};
      case 1:
        return {big_endian(number, 8), kInt8Oid, true};
      case 2:
        return {big_endian(number, 2), kInt2Oid, true};
      case 3:
        return {std::to_string(number) + ".0", kNumericOid, false};
      case 4:
        return {text, kInt8Oid, false};
      default:
        return {text, 0, false};
    }
  }
  if (kind == Kind::kBool && choice < 3) {
    const bool truth =
        text[0] == 't' || text[0] == 'T' || text[0] == 'y' || text[0] == '1' || text == "on";
    return {std::string(1, truth ? '\1' : '\0'), kBoolOid, true};
  }
  if (is_textual(kind) && choice < 2) return {text, kTextOid, choice == 0};
  if (kind == Kind::kChar && choice == 0) return {text, kTextOid, false};
  return {text, 0, false};
}

}  // namespace

QueryBuilder::QueryBuilder(const Schema& schema, std::uint64_t structure_seed,
                           std::uint64_t value_seed)
    : schema_(schema), structure_(structure_seed), values_(value_seed) {}

void QueryBuilder::note(Caching caching) {
  if (query_.caching == Caching::kNo) return;
  if (caching != Caching::kYes) query_.caching = caching;
}

Source QueryBuilder::source() {
  const Relation* relation = &structure_.pick(schema_.relations);
  if (relation->caching != Caching::kYes && structure_.chance(70)) {
    relation = &structure_.pick(schema_.relations);
  }
  return source_of(*relation);
}

std::string QueryBuilder::from_item(const Source& source) {
  const Relation& relation = *source.relation;
  note(relation.caching);
  query_.relations.push_back(&relation);
  std::string sql;
  if (relation.name == "inh" && structure_.chance(30)) sql = "ONLY ";
  sql += structure_.chance(75) ? relation.name : relation.qualified();
  return sql + (structure_.chance(50) ? " AS " : " ") + source.alias;
}

std::string QueryBuilder::parameter(Kind kind) {
  Parameter made;
  const std::string text = value_text(kind, values_);
  made = typed_parameter(kind, text, structure_.below(12));
  if (values_.chance(4)) made.bytes.reset();
  query_.parameters.push_back(made);
  return "$" + std::to_string(query_.parameters.size());
}

std::string QueryBuilder::value(Kind kind) {
  if (with_parameters_ && structure_.chance(65)) return parameter(kind);
  return literal(kind, values_);
}

std::string QueryBuilder::comparison(const std::string& column, Kind kind) {
  const std::string op = is_ordered(kind) && structure_.chance(40)
                             ? structure_.pick({"<", "<=", ">", ">=", "<=", ">=", "<>", "!="})
                             : structure_.pick({"=", "=", "=", "=", "=", "<>"});
  if (structure_.chance(10)) {
    const std::string distinct = structure_.pick({" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "});
    return column + distinct + value(kind);
  }
  if (is_ordered(kind) && structure_.chance(15)) {
    const std::string between =
        structure_.pick({" BETWEEN ", " BETWEEN ", " NOT BETWEEN ", " BETWEEN SYMMETRIC "});
    const std::string low = value(kind);
    return column + between + low + " AND " + value(kind);
  }
  return structure_.chance(80) ? column + " " + op + " " + value(kind)
                               : value(kind) + " " + op + " " + column;
}

std::string QueryBuilder::list_test(const std::string& column, Kind kind) {
  const int count = structure_.between(1, 4);
  if (is_integer(kind) && structure_.chance(30)) {
    std::string array;
    for (int i = 0; i < count; ++i) array += (i > 0 ? "," : "") + std::to_string(values_.below(12));
    return structure_.chance(50) ? column + " = ANY('{" + array + "}'::int[])"
                                 : column + " <> ALL(ARRAY[" + array + "])";
  }
  const std::string in = structure_.pick({" IN (", " IN (", " NOT IN ("});
  std::string list;
  for (int i = 0; i < count; ++i) list += (i > 0 ? ", " : "") + value(kind);
  return column + in + list + ")";
}

std::string QueryBuilder::text_test(const std::string& column, Kind kind) {
  if (kind == Kind::kBig) {
    const std::string unit = quote(values_.pick({"alpha", "beta", "gamma"}));
    switch (structure_.below(6)) {
      case 0:
        return "left(" + column + ", 4) = left(" + unit + ", 4)";
      case 1:
        return column + " LIKE " + quote(values_.pick({"alpha%", "beta%", "%a"}));
      case 2:
        return column + structure_.pick({" = ", " <> "}) + literal(kind, values_);
      case 3:
        return column + " IN (" + literal(kind, values_) + ", 'alpha')";
      case 4:
        return column + structure_.pick({" IS NULL", " IS NOT NULL"});
      default:
        return "length(" + column + ") > " + std::to_string(values_.pick(std::vector<int>{4, 100}));
    }
  }
  switch (structure_.below(6)) {
    case 0:
      return "lower(" + column + ") = " + quote(values_.pick({"a", "\xc3\xa4", "b", "null"}));
    case 1:
      return column + " || 'x' = " + quote(values_.pick({"ax", "x", "a x"}));
    case 2:
      return column + " ILIKE " + quote(values_.pick({"a%", "\xc3\xa4", "%"}));
    default:
      return column + structure_.pick({" LIKE ", " NOT LIKE ", " LIKE "}) +
             quote(values_.pick({"a%", "%", "_", "x\\%y", "x_y", "", "%'%", "0%", "a"}));
  }
}

std::string QueryBuilder::row_test(const Source& source) {
  const Column* first = column_where(source, is_integer);
  const Column* second = column_where(source, is_integer);
  const std::string left =
      "(" + source.alias + "." + first->name + ", " + source.alias + "." + second->name + ")";
  const auto pair = [&] {
    const std::string low = value(Kind::kInt);
    return "(" + low + ", " + value(Kind::kInt) + ")";
  };
  switch (structure_.below(3)) {
    case 0:
      return left + " = " + pair();
    case 1: {
      const std::string one = pair();
      return left + " IN (" + one + ", " + pair() + ")";
    }
    default:
      return left + structure_.pick({" < ", " >= ", " <> "}) + pair();
  }
}

std::string QueryBuilder::column_pair_test(const Scope& scope) {
  const Source& left = any(scope);
  const Source& right = any(scope);
  const Column& one = any_column(left);
  const Column* other = column_where(right, [&](Kind kind) {
    return kind == one.kind || (is_integer(kind) && is_integer(one.kind));
  });
  if (other == nullptr) return left.alias + "." + one.name + " IS NOT NULL";
  const std::string op =
      is_ordered(one.kind) ? structure_.pick({" = ", " = ", " < ", " <> "}) : " = ";
  return left.alias + "." + one.name + op + right.alias + "." + other->name;
}

std::string QueryBuilder::expression_test(const Source& source) {
  const Column* number = column_where(source, is_integer);
  const std::string column = source.alias + "." + number->name;
  const std::string constant = literal(Kind::kInt, values_);
  switch (structure_.below(9)) {
    case 0:
      return column + " + 1 = " + constant;
    case 1:
      return "coalesce(" + column + ", 3) = " + constant;
    case 2:
      return "CASE WHEN " + column + " > 5 THEN 1 WHEN " + column +
             " IS NULL THEN 2 ELSE 3 END = " + std::to_string(values_.between(1, 3));
    case 3:
      return "abs(" + column + ") % 3 = " + std::to_string(values_.below(3));
    case 4:
      return "nullif(" + column + ", " + constant + ") IS NULL";
    case 5:
      return column + "::text = " + quote(std::to_string(values_.below(12)));
    case 6:
      return "greatest(" + column + ", 4) = " + constant;
    case 7:
      return "-" + column + " <= " + constant;
    default:
      return structure_.pick({"TRUE", "NOT FALSE", "NULL IS NULL", "1 = 1"});
  }
}

std::string QueryBuilder::subquery_test(const Scope& scope) {
  const Source inner = source();
  const Source& outer = any(scope);
  const Column* inner_column = column_where(inner, is_integer);
  const Column* outer_column = column_where(outer, is_integer);
  const std::string in = inner.alias + "." + inner_column->name;
  const std::string out = outer.alias + "." + outer_column->name;
  const std::string from = " FROM " + from_item(inner) + " WHERE ";
  switch (structure_.below(6)) {
    case 0:
      return out + " NOT IN (SELECT " + in + from + in + " IS NOT NULL AND " +
             predicate({inner}, 0) + ")";
    case 1:
      return "EXISTS (SELECT 1" + from + in + " = " + out + " AND " + predicate({inner}, 0) + ")";
    case 2:
      return "NOT EXISTS (SELECT" + from + in + " = " + out + " AND " + predicate({inner}, 0) + ")";
    case 3:
      return out + " = (SELECT max(" + in + ")" + from + predicate({inner}, 0) + ")";
    case 4:
      return out + " >= ALL (SELECT " + in + from + in + " IS NOT NULL AND " +
             predicate({inner}, 0) + ")";
    default:
      return out + " IN (SELECT " + in + from + predicate({inner, outer}, 0) + ")";
  }
}

std::string QueryBuilder::atom(const Scope& scope, int depth) {
  const Source& source = any(scope);
  const int choice = structure_.below(100);
  if (choice < 7 && depth > 0) return subquery_test(scope);
  if (choice < 11 && column_where(source, is_integer) != nullptr) return row_test(source);
  if (choice < 17) return column_pair_test(scope);
  if (choice < 23 && column_where(source, is_integer) != nullptr) return expression_test(source);
  const Column* column = &any_column(source);
  if (structure_.chance(40)) {
    const Column* small = column_where(source, is_integer);
    if (small != nullptr) column = small;
  }
  const std::string name = source.alias + "." + column->name;
  if (structure_.chance(8)) return name + structure_.pick({" IS NULL", " IS NOT NULL"});
  if (column->kind == Kind::kBig) return text_test(name, column->kind);
  if (is_textual(column->kind) && structure_.chance(30)) return text_test(name, column->kind);
  if (column->kind == Kind::kBool && structure_.chance(50)) {
    const std::string test =
        structure_.pick({"", "", " IS TRUE", " IS NOT TRUE", " IS UNKNOWN", " IS NOT FALSE"});
    return (structure_.chance(30) ? "NOT " : "") + name + test;
  }
  if (structure_.chance(20)) return list_test(name, column->kind);
  return comparison(name, column->kind);
}

std::string QueryBuilder::predicate(const Scope& scope, int depth) {
  const int choice = structure_.below(100);
  if (depth > 0 && choice < 30) {
    const std::string left = predicate(scope, depth - 1);
    return left + " AND " + predicate(scope, depth - 1);
  }
  if (depth > 0 && choice < 48) {
    const std::string left = predicate(scope, depth - 1);
    return "(" + left + " OR " + predicate(scope, depth - 1) + ")";
  }
  if (depth > 0 && choice < 55) return "NOT (" + predicate(scope, depth - 1) + ")";
  return atom(scope, depth);
}

std::string QueryBuilder::maybe_where(const Scope& scope) {
  if (structure_.chance(15)) return "";
  return " WHERE " + predicate(scope, structure_.below(3));
}

Query QueryBuilder::finish(std::string sql, const std::string& feature, bool ordered) {
  query_.sql = std::move(sql);
  query_.feature = feature;
  query_.ordered = ordered;
  if (!query_.parameters.empty() || structure_.chance(25)) {
    query_.protocol =
        structure_.chance(50) ? Query::Protocol::kExtended : Query::Protocol::kPrepared;
    query_.binary_results = structure_.chance(35);
  }
  return query_;
}

std::vector<std::string> Query::constants() const {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    const bool in_name = i > 0 && (std::isalnum(static_cast<unsigned char>(sql[i - 1])) != 0 ||
                                   sql[i - 1] == '_' || sql[i - 1] == '$');
    std::size_t end = i;
    if (sql[i] == '\'') {
      end = std::min(sql.find('\'', i + 1), sql.size());
      found.push_back(sql.substr(i + 1, end - i - 1));
      i = end;
    } else if (!in_name && std::isdigit(static_cast<unsigned char>(sql[i])) != 0) {
      while (end < sql.size() && std::isdigit(static_cast<unsigned char>(sql[end])) != 0) ++end;
      found.push_back(sql.substr(i, end - i));
      i = end;
    }
  }
  for (const Parameter& p : parameters) {
    if (p.bytes && !p.binary) found.push_back(*p.bytes);
  }
  return found;
}

std::string Query::text() const {
  std::string out = sql;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    out += "\n    $" + std::to_string(i + 1) + " = ";
    if (!p.bytes) {
      out += "NULL";
    } else if (p.binary) {
      out += "\\x";
      for (const char c : *p.bytes) {
        out += "0123456789abcdef"[(c >> 4) & 15];
        out += "0123456789abcdef"[c & 15];
      }
    } else {
      out += quote(p.bytes->substr(0, kShownMax));
      if (p.bytes->size() > kShownMax)
        out += "... of " + std::to_string(p.bytes->size()) + " bytes";
    }
    out += " type " + std::to_string(p.type) + (p.binary ? " binary" : " text");
  }
  static const char* names[] = {"simple", "extended", "prepared"};
  return out + "\n    (" + names[static_cast<int>(protocol)] +
         (binary_results ? ", binary results, " : ", ") + feature + ")";
}

}  // namespace pgcache::oracle
