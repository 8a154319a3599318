// SPDX-License-Identifier: Apache-2.0
#include "sql/predicates.h"

#include <algorithm>

#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {

using Kind = Predicate::Kind;

namespace {

Predicate::Kind list_kind(Expr::Kind kind) {
  switch (kind) {
    case Expr::Kind::kAnd:
      return Kind::kAnd;
    case Expr::Kind::kOr:
      return Kind::kOr;
    case Expr::Kind::kNot:
      return Kind::kNot;
    case Expr::Kind::kDistinct:
      return Kind::kDistinct;
    case Expr::Kind::kIsTrue:
      return Kind::kIsTrue;
    case Expr::Kind::kIsFalse:
      return Kind::kIsFalse;
    case Expr::Kind::kCoalesce:
      return Kind::kCoalesce;
    case Expr::Kind::kNullIf:
      return Kind::kNullIf;
    case Expr::Kind::kCase:
      return Kind::kCase;
    case Expr::Kind::kExtreme:
      return Kind::kExtreme;
    case Expr::Kind::kCall:
      return Kind::kCall;
    case Expr::Kind::kCast:
      return Kind::kCast;
    default:
      return Kind::kUnknown;
  }
}

// The comparison may have come from a column of another collation.
ColumnRef ordered_as(const Expr& comparison, ColumnRef column) {
  column.ordered = column.ordered && comparison.ordered;
  return column;
}

}  // namespace

bool is_unknown(const Predicate& value) {
  return value.kind == Kind::kUnknown ||
         std::any_of(value.children.begin(), value.children.end(), is_unknown);
}

Predicate leaf(Predicate::Kind kind) {
  Predicate p;
  p.kind = kind;
  return p;
}

Predicate simplify(Predicate p, bool positive) {
  if (p.kind == Kind::kNot) {
    p.children[0] = simplify(std::move(p.children[0]), !positive);
    if (p.children[0].kind == Kind::kUnknown) return leaf(Kind::kUnknown);
    return p;
  }
  if (p.kind != Kind::kAnd && p.kind != Kind::kOr) return p;
  std::vector<Predicate> kept;
  bool unknown = false;
  for (Predicate& child : p.children) {
    Predicate simple = simplify(std::move(child), positive);
    if (simple.kind == Kind::kUnknown) {
      unknown = true;
    } else {
      kept.push_back(std::move(simple));
    }
  }
  // Under NOT the roles of AND and OR are exchanged.
  const bool droppable = (p.kind == Kind::kAnd) == positive;
  if ((unknown && !droppable) || kept.empty()) return leaf(Kind::kUnknown);
  if (kept.size() == 1) return std::move(kept[0]);
  p.children = std::move(kept);
  return p;
}

ColumnRef PredicateBuilder::column_ref(ColumnKey key) const {
  const pg::Column& column = query_.uses[key.first].relation->columns[key.second];
  pg::ValueTypePtr type = pg::value_type_of(catalog_, column.type);
  const bool ordered =
      type != nullptr && is_ordered(catalog_, *type, orders_bytes(catalog_, column));
  return {column.name, column.type, ordered, std::move(type)};
}

// A column of a row that is looked at.
bool PredicateBuilder::is_own(const Expr& expr, std::uint32_t use) const {
  if (expr.kind != Expr::Kind::kColumn) return false;
  return rows_ != nullptr ? rows_->contains(expr.use) : expr.use == use;
}

ColumnRef PredicateBuilder::own_column(const Expr& column) const {
  ColumnRef own = column_ref(key_of(column));
  if (rows_ != nullptr) own.row = rows_->at(column.use);
  return own;
}

Predicate PredicateBuilder::build_joint(const Expr& expr, const Rows& rows) {
  rows_ = &rows;
  Predicate predicate = build(expr, kNoUse);
  rows_ = nullptr;
  return predicate;
}

