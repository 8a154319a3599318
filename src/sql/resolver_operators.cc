// SPDX-License-Identifier: Apache-2.0
// Operators: whatever a name may mean for these operands must be safe; and the six comparisons,
// where they are certainly PostgreSQL's own on types whose values compare here as they do there.
#include <algorithm>

#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

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

bool is_known(Oid type) { return type != Oid::kInvalid && type != pg::type::kUnknown; }

// Of two different types of numbers; nothing where the choice is not as simple.
Oid wider(Oid a, Oid b) {
  for (const Oid wide : {pg::type::kFloat8, pg::type::kNumeric}) {
    if (a == wide && pg::type::is_number(b)) return wide;
    if (b == wide && pg::type::is_number(a)) return wide;
  }
  return Oid::kInvalid;
}

std::vector<Expr> both(const Expr* left, const Expr& right) {
  std::vector<Expr> out;
  if (left != nullptr) out.push_back(*left);
  out.push_back(right);
  return out;
}

// The types with which PostgreSQL looks for an operator. It takes an untyped operand to have the
// type of the other one, a domain for its base type, and has no operators of its own on varchar and
// cidr but those of text and inet.
void effective_types(const pg::Catalog& catalog, Oid& left, Oid& right) {
  left = base_type(catalog, left);
  right = base_type(catalog, right);
  for (Oid* type : {&left, &right}) {
    if (*type == pg::type::kVarchar) *type = pg::type::kText;
    if (*type == pg::type::kCidr) *type = pg::type::kInet;
  }
  if (left == pg::type::kUnknown) left = right;
  if (right == pg::type::kUnknown) right = left;
}

// Certainly converted without being asked for, or nothing to convert.
bool coerces(const pg::Catalog& catalog, Oid from, Oid to) {
  if (from == to || from == pg::type::kUnknown) return true;
  const pg::Cast* const cast = catalog.find_cast(from, to);
  return cast != nullptr && cast->context == 'i';
}

// Of the operators that may take these operands, the one of which more operands are of the very
// type than of any other (manual, 10.2, step 3c), if it takes them.
const pg::Operator* most_exact(const pg::Catalog& catalog,
                               const std::vector<const pg::Operator*>& candidates, Oid left,
                               Oid right) {
  if (left == Oid::kInvalid || right == Oid::kInvalid) return nullptr;
  const auto matches = [&](const pg::Operator& op) {
    return (op.left == left ? 1 : 0) + (op.right == right ? 1 : 0);
  };
  const pg::Operator* best = nullptr;
  bool unique = false;
  for (const pg::Operator* op : candidates) {
    const bool better = best == nullptr || matches(*op) > matches(*best);
    unique = better || (unique && matches(*op) < matches(*best));
    if (better) best = op;
  }
  const bool takes =
      unique && coerces(catalog, left, best->left) && coerces(catalog, right, best->right);
  return takes ? best : nullptr;
}

}  // namespace

// ---------------------------------------------------------------- safety

Oid Resolver::accept_operator(const pg::Operator& op, const Expr* left, const Expr& right) {
  const pg::Function* const function = catalog_.find_function(op.function);
  if (function == nullptr) {
    fail(BypassReason::kUnknownOperator, op.name);
  } else if (!is_safe_operator_function(*function)) {
    fail(BypassReason::kVolatileOperator, op.name);
  } else {
    touch_parameters(*function);
  }
  if (!is_builtin(op.oid)) user_types_ = true;
  if (left != nullptr) settle(*left, op.left);
  settle(right, op.right);
  const pg::Type* const result = catalog_.find_type(op.result);
  return result == nullptr || result->kind == 'p' ? Oid::kInvalid : op.result;
}

