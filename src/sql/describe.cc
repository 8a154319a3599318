// SPDX-License-Identifier: Apache-2.0
// Predicates and dependencies as text, for people and tests: parameters as $1, lifted literals as
// ?1, constants of the shape as themselves.
#include "sql/describe.h"

#include <string>

#include "sql/analysis.h"

namespace pgcache::sql {
namespace {

// Rows of partners (Partner) are numbered from 1.
std::string show_column(const ColumnRef& column) {
  return column.row == 0 ? column.name : "#" + std::to_string(column.row) + "." + column.name;
}

const char* sign(CompareOp op) {
  switch (op) {
    case CompareOp::kEq:
      return " = ";
    case CompareOp::kNe:
      return " <> ";
    case CompareOp::kLt:
      return " < ";
    case CompareOp::kLe:
      return " <= ";
    case CompareOp::kGt:
      return " > ";
    case CompareOp::kGe:
      return " >= ";
  }
  return " ? ";
}

std::string show_list(const std::vector<OperandIndex>& operands, const CacheableQuery& query) {
  std::string out = "(";
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (i > 0) out += ", ";
    out += describe_operand(operands[i], query);
  }
  return out + ")";
}

std::string show_children(const Predicate& predicate, const char* word,
                          const CacheableQuery& query) {
  std::string out;
  for (std::size_t i = 0; i < predicate.children.size(); ++i) {
    const Predicate& child = predicate.children[i];
    const bool nested = child.kind == Predicate::Kind::kAnd || child.kind == Predicate::Kind::kOr;
    if (i > 0) out += word;
    out += nested ? "(" + describe(child, query) + ")" : describe(child, query);
  }
  return out;
}

std::string show_call(const char* name, const Predicate& predicate, const CacheableQuery& query) {
  return std::string(name) + "(" + show_children(predicate, ", ", query) + ")";
}

std::string show_case(const Predicate& predicate, const CacheableQuery& query) {
  std::string out = "CASE";
  for (std::size_t i = 0; i + 1 < predicate.children.size(); i += 2) {
    out += " WHEN " + describe(predicate.children[i], query) + " THEN " +
           describe(predicate.children[i + 1], query);
  }
  return out + " ELSE " + describe(predicate.children.back(), query) + " END";
}

std::string show_any(const Predicate& p, const CacheableQuery& query) {
  return describe(p.children[0], query) + sign(p.op) + (p.all ? "ALL (" : "ANY (") +
         (p.children.size() > 1 ? describe(p.children[1], query)
                                : describe_operand(p.operand, query)) +
         ")";
}

}  // namespace

std::string describe(const Predicate& predicate, const CacheableQuery& query) {
  switch (predicate.kind) {
    case Predicate::Kind::kTrue:
      return "true";
    case Predicate::Kind::kFalse:
      return "false";
    case Predicate::Kind::kUnknown:
      return "unknown";
    case Predicate::Kind::kAnd:
      return show_children(predicate, " AND ", query);
    case Predicate::Kind::kOr:
      return show_children(predicate, " OR ", query);
    case Predicate::Kind::kNot:
      return "NOT (" + show_children(predicate, "", query) + ")";
    case Predicate::Kind::kCompare:
      return show_column(predicate.column) + sign(predicate.op) +
             describe_operand(predicate.operand, query);
    case Predicate::Kind::kCompareColumns:
      return show_column(predicate.column) + sign(predicate.op) +
             show_column(predicate.other_column);
    case Predicate::Kind::kIsNull:
      return show_column(predicate.column) + " IS NULL";
    case Predicate::Kind::kIn:
      return show_column(predicate.column) + " IN " + show_list(predicate.in_operands, query);
    case Predicate::Kind::kCompareValues:
      return show_children(predicate, sign(predicate.op), query);
    case Predicate::Kind::kIsNullValue:
      return show_children(predicate, "", query) + " IS NULL";
    case Predicate::Kind::kInValues:
      return show_children(predicate, "", query) + " IN " + show_list(predicate.in_operands, query);
    case Predicate::Kind::kAnyOf:
      return show_any(predicate, query);
    case Predicate::Kind::kDistinct:
      return show_children(predicate, " IS DISTINCT FROM ", query);
    case Predicate::Kind::kIsTrue:
      return "(" + show_children(predicate, "", query) + ") IS TRUE";
    case Predicate::Kind::kIsFalse:
      return "(" + show_children(predicate, "", query) + ") IS FALSE";
    case Predicate::Kind::kColumn:
      return show_column(predicate.column);
    case Predicate::Kind::kOperand:
      return describe_operand(predicate.operand, query);
    case Predicate::Kind::kNull:
      return "NULL";
    case Predicate::Kind::kCall:
      return show_call(predicate.function_name.c_str(), predicate, query);
    case Predicate::Kind::kCast:
      return show_call("cast", predicate, query);
    case Predicate::Kind::kCoalesce:
      return show_call("coalesce", predicate, query);
    case Predicate::Kind::kExtreme:
      return show_call(predicate.all ? "greatest" : "least", predicate, query);
    case Predicate::Kind::kNullIf:
      return show_call("nullif", predicate, query);
    case Predicate::Kind::kCase:
      return show_case(predicate, query);
  }
  return "?";
}