Predicate PredicateBuilder::build_list(Kind kind, const Expr& expr, std::uint32_t use) {
  Predicate p = leaf(kind);
  for (const Expr& child : expr.children) p.children.push_back(build(child, use));
  // AND and OR can make something of a part that is unknown; nothing else can.
  const bool needs_all = kind != Kind::kAnd && kind != Kind::kOr && kind != Kind::kNot;
  if (needs_all && std::any_of(p.children.begin(), p.children.end(), is_unknown)) {
    return leaf(Kind::kUnknown);
  }
  return p;
}

Predicate PredicateBuilder::build(const Expr& expr, std::uint32_t use) {
  switch (expr.kind) {
    case Expr::Kind::kColumn: {
      if (!is_own(expr, use) || query_.uses[expr.use].relation == nullptr) {
        return leaf(Kind::kUnknown);
      }
      Predicate p = leaf(Kind::kColumn);
      p.column = own_column(expr);
      return p.column.value_type ? p : leaf(Kind::kUnknown);
    }
    case Expr::Kind::kOperand:
      return operand(expr);
    case Expr::Kind::kNull:
      return leaf(Kind::kNull);
    case Expr::Kind::kCompare:
      return compare(expr, use);
    case Expr::Kind::kIn:
      return in(expr, use);
    case Expr::Kind::kAnyOf:
      return any_of(expr, use);
    case Expr::Kind::kIsNull:
      return is_null(expr, use);
    case Expr::Kind::kCall: {
      Predicate p = build_list(Kind::kCall, expr, use);
      p.function = expr.function;
      const pg::Function* const function = catalog_.find_function(expr.function);
      if (function != nullptr) p.function_name = function->name;
      p.context.ascii_case = expr.collation.ascii_case;
      // Of a database whose default orders bytes, the case mapping may still be another one.
      p.context.c_collation =
          expr.collation.oid == pg::collation::kC || expr.collation.oid == pg::collation::kPosix;
      p.context.deterministic = expr.collation.deterministic;
      p.context.utf8 = catalog_.encoding() == "UTF8";
      return p;
    }
    case Expr::Kind::kCast: {
      Predicate p = build_list(Kind::kCast, expr, use);
      p.from = catalog_.base_type(expr.children[0].type);
      p.to = expr.type;
      p.typmod = expr.typmod;
      p.context.utf8 = catalog_.encoding() == "UTF8";
      return p;
    }
    default: {
      const Kind kind = list_kind(expr.kind);
      if (kind == Kind::kUnknown) return leaf(kind);
      Predicate p = build_list(kind, expr, use);
      p.all = expr.all;
      return p;
    }
  }
}

Predicate PredicateBuilder::operand(const Expr& expr) {
  const pg::Oid type = expr.operand.type;
  if (type == pg::Oid::kInvalid || !is_usable(expr.operand)) return leaf(Kind::kUnknown);
  if (expr.type == pg::type::kBool && expr.operand.source == OperandSpec::Source::kConstant) {
    return leaf(expr.operand.constant == "true" ? Kind::kTrue : Kind::kFalse);
  }
  Predicate p = leaf(Kind::kOperand);
  p.operand = operand_index(expr.operand);
  return p;
}

Predicate PredicateBuilder::compare(const Expr& expr, std::uint32_t use) {
  const Expr& left = expr.children[0];
  const Expr& right = expr.children[1];
  const auto own = [&](const Expr& e) { return is_own(e, use); };
  Predicate p = leaf(Kind::kUnknown);
  p.op = expr.op;
  if (own(left) && own(right)) {
    p.kind = Kind::kCompareColumns;
    p.column = ordered_as(expr, own_column(left));
    p.other_column = ordered_as(expr, own_column(right));
    return p;
  }
  if (own(left) && right.kind == Expr::Kind::kOperand) {
    if (!is_usable(right.operand)) return p;
    p.kind = Kind::kCompare;
    p.column = ordered_as(expr, own_column(left));
    p.operand = operand_index(right.operand);
    return p;
  }
  p.kind = Kind::kCompareValues;
  p.ordered = expr.ordered;
  for (const Expr& child : expr.children) p.children.push_back(build(child, use));
  return std::any_of(p.children.begin(), p.children.end(), is_unknown) ? leaf(Kind::kUnknown) : p;
}

