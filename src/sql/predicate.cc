// SPDX-License-Identifier: Apache-2.0
// Evaluation of predicates on one row. Internally a truth is the set of the values it may have, so
// that "false or NULL" under AND, OR and NOT stays exact.
#include <algorithm>
#include <compare>

#include "sql/analysis.h"

namespace pgcache::sql {
namespace {

using Possible = std::uint8_t;
constexpr Possible kT = 1;
constexpr Possible kF = 2;
constexpr Possible kN = 4;
constexpr Possible kAny = kT | kF | kN;

using State = Operand::State;

Possible of(bool truth) { return truth ? kT : kF; }

// SQL's AND of two sets of possibilities.
Possible both(Possible a, Possible b) {
  Possible out = 0;
  if ((a & kT) && (b & kT)) out |= kT;
  if ((a & kF) || (b & kF)) out |= kF;
  if (((a & kN) && (b & (kN | kT))) || ((b & kN) && (a & (kN | kT)))) out |= kN;
  return out;
}

Possible negate(Possible a) {
  return static_cast<Possible>((a & kN) | (a & kT ? kF : 0) | (a & kF ? kT : 0));
}

Possible compare_values(CompareOp op, const pg::Value& a, const pg::Value& b, bool ordered) {
  constexpr auto kParts = pg::ValueFamily::kIntervalParts;
  if (a.family() == kParts || b.family() == kParts) {
    return compare_values(op, pg::compared_form(a), pg::compared_form(b), ordered);
  }
  if (a.family() != b.family()) return kAny;
  if (op == CompareOp::kEq) return of(a == b);
  if (op == CompareOp::kNe) return of(!(a == b));
  auto order = ordered ? pg::compare(a, b) : pg::compare_without_collation(a, b);
  if (!order && a == b) order = std::strong_ordering::equal;  // by any collation
  if (!order) return kAny;
  switch (op) {
    case CompareOp::kLt:
      return of(std::is_lt(*order));
    case CompareOp::kLe:
      return of(std::is_lteq(*order));
    case CompareOp::kGt:
      return of(std::is_gt(*order));
    case CompareOp::kGe:
      return of(std::is_gteq(*order));
    case CompareOp::kEq:
    case CompareOp::kNe:
      break;
  }
  return kAny;
}

Possible compare_operands(CompareOp op, const Operand& a, const Operand& b, bool ordered) {
  if (a.state == State::kNull || b.state == State::kNull) return kN;
  if (a.state == State::kUnknown || b.state == State::kUnknown) return kAny;
  return compare_values(op, *a.value, *b.value, ordered);
}

class Evaluator {
 public:
  Evaluator(const RowView& row, const std::vector<Operand>& operands)
      : row_(row), operands_(operands) {}

  Possible eval(const Predicate& p) const {
    switch (p.kind) {
      case Predicate::Kind::kTrue:
        return kT;
      case Predicate::Kind::kFalse:
        return kF;
      case Predicate::Kind::kUnknown:
        return kAny;
      case Predicate::Kind::kAnd: {
        Possible out = kT;
        for (const Predicate& child : p.children) out = both(out, eval(child));
        return out;
      }
      case Predicate::Kind::kOr: {
        Possible none = kT;  // De Morgan
        for (const Predicate& child : p.children) none = both(none, negate(eval(child)));
        return negate(none);
      }
      case Predicate::Kind::kNot:
        return p.children.size() == 1 ? negate(eval(p.children[0])) : kAny;
      case Predicate::Kind::kCompare:
        return compare_operands(p.op, row_.column(p.column), operand(p.operand), p.column.ordered);
      case Predicate::Kind::kCompareColumns:
        return compare_operands(p.op, row_.column(p.column), row_.column(p.other_column),
                                p.column.ordered && p.other_column.ordered);
      case Predicate::Kind::kIsNull: {
        const State state = row_.column(p.column).state;
        return state == State::kUnknown ? (kT | kF) : of(state == State::kNull);
      }
      case Predicate::Kind::kIn:
        return in(row_.column(p.column), p.in_operands);
      case Predicate::Kind::kInValues:
        return in(value(p.children[0]), p.in_operands);
      case Predicate::Kind::kCompareValues:
        return compare_operands(p.op, value(p.children[0]), value(p.children[1]), p.ordered);
      case Predicate::Kind::kIsNullValue: {
        const State state = value(p.children[0]).state;
        return state == State::kUnknown ? (kT | kF) : of(state == State::kNull);
      }
      case Predicate::Kind::kAnyOf:
        return any_of(p);
      case Predicate::Kind::kDistinct:
        return distinct(value(p.children[0]), value(p.children[1]));
      case Predicate::Kind::kIsTrue:
        return test(eval(p.children[0]), kT);
      case Predicate::Kind::kIsFalse:
        return test(eval(p.children[0]), kF);
      default:
        return truth_of(value(p));
    }
  }

