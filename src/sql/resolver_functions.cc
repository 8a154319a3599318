// SPDX-License-Identifier: Apache-2.0
// Functions and casts. A call is safe when every function that it may resolve to is.
#include <algorithm>

#include "sql/resolver.h"
#include "sql/safety.h"

namespace pgcache::sql {
namespace {

using pg::Oid;

Expr opaque(Oid type = Oid::kInvalid) {
  Expr expr;
  expr.type = type;
  return expr;
}

bool is_integer(Oid type) {
  return type == pg::type::kInt2 || type == pg::type::kInt4 || type == pg::type::kInt8;
}
bool is_text(Oid type) { return type == pg::type::kText || type == pg::type::kVarchar; }
bool is_known(Oid type) { return type != Oid::kInvalid && type != pg::type::kUnknown; }

// Whether a call with this many arguments can mean the function: trailing defaults, or a VARIADIC
// parameter that takes any number of them.
bool takes(const pg::Function& function, std::size_t arguments) {
  const std::size_t declared = function.args.size();
  const std::size_t defaults = static_cast<std::size_t>(std::max(function.default_args, 0));
  if (arguments <= declared && arguments + defaults >= declared) return true;
  if (function.variadic == Oid::kInvalid || declared == 0) return false;
  return arguments + 1 + defaults >= declared;
}

// The declared type of argument i.
Oid parameter_type(const pg::Function& function, std::size_t i) {
  const bool in_variadic = function.variadic != Oid::kInvalid && i + 1 >= function.args.size();
  return in_variadic ? function.variadic : function.args[i];
}

}  // namespace

Resolver::Candidates Resolver::find_functions(std::string_view schema, std::string_view name,
                                              std::size_t arguments, bool any_count) const {
  Candidates found;
  for (const pg::Function& function : catalog_.functions_named(name)) {
    if (function.kind == 'p' || !visible(function.schema, schema)) continue;
    if (any_count || takes(function, arguments)) found.push_back(&function);
  }
  return found;
}

// Narrows the candidates by the arguments' types as far as PostgreSQL's own choice is certain,
// checks those that remain, and says how the arguments are read.
Expr Resolver::accept_functions(Candidates candidates, const std::vector<Expr>& arguments,
                                bool positional, std::string_view name) {
  if (positional) {
    std::erase_if(candidates, [&](const pg::Function* function) {
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (!may_coerce(catalog_, arguments[i].type, parameter_type(*function, i))) return true;
      }
      return false;
    });
    Candidates exact;
    const bool typed = std::any_of(arguments.begin(), arguments.end(),
                                   [](const Expr& e) { return is_known(e.type); });
    for (const pg::Function* function : candidates) {
      bool matches = typed;
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        const Oid type = arguments[i].type;
        matches = matches && (type == pg::type::kUnknown || type == parameter_type(*function, i));
      }
      if (matches) exact.push_back(function);
    }
    if (exact.size() == 1) candidates = std::move(exact);
  }
  if (candidates.empty()) {
    fail(BypassReason::kUnknownFunction, name);
    return {};
  }
  Oid result = candidates[0]->result;
  for (const pg::Function* function : candidates) {
    if (!is_safe_function(*function)) fail(BypassReason::kVolatileFunction, name);
    if (!is_builtin(function->oid)) user_types_ = true;
    if (function->result != result) result = Oid::kInvalid;
    const pg::Type* const type = catalog_.find_type(function->result);
    if (type == nullptr || type->kind != 'p') touch_type(function->result);
  }
  for (std::size_t i = 0; positional && i < arguments.size(); ++i) {
    const bool timeless =
        std::all_of(candidates.begin(), candidates.end(), [&](const pg::Function* function) {
          return reads_no_time(catalog_, parameter_type(*function, i));
        });
    const pg::Type* const only = catalog_.find_type(parameter_type(*candidates[0], i));
    if (candidates.size() == 1 && only != nullptr && only->kind != 'p') {
      settle(arguments[i], only->oid);
    } else if (timeless) {
      settle_timeless(arguments[i]);
    }
  }
  const pg::Type* const type = catalog_.find_type(result);
  return opaque(type == nullptr || type->kind == 'p' ? Oid::kInvalid : result);
}

Expr Resolver::resolve_function(const PgQuery__FuncCall& call, const Scope& scope) {
  const QualifiedName name = split_name(list_of(call.n_funcname, call.funcname));
  if (name.name.empty()) {
    fail(BypassReason::kUnknownFunction, "");
    return {};
  }
  bool positional = !call.func_variadic && !call.agg_within_group;
  std::vector<Expr> arguments;
  for (const Node* node : list_of(call.n_args, call.args)) {
    if (failed()) return {};
    const bool named = node->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR;
    if (named) positional = false;
    arguments.push_back(resolve_expr(named ? node->named_arg_expr->arg : node, scope));
  }
  for (const Node* node : list_of(call.n_agg_order, call.agg_order)) {
    resolve_sort(node, scope, nullptr);
  }
  if (call.agg_filter != nullptr) resolve_condition(call.agg_filter, scope);
  if (call.over != nullptr) resolve_windows(*call.over, scope);
  if (failed()) return {};
  Candidates candidates = find_functions(name.schema, name.name, arguments.size(), !positional);
  const bool aggregates =
      call.over != nullptr || call.agg_star || call.agg_distinct || call.agg_within_group ||
      call.agg_filter != nullptr || call.n_agg_order > 0 ||
      std::any_of(candidates.begin(), candidates.end(),
                  [](const pg::Function* f) { return f->kind == 'a' || f->kind == 'w'; });
  for (const Scope* level = &scope; aggregates && level != nullptr; level = level->outer) {
    if (level->facts == nullptr) continue;
    level->facts->aggregates = true;
    level->facts->windows = level->facts->windows || call.over != nullptr;
  }
  // f(x) may also mean a cast to a type f, which then reads x.
  if (arguments.size() == 1 && positional) {
    for (const Oid schema : source_.search_path) {
      const pg::Type* const type = catalog_.find_type(schema, name.name);
      if (type == nullptr || is_builtin(type->oid)) continue;
      touch_type(type->oid);
      accept_functions(std::move(candidates), arguments, false, name.name);
      return {};
    }
  }
  return accept_functions(std::move(candidates), arguments, positional, name.name);
}