Resolver::OperatorChoice Resolver::check_operator(const Nodes& name, const Expr* left,
                                                  const Expr& right) {
  const QualifiedName qualified = split_name(name);
  std::vector<const pg::Operator*> candidates;
  bool by_users = false;  // on the very types that effective_types() looks through
  Oid left_type = left == nullptr ? Oid::kInvalid : left->type;
  Oid right_type = right.type;
  for (const pg::Operator& op : catalog_.operators_named(qualified.name)) {
    if (!visible(op.schema, qualified.schema)) continue;
    if ((left == nullptr) != (op.left == Oid::kInvalid)) continue;
    candidates.push_back(&op);
    by_users =
        by_users || (!is_builtin(op.oid) && (is_builtin(op.left) || is_builtin(op.right) ||
                                             op.left == left_type || op.right == right_type));
  }
  if (left != nullptr && !by_users) effective_types(catalog_, left_type, right_type);
  if (is_known(right_type) && (left == nullptr || is_known(left_type))) {
    std::vector<const pg::Operator*> exact;
    for (const pg::Operator* op : candidates) {
      if (op->left == left_type && op->right == right_type) exact.push_back(op);
    }
    // More than one: in several schemas. The order of the path would tell; all must be safe then.
    if (exact.size() == 1) return {accept_operator(*exact[0], left, right), exact[0]};
    // Of the operators that two different numbers may be coerced to, the one that takes one of them
    // as it is (manual, 10.2, step 3c).
    if (exact.empty() && !by_users && left != nullptr) {
      const Oid wide = wider(left_type, right_type);
      const pg::Operator* const op = catalog_.find_operator(kPgCatalog, qualified.name, wide, wide);
      if (op != nullptr && wide != Oid::kInvalid && visible(kPgCatalog, qualified.schema)) {
        return {accept_operator(*op, left, right), op};
      }
    }
  }
  std::erase_if(candidates, [&](const pg::Operator* op) {
    return (left != nullptr && !may_coerce(catalog_, left->type, op->left)) ||
           !may_coerce(catalog_, right.type, op->right);
  });
  if (candidates.empty()) {
    fail(BypassReason::kUnknownOperator, qualified.name);
    return {};
  }
  if (!by_users && left != nullptr) {
    const Oid unknown = pg::type::kUnknown;
    const pg::Operator* const op =
        most_exact(catalog_, candidates, left->type == unknown ? unknown : left_type,
                   right.type == unknown ? unknown : right_type);
    if (op != nullptr) return {accept_operator(*op, left, right), op};
  }
  OperatorChoice choice;
  bool left_timeless = true;
  bool right_timeless = true;
  Expr nothing;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const pg::Operator& op = *candidates[i];
    const Oid type = accept_operator(op, left == nullptr ? nullptr : &nothing, nothing);
    choice.result = i == 0 || choice.result == type ? type : Oid::kInvalid;
    left_timeless = left_timeless && reads_no_time(catalog_, op.left);
    right_timeless = right_timeless && reads_no_time(catalog_, op.right);
  }
  if (left != nullptr && left_timeless) settle_timeless(*left);
  if (right_timeless) settle_timeless(right);
  return choice;
}

void Resolver::check_sort_operator(const Nodes& name) {
  if (name.empty()) return;
  const Expr any;
  check_operator(name, &any, any);
}

// ---------------------------------------------------------------- comparisons

// No other operator of this name can be meant for values of these types, or of built-in ones.
bool Resolver::is_builtin_comparison(std::string_view schema, std::string_view name,
                                     const Expr& left, const Expr& right) const {
  if (!comparison_of(name)) return false;
  if (schema.empty() ? !in_path(kPgCatalog) : schema != "pg_catalog") return false;
  const auto concerns = [&](Oid type) {
    return is_builtin(type) || type == left.type || type == right.type;
  };
  const std::vector<pg::Operator>& operators = catalog_.operators_named(name);
  return std::none_of(operators.begin(), operators.end(), [&](const pg::Operator& op) {
    return op.schema != kPgCatalog && visible(op.schema, schema) &&
           (concerns(op.left) || concerns(op.right));
  });
}

Expr Resolver::apply_named(std::string_view name, const Expr& left, const Expr& right) {
  PgQuery__String text = PG_QUERY__STRING__INIT;
  std::string copy(name);
  text.sval = copy.data();
  Node node = PG_QUERY__NODE__INIT;
  node.node_case = PG_QUERY__NODE__NODE_STRING;
  node.string = &text;
  return apply_operator({&node}, &left, right);
}

