// SPDX-License-Identifier: Apache-2.0
// Operators: whatever a name may mean for these operands must be safe; and the six comparisons,
// where they are certainly PostgreSQL's own on types whose values compare here as they do there.
#include <algorithm>

#include "sql/resolver.h"
#include "sql/safety.h"

namespace pgcache::sql {
namespace {

using pg::Oid;

std::optional<CompareOp> comparison_of(std::string_view name) {
  if (name == "=") return CompareOp::kEq;
  if (name == "<>") return CompareOp::kNe;
  if (name == "<") return CompareOp::kLt;
  if (name == "<=") return CompareOp::kLe;
  if (name == ">") return CompareOp::kGt;
  if (name == ">=") return CompareOp::kGe;
  return std::nullopt;
}

CompareOp flip(CompareOp op) {
  switch (op) {
    case CompareOp::kLt:
      return CompareOp::kGt;
    case CompareOp::kLe:
      return CompareOp::kGe;
    case CompareOp::kGt:
      return CompareOp::kLt;
    case CompareOp::kGe:
      return CompareOp::kLe;
    case CompareOp::kEq:
    case CompareOp::kNe:
      break;
  }
  return op;
}

bool is_number(Oid type) {
  return type == pg::type::kInt2 || type == pg::type::kInt4 || type == pg::type::kInt8 ||
         type == pg::type::kNumeric;
}
bool is_text(Oid type) { return type == pg::type::kText || type == pg::type::kVarchar; }

Expr opaque_bool() {
  Expr expr;
  expr.type = pg::type::kBool;
  return expr;
}

}  // namespace

const pg::Column& Resolver::column_of(const Expr& expr) const {
  return query_.uses[expr.use].relation->columns[expr.column];
}

// ---------------------------------------------------------------- safety

// The types with which PostgreSQL looks for an operator. It takes an untyped operand to have the
// type of the other one, and has no operators of its own on varchar but those of text.
static void effective_types(Oid& left, Oid& right) {
  if (left == pg::type::kVarchar) left = pg::type::kText;
  if (right == pg::type::kVarchar) right = pg::type::kText;
  if (left == pg::type::kUnknown) left = right;
  if (right == pg::type::kUnknown) right = left;
}

Oid Resolver::accept_operator(const pg::Operator& op, const Expr* left, const Expr& right) {
  const pg::Function* const function = catalog_.find_function(op.function);
  if (function == nullptr) {
    fail(BypassReason::kUnknownOperator, op.name);
  } else if (!is_safe_operator_function(*function)) {
    fail(BypassReason::kVolatileOperator, op.name);
  }
  if (!is_builtin(op.oid)) user_types_ = true;
  if (left != nullptr) settle(*left, op.left);
  settle(right, op.right);
  const pg::Type* const result = catalog_.find_type(op.result);
  return result == nullptr || result->kind == 'p' ? Oid::kInvalid : op.result;
}

Oid Resolver::check_operator(const Nodes& name, const Expr* left, const Expr& right) {
  const QualifiedName qualified = split_name(name);
  std::vector<const pg::Operator*> candidates;
  bool varchar_by_users = false;
  for (const pg::Operator& op : catalog_.operators_named(qualified.name)) {
    if (!visible(op.schema, qualified.schema)) continue;
    if ((left == nullptr) != (op.left == Oid::kInvalid)) continue;
    candidates.push_back(&op);
    varchar_by_users =
        varchar_by_users || (!is_builtin(op.oid) && (is_builtin(op.left) || is_builtin(op.right)));
  }
  Oid left_type = left == nullptr ? Oid::kInvalid : left->type;
  Oid right_type = right.type;
  if (left != nullptr && !varchar_by_users) effective_types(left_type, right_type);
  const auto known = [](Oid type) { return type != Oid::kInvalid && type != pg::type::kUnknown; };
  if (known(right_type) && (left == nullptr || known(left_type))) {
    std::vector<const pg::Operator*> exact;
    for (const pg::Operator* op : candidates) {
      if (op->left == left_type && op->right == right_type) exact.push_back(op);
    }
    // More than one: in several schemas. The order of the path would tell; all must be safe then.
    if (exact.size() == 1) return accept_operator(*exact[0], left, right);
  }
  std::erase_if(candidates, [&](const pg::Operator* op) {
    return (left != nullptr && !may_coerce(catalog_, left->type, op->left)) ||
           !may_coerce(catalog_, right.type, op->right);
  });
  if (candidates.empty()) {
    fail(BypassReason::kUnknownOperator, qualified.name);
    return Oid::kInvalid;
  }
  Oid result = Oid::kInvalid;
  bool left_timeless = true;
  bool right_timeless = true;
  Expr nothing;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const pg::Operator& op = *candidates[i];
    const Oid type = accept_operator(op, left == nullptr ? nullptr : &nothing, nothing);
    result = i == 0 || result == type ? type : Oid::kInvalid;
    left_timeless = left_timeless && reads_no_time(catalog_, op.left);
    right_timeless = right_timeless && reads_no_time(catalog_, op.right);
  }
  if (left != nullptr && left_timeless) settle_timeless(*left);
  if (right_timeless) settle_timeless(right);
  return result;
}