  // Of a condition: true, false or NULL as a boolean value.
  Operand value(const Predicate& p) const {
    switch (p.kind) {
      case Predicate::Kind::kColumn:
        return row_.column(p.column);
      case Predicate::Kind::kOperand:
        return operand(p.operand);
      case Predicate::Kind::kNull:
        return Operand::null();
      case Predicate::Kind::kCall: {
        std::vector<Operand> arguments;
        arguments.reserve(p.children.size());
        for (const Predicate& child : p.children) arguments.push_back(value(child));
        return pg::call(p.function, arguments, p.context);
      }
      case Predicate::Kind::kCast:
        return pg::cast(p.from, p.to, p.typmod, value(p.children[0]), p.context);
      case Predicate::Kind::kCoalesce:
        for (const Predicate& child : p.children) {
          Operand v = value(child);
          if (v.state != State::kNull) return v;
        }
        return Operand::null();
      case Predicate::Kind::kNullIf: {
        Operand v = value(p.children[0]);
        const Possible same = compare_operands(CompareOp::kEq, v, value(p.children[1]), false);
        if (same == kT) return Operand::null();
        return (same & kT) == 0 ? v : Operand{};
      }
      case Predicate::Kind::kExtreme:
        return extreme(p);
      case Predicate::Kind::kCase:
        return choose(p);
      default:
        return from_truth(eval(p));
    }
  }

 private:
  const Operand& operand(OperandIndex index) const {
    static const Operand kUnknownOperand;
    return index < operands_.size() ? operands_[index] : kUnknownOperand;
  }

  Possible in(const Operand& v, const std::vector<OperandIndex>& list) const {
    Possible none = kT;
    for (const OperandIndex index : list) {
      none = both(none, negate(compare_operands(CompareOp::kEq, v, operand(index), false)));
    }
    return negate(none);
  }

  Possible any_of(const Predicate& p) const {
    const Operand v = value(p.children[0]);
    const Operand array = p.children.size() > 1 ? value(p.children[1]) : operand(p.operand);
    if (array.state == State::kNull) return kN;
    if (array.state == State::kUnknown || !p.array_type) return kAny;
    const auto elements = pg::array_elements(*p.array_type, *array.value);
    if (!elements) return kAny;
    Possible all = kT;  // ANY by De Morgan
    for (const Operand& element : *elements) {
      const Possible one = compare_operands(p.op, v, element, p.ordered);
      all = both(all, p.all ? one : negate(one));
    }
    return p.all ? all : negate(all);
  }

  static Possible distinct(const Operand& a, const Operand& b) {
    if (a.state == State::kUnknown || b.state == State::kUnknown) return kT | kF;
    if (a.state == State::kNull || b.state == State::kNull) return of(a.state != b.state);
    return compare_values(CompareOp::kNe, *a.value, *b.value, false) & (kT | kF);
  }

  static Possible test(Possible truth, Possible wanted) {
    Possible out = 0;
    if ((truth & wanted) != 0) out |= kT;
    if ((truth & static_cast<Possible>(kAny & ~wanted)) != 0) out |= kF;
    return out;
  }

  static Possible truth_of(const Operand& v) {
    if (v.state == State::kNull) return kN;
    if (v.state == State::kUnknown || v.value->family() != pg::ValueFamily::kBool) return kAny;
    return of(v.value->bytes() != std::string(1, '\0'));
  }

  static Operand from_truth(Possible truth) {
    if (truth == kN) return Operand::null();
    if (truth != kT && truth != kF) return {};
    const auto v = pg::parse_text(pg::type::kBool, truth == kT ? "true" : "false");
    return v ? Operand::of(*v) : Operand{};
  }

  Operand extreme(const Predicate& p) const {
    Operand best = Operand::null();
    for (const Predicate& child : p.children) {
      Operand v = value(child);
      if (v.state == State::kUnknown) return {};
      if (v.state == State::kNull) continue;
      if (best.state == State::kNull) {
        best = std::move(v);
        continue;
      }
      const auto order = pg::compare(*v.value, *best.value);
      if (!order) return {};
      if (p.all ? std::is_gt(*order) : std::is_lt(*order)) best = std::move(v);
    }
    return best;
  }

  Operand choose(const Predicate& p) const {
    for (std::size_t i = 0; i + 1 < p.children.size(); i += 2) {
      const Possible when = eval(p.children[i]);
      if (when == kT) return value(p.children[i + 1]);
      if ((when & kT) != 0) return {};
    }
    return value(p.children.back());
  }

  const RowView& row_;
  const std::vector<Operand>& operands_;
};

}  // namespace

// "False or NULL" has no name of its own: it is reported as NULL, which says the same to whoever
// asks whether the row can pass.
Truth evaluate(const Predicate& predicate, const RowView& row,
               const std::vector<Operand>& operands) {
  const Possible possible = Evaluator(row, operands).eval(predicate);
  if (possible == kT) return Truth::kTrue;
  if (possible == kF) return Truth::kFalse;
  return (possible & kT) != 0 ? Truth::kUnknown : Truth::kNull;
}

namespace {
struct NoRow final : RowView {
  Operand column(const ColumnRef&) const override { return {}; }
};
}  // namespace

Operand value_of(const Predicate& expression, const RowView* row,
                 const std::vector<Operand>& operands) {
  const NoRow none;
  const RowView& view = row != nullptr ? *row : none;
  return Evaluator(view, operands).value(expression);
}

bool may_hold(const Predicate& guard, const std::vector<Operand>& operands) {
  return guard.kind == Predicate::Kind::kTrue || may_match(guard, NoRow(), operands);
}

void each_column(const Predicate& predicate, const std::function<void(const ColumnRef&)>& visit) {
  switch (predicate.kind) {
    case Predicate::Kind::kCompareColumns:
      visit(predicate.other_column);
      return visit(predicate.column);
    case Predicate::Kind::kCompare:
    case Predicate::Kind::kIsNull:
    case Predicate::Kind::kIn:
    case Predicate::Kind::kColumn:
      return visit(predicate.column);
    default:
      for (const Predicate& child : predicate.children) each_column(child, visit);
      return;
  }
}

}  // namespace pgcache::sql