Expr Resolver::apply_operator(const Nodes& name, const Expr* left, const Expr& right) {
  if (failed()) return {};
  if (left != nullptr && left->kind == Expr::Kind::kRow && right.kind == Expr::Kind::kRow) {
    return apply_row_operator(name, *left, right);
  }
  const OperatorChoice choice = check_operator(name, left, right);
  if (failed()) return {};
  const QualifiedName qualified = split_name(name);
  const bool compares =
      left != nullptr && is_builtin_comparison(qualified.schema, qualified.name, *left, right);
  if (compares) {
    settle_polymorphic(*left, right);
    if (std::optional<Expr> c = compare(*comparison_of(qualified.name), *left, right)) return *c;
  }
  if (choice.chosen != nullptr) {
    std::vector<Oid> declared;
    if (left != nullptr) declared.push_back(choice.chosen->left);
    declared.push_back(choice.chosen->right);
    std::optional<Expr> call =
        make_call(choice.chosen->function, choice.result, both(left, right), declared);
    if (call) return *std::move(call);
  }
  Expr opaque = make_opaque(choice.result, both(left, right));
  if (compares) note_comparison(*comparison_of(qualified.name), opaque);
  return opaque;
}

// With the value of a subquery, which is that of its column.
void Resolver::note_comparison(CompareOp op, Expr& opaque) {
  std::vector<Expr>& sides = opaque.children;
  const auto is_scalar = [](const Expr& side) {
    return side.kind == Expr::Kind::kSublink && side.link == LinkKind::kScalar &&
           side.type != Oid::kInvalid && side.children.empty();
  };
  if (sides.size() != 2 || is_scalar(sides[0]) == is_scalar(sides[1])) return;
  Expr& link = is_scalar(sides[0]) ? sides[0] : sides[1];
  Expr column = make_column({link.use, 0}, link.type);
  column.collation = link.collation;
  std::optional<Expr> comparison = &link == &sides[0] ? compare(op, std::move(column), sides[1])
                                                      : compare(op, sides[0], std::move(column));
  if (!comparison) return;
  link.children.push_back(*std::move(comparison));
  opaque.compares = true;
}

// The comparisons of enums and arrays take two values of one type: an untyped one is of that of the
// other.
void Resolver::settle_polymorphic(const Expr& left, const Expr& right) {
  const auto is_polymorphic = [&](Oid type) {
    const pg::Type* const found = catalog_.find_type(type);
    return found != nullptr && (found->kind == 'e' || found->element != Oid::kInvalid);
  };
  if (left.type == pg::type::kUnknown && is_polymorphic(right.type)) settle(left, right.type);
  if (right.type == pg::type::kUnknown && is_polymorphic(left.type)) settle(right, left.type);
}

std::optional<Expr> Resolver::in_order(const std::vector<Expr>& pairs) {
  std::optional<Expr> out;
  for (std::size_t i = pairs.size(); i-- > 0;) {
    if (pairs[i].kind != Expr::Kind::kCompare) return std::nullopt;
    if (!out) {
      out = pairs[i];
      continue;
    }
    Expr strictly = pairs[i];
    if (strictly.op == CompareOp::kLe) strictly.op = CompareOp::kLt;
    if (strictly.op == CompareOp::kGe) strictly.op = CompareOp::kGt;
    Expr equal = pairs[i];
    equal.op = CompareOp::kEq;
    Expr later = make_expr(Expr::Kind::kAnd, {std::move(equal), *std::move(out)});
    out = make_expr(Expr::Kind::kOr, {std::move(strictly), std::move(later)});
  }
  return out;
}

Expr Resolver::apply_row_operator(const Nodes& name, const Expr& left, const Expr& right) {
  if (left.children.size() != right.children.size()) {
    fail(BypassReason::kUnsupported, "row comparison");
    return {};
  }
  std::vector<Expr> pairs;
  for (std::size_t i = 0; i < left.children.size() && !failed(); ++i) {
    pairs.push_back(apply_operator(name, &left.children[i], right.children[i]));
  }
  const std::string_view sign = split_name(name).name;
  if (sign == "=") return make_expr(Expr::Kind::kAnd, std::move(pairs));
  if (sign == "<>") return make_expr(Expr::Kind::kOr, std::move(pairs));
  if (std::optional<Expr> ordered = in_order(pairs)) return *std::move(ordered);
  return make_opaque(pg::type::kBool, std::move(pairs));
}