void Resolver::check_sort_operator(const Nodes& name) {
  if (name.empty()) return;
  const Expr any;
  check_operator(name, &any, any);
}

// ---------------------------------------------------------------- comparisons

// No other operator of this name can be meant for values of built-in types.
bool Resolver::is_builtin_comparison(std::string_view schema, std::string_view name) const {
  if (!comparison_of(name)) return false;
  if (schema.empty() ? !in_path(kPgCatalog) : schema != "pg_catalog") return false;
  const std::vector<pg::Operator>& operators = catalog_.operators_named(name);
  return std::none_of(operators.begin(), operators.end(), [&](const pg::Operator& op) {
    return op.schema != kPgCatalog && visible(op.schema, schema) &&
           (is_builtin(op.left) || is_builtin(op.right));
  });
}

Expr Resolver::apply_operator(const Nodes& name, const Expr* left, const Expr& right) {
  if (failed()) return {};
  if (left != nullptr && left->kind == Expr::Kind::kRow && right.kind == Expr::Kind::kRow) {
    return apply_row_operator(name, *left, right);
  }
  Expr result;
  result.type = check_operator(name, left, right);
  const QualifiedName qualified = split_name(name);
  if (failed() || left == nullptr || !is_builtin_comparison(qualified.schema, qualified.name)) {
    return result;
  }
  return make_comparison(*comparison_of(qualified.name), *left, right);
}

Expr Resolver::apply_row_operator(const Nodes& name, const Expr& left, const Expr& right) {
  if (left.children.size() != right.children.size()) {
    fail(BypassReason::kUnsupported, "row comparison");
    return {};
  }
  Expr result;
  result.type = pg::type::kBool;
  const std::string_view sign = split_name(name).name;
  if (sign == "=") result.kind = Expr::Kind::kAnd;
  if (sign == "<>") result.kind = Expr::Kind::kOr;
  for (std::size_t i = 0; i < left.children.size() && !failed(); ++i) {
    Expr pair = apply_operator(name, &left.children[i], right.children[i]);
    if (result.kind != Expr::Kind::kOpaque) result.children.push_back(std::move(pair));
  }
  return result;
}

Expr Resolver::make_comparison(CompareOp op, const Expr& left, const Expr& right) {
  const bool left_column = left.kind == Expr::Kind::kColumn;
  const bool right_column = right.kind == Expr::Kind::kColumn;
  if (left_column && right_column) return compare_columns(op, left, right);
  if (left_column && right.kind == Expr::Kind::kOperand) return compare_operand(op, left, right);
  if (right_column && left.kind == Expr::Kind::kOperand) {
    return compare_operand(flip(op), right, left);
  }
  return opaque_bool();
}

Expr Resolver::compare_columns(CompareOp op, const Expr& left, const Expr& right) {
  const pg::Column& l = column_of(left);
  const pg::Column& r = column_of(right);
  const bool numbers = is_number(l.type) && is_number(r.type);
  const bool texts = is_text(l.type) && is_text(r.type);
  if (!numbers && !texts && l.type != r.type) return opaque_bool();
  if (!pg::family_of(l.type) || !pg::family_of(r.type)) return opaque_bool();
  if (l.collation != r.collation || !l.collation_deterministic || !r.collation_deterministic) {
    return opaque_bool();
  }
  Expr result = opaque_bool();
  result.kind = Expr::Kind::kCompare;
  result.op = op;
  result.children = {left, right};
  return result;
}

Expr Resolver::compare_operand(CompareOp op, const Expr& column, Expr operand) {
  const pg::Column& c = column_of(column);
  if (!pg::family_of(c.type) || !c.collation_deterministic) return opaque_bool();
  if (operand.type == pg::type::kUnknown) {
    operand.operand.type = c.type == pg::type::kVarchar ? pg::type::kText : c.type;
    operand.type = operand.operand.type;
  } else {
    const bool numbers = is_number(c.type) && is_number(operand.type);
    const bool texts = is_text(c.type) && is_text(operand.type);
    if (!numbers && !texts && operand.type != c.type) return opaque_bool();
  }
  if (pg::family_of(operand.operand.type) != pg::family_of(c.type)) return opaque_bool();
  Expr result = opaque_bool();
  result.kind = Expr::Kind::kCompare;
  result.op = op;
  result.children.push_back(column);
  result.children.push_back(std::move(operand));
  return result;
}

}  // namespace pgcache::sql