// "16384 KEY id = $1, kind IN (?1, ?2) RANGE price >= ?3 WHERE active = 'true' IF $1 > ?4"; the
// parts that are missing do not restrict.
std::string describe(const Dependency& dependency, const CacheableQuery& query) {
  std::string out = std::to_string(pg::to_u32(dependency.relation));
  for (std::size_t i = 0; i < dependency.equalities.size(); ++i) {
    out += (i == 0 ? " KEY " : ", ") + describe_key(dependency.equalities[i], query);
  }
  if (dependency.value_binding) {
    out += " KEY " + describe_key(*dependency.value_binding, query);
  }
  if (dependency.range) {
    const RangeBinding& range = *dependency.range;
    out += " RANGE " + range.column.name;
    if (range.lower)
      out += (range.lower_inclusive ? " >= " : " > ") + describe_operand(*range.lower, query);
    if (range.upper)
      out += (range.upper_inclusive ? " <= " : " < ") + describe_operand(*range.upper, query);
  }
  if (dependency.residual.kind != Predicate::Kind::kTrue) {
    out += " WHERE " + describe(dependency.residual, query);
  }
  if (dependency.guard.kind != Predicate::Kind::kTrue) {
    out += " IF " + describe(dependency.guard, query);
  }
  return out;
}

std::string describe(const Partner& partner, const CacheableQuery& query) {
  std::string out;
  for (const pg::Oid table : partner.tables) {
    out += (out.empty() ? "" : "+") + std::to_string(pg::to_u32(table));
  }
  for (std::size_t i = 0; i < partner.links.size(); ++i) {
    const Partner::Link& link = partner.links[i];
    out += (i == 0 ? " BY " : ", ") + show_column(link.column) +
           (link.nulls_match ? " IS " : " = ") +
           (link.other ? show_column(*link.other) : describe_operand(link.operand, query));
  }
  return out + " WHERE " + describe(partner.condition, query);
}

std::string describe_operand(OperandIndex index, const CacheableQuery& query) {
  if (index >= query.operands.size()) return "?";
  const OperandSpec& spec = query.operands[index];
  std::string out = spec.negated ? "-" : "";
  switch (spec.source) {
    case OperandSpec::Source::kConstant:
      return out + "'" + spec.constant + "'";
    case OperandSpec::Source::kLiteral:
      return out + "?" + std::to_string(spec.index + 1);
    case OperandSpec::Source::kParameter:
      return out + "$" + std::to_string(spec.index + 1);
  }
  return out;
}

std::string describe_key(const EqualityBinding& binding, const CacheableQuery& query) {
  std::string out = binding.column.name;
  if (binding.array) {
    out += " = ANY (" + describe_operand(binding.operands[0], query) + ")";
  } else if (binding.operands.size() == 1) {
    out += " = " + describe_operand(binding.operands[0], query);
  } else {
    out += " IN " + show_list(binding.operands, query);
  }
  return binding.or_null ? out + " OR NULL" : out;
}

std::string describe_key(const ValueBinding& binding, const CacheableQuery& query) {
  return describe(binding.value, query) + " = " + describe(binding.bound, query);
}

std::string describe_range(const RangeBinding& range, const CacheableQuery& query) {
  std::string out;
  if (range.lower) {
    out = range.column.name + (range.lower_inclusive ? " >= " : " > ") +
          describe_operand(*range.lower, query);
  }
  if (range.upper) {
    out += (out.empty() ? "" : " AND ") + range.column.name +
           (range.upper_inclusive ? " <= " : " < ") + describe_operand(*range.upper, query);
  }
  return out;
}

std::string describe_shape(const StatementShape& shape) {
  std::string out;
  std::size_t literals = 0;
  for (std::size_t i = 0; i < shape.text.size(); ++i) {
    if (shape.text[i] == '\x01' && literals < shape.literals.size()) {
      out += "?" + std::to_string(++literals);
      ++i;  // the letter of its kind
    } else {
      out += shape.text[i];
    }
  }
  return out;
}

}  // namespace pgcache::sql