std::optional<Expr> Resolver::compare(CompareOp op, Expr left, Expr right) {
  if (!is_value(left) || !is_value(right)) return std::nullopt;
  if (left.kind == Expr::Kind::kOperand && right.kind != Expr::Kind::kOperand) {
    std::swap(left, right);
    op = flip(op);
  }
  for (Expr* side : {&left, &right}) {
    const Oid other = base_type(catalog_, (side == &left ? right : left).type);
    const bool literal = side->type == pg::type::kUnknown;
    // A number beside a float is converted to one.
    const bool widened = side->kind == Expr::Kind::kOperand && pg::type::is_number(side->type) &&
                         pg::family_of(other) == pg::ValueFamily::kFloat;
    if (!literal && !widened) continue;
    if (!is_known(other)) return std::nullopt;
    std::optional<Expr> read = coerce(*side, widened ? pg::type::kFloat8 : other);
    if (!read) return std::nullopt;
    *side = *std::move(read);
  }
  const pg::ValueTypePtr l = pg::value_type_of(catalog_, left.type);
  const pg::ValueTypePtr r = pg::value_type_of(catalog_, right.type);
  if (!l || !r || l->family != r->family) return std::nullopt;
  if (!pg::family_of(l->oid) && l->oid != r->oid) return std::nullopt;
  const std::optional<Collation> collation = common_collation({left, right});
  if (!collation || !collation->deterministic) return std::nullopt;
  Expr result = make_expr(Expr::Kind::kCompare, {});
  result.op = op;
  result.ordered = is_ordered(catalog_, *l, collation->is_c);
  result.children.push_back(std::move(left));
  result.children.push_back(std::move(right));
  return result;
}

Expr Resolver::compare_with_array(const Nodes& name, const Expr& left, Expr array, bool all) {
  // An untyped array has elements of the type that the operator wants beside the left side.
  Expr element;
  const bool untyped = array.type == pg::type::kUnknown;
  const pg::Type* type = catalog_.find_type(base_type(catalog_, array.type));
  element.type = untyped ? pg::type::kUnknown : type != nullptr ? type->element : Oid::kInvalid;
  const OperatorChoice choice = check_operator(name, &left, element);
  if (failed()) return {};
  const Oid result_type = pg::type::kBool;
  if (untyped && choice.chosen != nullptr) {
    const pg::Type* const wanted = catalog_.find_type(choice.chosen->right);
    if (wanted != nullptr && wanted->array != Oid::kInvalid) {
      settle(array, wanted->array);
      element.type = wanted->oid;
      if (std::optional<Expr> read = coerce(array, wanted->array)) array = *std::move(read);
    }
  }
  const Expr opaque = make_opaque(result_type, both(&left, array));
  const QualifiedName qualified = split_name(name);
  if (choice.chosen == nullptr || !is_value(array) || !is_known(array.type) ||
      !is_builtin_comparison(qualified.schema, qualified.name, left, element)) {
    return opaque;
  }
  const pg::ValueTypePtr values = pg::value_type_of(catalog_, array.type);
  if (!values || !values->element) return opaque;
  if (array.kind == Expr::Kind::kOperand) array.operand.value_type = values;
  // As a column, so that the sides stay where they are.
  Expr one;
  one.kind = Expr::Kind::kColumn;
  one.type = element.type;
  one.collation = array.collation;
  std::optional<Expr> comparison = compare(*comparison_of(qualified.name), left, one);
  if (!comparison) return opaque;
  const bool swapped = left.kind == Expr::Kind::kOperand;
  Expr result = *std::move(comparison);
  if (swapped) {
    std::swap(result.children[0], result.children[1]);
    result.op = flip(result.op);
  }
  if (result.children[1].type != element.type) return opaque;
  result.kind = Expr::Kind::kAnyOf;
  result.all = all;
  result.children[1] = std::move(array);
  return result;
}

}  // namespace pgcache::sql