void Resolver::check_field_function(std::string_view name) {
  for (const pg::Function* function : find_functions({}, name, 1, false)) {
    if (!is_safe_function(*function)) fail(BypassReason::kVolatileFunction, name);
  }
}

// ---------------------------------------------------------------- casts

Expr Resolver::resolve_cast(const PgQuery__TypeCast& cast, const Scope& scope) {
  if (cast.type_name == nullptr || cast.arg == nullptr) {
    fail(BypassReason::kUnsupported, "cast");
    return {};
  }
  const Oid target = resolve_type(*cast.type_name);
  if (failed()) return {};
  const bool has_typmod = cast.type_name->n_typmods > 0;
  const pg::Type* const type = catalog_.find_type(target);
  // ARRAY[...]::t[] casts the elements.
  if (cast.arg->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR && type->element != Oid::kInvalid) {
    Expr array;
    array.kind = Expr::Kind::kArray;
    array.type = target;
    const PgQuery__AArrayExpr& elements = *cast.arg->a_array_expr;
    for (Expr& element : resolve_all(list_of(elements.n_elements, elements.elements), scope)) {
      if (failed()) return {};
      if (element.kind == Expr::Kind::kArray) array.kind = Expr::Kind::kOpaque;
      array.children.push_back(apply_cast(std::move(element), type->element, has_typmod));
    }
    if (array.kind == Expr::Kind::kOpaque) array.children.clear();
    return array;
  }
  return apply_cast(resolve_expr(cast.arg, scope), target, has_typmod);
}

// Input as a date or time reads 'now' as the current time. For literals and parameters that is
// noted and looked at when their text is known; no other text may be read so.
Expr Resolver::apply_cast(Expr expr, Oid target, bool has_typmod) {
  if (failed()) return {};
  const bool timeless = reads_no_time(catalog_, target);
  const bool readable = !has_typmod && pg::family_of(target).has_value() &&
                        target != pg::type::kName && expr.kind == Expr::Kind::kOperand;
  if (expr.type == pg::type::kUnknown) {
    if (base_type(catalog_, target) == target) {
      settle(expr, target);
    } else if (timeless) {
      settle_timeless(expr);
    }
    if (!readable) return opaque(target);
    expr.operand.type = target;
    expr.type = target;
    return expr;
  }
  // A time without a zone gets that which the session's zone has today: it changes twice a year.
  if (base_type(catalog_, target) == pg::type::kTimetz && expr.type != pg::type::kTimetz &&
      expr.type != pg::type::kTimestamptz) {
    fail(BypassReason::kVolatileCast, "timetz");
    return {};
  }
  const bool direct_text = expr.kind == Expr::Kind::kOperand && is_text(expr.type) &&
                           is_text(expr.operand.type) && expr.note >= 0;
  if (direct_text) {
    if (!timeless) notes_[static_cast<std::size_t>(expr.note)].timeless = false;
    if (!readable) return opaque(target);
    expr.operand.type = target;
    expr.type = target;
    return expr;
  }
  if (!timeless && expr.type != target && !is_time_value(catalog_, expr.type)) {
    const pg::Type* const type = catalog_.find_type(target);
    fail(BypassReason::kVolatileCast, type == nullptr ? "" : type->name);
    return {};
  }
  if (expr.type == target && !has_typmod) return expr;
  const bool exact = is_integer(expr.type) ? is_integer(target) || target == pg::type::kNumeric
                                           : expr.type == target;
  if (readable && exact && is_integer(expr.operand.type)) {
    expr.type = target;
    return expr;
  }
  return opaque(target);
}

// Casts can be applied without being written. One that is not safe rules out every query that
// touches types of users, or all queries if it is between built-in types.
void Resolver::finish_casts() {
  for (const auto& [key, cast] : catalog_.casts()) {
    if (cast.function == Oid::kInvalid || is_builtin(cast.function)) continue;
    const pg::Function* const function = catalog_.find_function(cast.function);
    if (function != nullptr && function->volatility == pg::Volatility::kImmutable) continue;
    if (user_types_ || (is_builtin(cast.source) && is_builtin(cast.target))) {
      fail(BypassReason::kVolatileCast, function == nullptr ? "" : function->name);
      return;
    }
  }
}

}  // namespace pgcache::sql
