// SPDX-License-Identifier: Apache-2.0
// Values that can be computed on a row: how operands are read, which coercions keep a value what it
// is, and calls of built-in functions.
#include <algorithm>
#include <array>

#include "pg/function.h"
#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using pg::Oid;

// Where each type stands in the order in which numbers are implicitly widened.
int width(Oid type) {
  if (type == pg::type::kInt2) return 1;
  if (type == pg::type::kInt4) return 2;
  if (type == pg::type::kInt8) return 3;
  return type == pg::type::kNumeric ? 4 : 0;
}

}  // namespace

std::optional<Expr> Resolver::read_as(Expr operand, Oid type) const {
  if (operand.operand.typmod >= 0) return std::nullopt;  // it is not its text that is read
  if (changes_values(catalog_, type)) return std::nullopt;
  const pg::ValueTypePtr values = pg::value_type_of(catalog_, type);
  if (!values) return std::nullopt;
  // The canonical value is the same; and comparisons know text and inet only.
  const Oid base = values->oid == pg::type::kVarchar ? pg::type::kText
                   : values->oid == pg::type::kCidr  ? pg::type::kInet
                                                     : values->oid;
  operand.type = base;
  operand.operand.type = base;
  operand.operand.value_type = pg::family_of(base) ? nullptr : values;
  return operand;
}

std::optional<Expr> Resolver::coerce(Expr value, Oid type) const {
  if (!is_value(value)) return std::nullopt;
  if (value.kind == Expr::Kind::kNull) {
    value.type = type;
    return value;
  }
  if (value.type == pg::type::kUnknown) {
    if (value.kind != Expr::Kind::kOperand) return std::nullopt;
    return read_as(std::move(value), type);
  }
  const Oid from = base_type(catalog_, value.type);
  if (from == type || (pg::type::is_text(from) && pg::type::is_text(type))) return value;
  // One line of numbers; and a wider integer has no other value.
  if (pg::type::is_number(from) && pg::type::is_number(type) && width(from) <= width(type)) {
    return relabel(std::move(value), type);
  }
  // The nearest float to a number is that of its text.
  if (pg::type::is_number(from) && value.kind == Expr::Kind::kOperand &&
      (type == pg::type::kFloat8 ||
       (type == pg::type::kFloat4 && value.operand.source != OperandSpec::Source::kParameter))) {
    return read_as(std::move(value), type);
  }
  if (from == pg::type::kFloat4 && type == pg::type::kFloat8) {
    return relabel(std::move(value), type);
  }
  const pg::Cast* const cast = catalog_.find_cast(from, type);
  if (cast == nullptr || cast->context != 'i' || !pg::can_cast(from, type)) return std::nullopt;
  Expr out = make_expr(Expr::Kind::kCast, {});
  out.collation = value.collation;
  out.type = type;
  out.children.push_back(std::move(value));
  return out;
}

std::optional<Collation> Resolver::common_collation(const std::vector<Expr>& values) const {
  Collation out;
  for (const Expr& value : values) {
    if (value.collation.oid == Oid::kInvalid || value.collation.oid == out.oid) continue;
    // The database's default yields to any other (manual, 24.2.1).
    if (value.collation.oid == pg::collation::kDefault && out.oid != Oid::kInvalid) continue;
    if (out.oid != Oid::kInvalid && out.oid != pg::collation::kDefault) return std::nullopt;
    out = value.collation;
  }
  return out;
}

std::optional<Expr> Resolver::make_call(Oid function, Oid result, std::vector<Expr> arguments,
                                        const std::vector<Oid>& declared) const {
  if (!is_builtin(function) || !pg::can_call(function) || arguments.size() != declared.size()) {
    return std::nullopt;
  }
  const std::optional<Collation> collation = common_collation(arguments);
  if (!collation || !collation->deterministic) return std::nullopt;
  Expr call = make_expr(Expr::Kind::kCall, {});
  call.function = function;
  call.type = result;
  call.collation = *collation;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::optional<Expr> argument = coerce(std::move(arguments[i]), declared[i]);
    if (!argument) return std::nullopt;
    if (argument->kind == Expr::Kind::kOperand) {
      if (auto type = pg::argument_type(declared[i]))
        argument->operand.value_type = std::move(type);
    }
    call.children.push_back(*std::move(argument));
  }
  return call;
}

