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
  const auto seldom = [&] { return relation->caching != Caching::kYes || relation->leaf; };
  for (int i = 0; i < 2 && seldom() && structure_.chance(70); ++i) {
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

std::string QueryBuilder::named(const std::string& name) {
  const Relation& relation = *schema_.find(name);
  note(relation.caching);
  query_.relations.push_back(&relation);
  return structure_.chance(75) ? relation.name : relation.qualified();
}

std::string QueryBuilder::parameter(Kind kind) {
  Parameter made;
  const std::string text = value_text(kind, values_);
  made = typed_parameter(kind, text, structure_.below(12));
  if (values_.chance(4)) made.bytes.reset();
  query_.parameters.push_back(made);
  return "$" + std::to_string(query_.parameters.size());
}

std::string QueryBuilder::array_parameter(const std::string& text) {
  query_.parameters.push_back({text, 0, false});
  return "$" + std::to_string(query_.parameters.size());
}

std::string QueryBuilder::value(Kind kind) {
  if (with_parameters_ && structure_.chance(65)) return parameter(kind);
  return literal(kind, values_);
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