Predicate PredicateBuilder::in(const Expr& expr, std::uint32_t use) {
  const Expr& left = expr.children[0];
  Predicate p = leaf(Kind::kIn);
  for (std::size_t i = 1; i < expr.children.size(); ++i) {
    if (!is_usable(expr.children[i].operand)) return leaf(Kind::kUnknown);
    p.in_operands.push_back(operand_index(expr.children[i].operand));
  }
  if (left.kind == Expr::Kind::kColumn) {
    if (!is_own(left, use)) return leaf(Kind::kUnknown);
    p.column = own_column(left);
    return p;
  }
  p.kind = Kind::kInValues;
  p.children.push_back(build(left, use));
  return is_unknown(p.children[0]) ? leaf(Kind::kUnknown) : p;
}

Predicate PredicateBuilder::any_of(const Expr& expr, std::uint32_t use) {
  const Expr& array = expr.children[1];
  Predicate p = leaf(Kind::kAnyOf);
  p.op = expr.op;
  p.all = expr.all;
  p.ordered = expr.ordered;
  p.children.push_back(build(expr.children[0], use));
  if (array.kind == Expr::Kind::kOperand) {
    if (!is_usable(array.operand)) return leaf(Kind::kUnknown);
    p.array_type = array.operand.value_type;
    p.operand = operand_index(array.operand);
  } else {
    p.array_type = pg::value_type_of(catalog_, array.type);
    p.children.push_back(build(array, use));
  }
  const bool unknown = std::any_of(p.children.begin(), p.children.end(), is_unknown);
  return unknown || !p.array_type ? leaf(Kind::kUnknown) : p;
}

Predicate PredicateBuilder::is_null(const Expr& expr, std::uint32_t use) {
  const Expr& value = expr.children[0];
  if (value.kind == Expr::Kind::kColumn) {
    if (!is_own(value, use) || query_.uses[value.use].relation == nullptr) {
      return leaf(Kind::kUnknown);
    }
    Predicate p = leaf(Kind::kIsNull);
    p.column = own_column(value);
    return p;
  }
  Predicate p = leaf(Kind::kIsNullValue);
  if (value.kind == Expr::Kind::kOperand) {
    OperandSpec spec = value.operand;
    spec.type = pg::Oid::kInvalid;
    spec.value_type = nullptr;
    spec.typmod = -1;
    Predicate only = leaf(Kind::kOperand);
    only.operand = operand_index(spec);
    p.children.push_back(std::move(only));
    return p;
  }
  p.children.push_back(build(value, use));
  return is_unknown(p.children[0]) ? leaf(Kind::kUnknown) : p;
}

// A parameter whose type turned out uncertain, or other than supposed here, has no known value. A
// text that is cast is the exception: it is read by the target's input function; and so is a number
// beside a float.
bool PredicateBuilder::is_usable(const OperandSpec& spec) const {
  if (spec.source != OperandSpec::Source::kParameter) return true;
  const pg::Oid type = out_.parameter_types[spec.index];
  return type == spec.type || type == pg::type::kText || type == pg::type::kVarchar ||
         (pg::type::is_number(type) && spec.type == pg::type::kFloat8);
}

OperandIndex PredicateBuilder::operand_index(const OperandSpec& spec) {
  const auto key = std::tuple(spec.source, spec.index, spec.negated, spec.type, spec.typmod,
                              spec.family(), spec.constant);
  const auto [it, added] = operand_places_.emplace(key, out_.operands.size());
  if (added) {
    out_.operands.push_back(spec);
    overflow_ = overflow_ || out_.operands.size() > UINT16_MAX;
  }
  return static_cast<OperandIndex>(it->second);
}

}  // namespace pgcache::sql