std::optional<std::vector<Expr>> Resolver::bring_together(std::vector<Expr> values,
                                                          Oid type) const {
  if (type == Oid::kInvalid || !common_collation(values)) return std::nullopt;
  std::vector<Expr> out;
  for (Expr& value : values) {
    std::optional<Expr> coerced = coerce(std::move(value), type);
    if (!coerced) return std::nullopt;
    out.push_back(*std::move(coerced));
  }
  return out;
}

Expr Resolver::common_column(const ScopeColumn& left, const ScopeColumn& right) const {
  const auto type_of = [](const ScopeColumn& column) {
    return column.untyped ? pg::type::kUnknown : column.expr.type;
  };
  Expr common;
  common.type = common_type({type_of(left), type_of(right)});
  if (common.type == pg::type::kUnknown) common.type = pg::type::kText;
  if (const auto collation = common_collation({left.expr, right.expr})) {
    common.collation = *collation;
  } else {
    common.type = Oid::kInvalid;
  }
  return common;
}

// Numbers stay as they are: they have one line of values.
void Resolver::bring_output(std::uint32_t block, std::size_t i, bool untyped, Oid type) {
  Block& made = query_.blocks[block];
  if (i >= made.outputs.size()) return;
  Expr& output = made.outputs[i];
  const Oid from = base_type(catalog_, output.type);
  if (from == type || output.type == type) return;
  if (pg::type::is_number(from) && pg::type::is_number(type)) return;
  for (const std::uint32_t branch : made.branches) {
    bring_output(query_.uses[branch].block, i, false, type);
  }
  std::optional<Expr> brought;
  const bool plain = made.kind == Block::Kind::kSelect && !made.distinct && !made.grouped;
  if (untyped && output.kind == Expr::Kind::kOperand) {
    brought = read_as(output, type);
  } else if (plain || output.kind == Expr::Kind::kNull) {
    brought = coerce(output, type);
  }
  output = brought ? *std::move(brought) : make_opaque(type, {output});
}

// Of each type, those that are implicitly converted to it and not back are the ones before it on
// its line.
Oid Resolver::common_type(const std::vector<Oid>& types) const {
  using namespace pg::type;  // NOLINT: the types in their order
  constexpr std::array kNumbers = {kInt2, kInt4, kInt8, kNumeric, kFloat4, kFloat8};
  constexpr std::array kTimes = {kDate, kTimestamp, kTimestamptz};
  const auto place = [](const auto& line, Oid type) {
    return std::find(line.begin(), line.end(), type) - line.begin();
  };
  const auto later = [&](const auto& line, Oid a, Oid b) {
    const auto last = std::max(place(line, a), place(line, b));
    return last < std::ssize(line) ? line[static_cast<std::size_t>(last)] : Oid::kInvalid;
  };
  const bool same = std::all_of(types.begin(), types.end(), [&](Oid t) { return t == types[0]; });
  if (same && !types.empty() && types[0] != kUnknown) return types[0];
  Oid common = kUnknown;
  for (const Oid type : types) {
    if (type == Oid::kInvalid) return type;
    const Oid base = base_type(catalog_, type);
    if (base == kUnknown || base == common) continue;
    if (common == kUnknown) {
      common = base;
      continue;
    }
    const Oid number = later(kNumbers, common, base);
    common = number != Oid::kInvalid ? number : later(kTimes, common, base);
    if (common == Oid::kInvalid) return common;
  }
  return common;
}

// CASE, COALESCE and the like.
Oid Resolver::unify(const std::vector<Expr>& exprs) {
  std::vector<Oid> types;
  for (const Expr& expr : exprs) types.push_back(expr.type);
  Oid type = common_type(types);
  if (type == pg::type::kUnknown) type = pg::type::kText;
  if (type == Oid::kInvalid) return type;
  for (const Expr& expr : exprs) settle(expr, type);
  return type;
}

}  // namespace pgcache::sql
