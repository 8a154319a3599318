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
  if (a.family() != b.family()) return kAny;
  if (op == CompareOp::kEq) return of(a == b);
  if (op == CompareOp::kNe) return of(!(a == b));
  if (!ordered) return kAny;
  const auto order = pg::compare(a, b);
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
        return in(p);
    }
    return kAny;
  }

 private:
  const Operand& operand(OperandIndex index) const {
    static const Operand kUnknownOperand;
    return index < operands_.size() ? operands_[index] : kUnknownOperand;
  }

  Possible in(const Predicate& p) const {
    const Operand column = row_.column(p.column);
    Possible none = kT;
    for (const OperandIndex index : p.in_operands) {
      none = both(none, negate(compare_operands(CompareOp::kEq, column, operand(index), false)));
    }
    return negate(none);
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

bool may_hold(const Predicate& guard, const std::vector<Operand>& operands) {
  struct NoRow final : RowView {
    Operand column(const ColumnRef&) const override { return {}; }
  };
  return guard.kind == Predicate::Kind::kTrue || may_match(guard, NoRow(), operands);
}

void each_column(const Predicate& predicate, const std::function<void(const ColumnRef&)>& visit) {
  switch (predicate.kind) {
    case Predicate::Kind::kTrue:
    case Predicate::Kind::kFalse:
    case Predicate::Kind::kUnknown:
      return;
    case Predicate::Kind::kAnd:
    case Predicate::Kind::kOr:
    case Predicate::Kind::kNot:
      for (const Predicate& child : predicate.children) each_column(child, visit);
      return;
    case Predicate::Kind::kCompareColumns:
      visit(predicate.other_column);
      return visit(predicate.column);
    case Predicate::Kind::kCompare:
    case Predicate::Kind::kIsNull:
    case Predicate::Kind::kIn:
      return visit(predicate.column);
  }
}

}  // namespace pgcache::sql
