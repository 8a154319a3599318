// SPDX-License-Identifier: Apache-2.0
// Functions and casts. A call is safe when every function that it may resolve to is.
#include <algorithm>
#include <set>

#include "pg/function.h"
#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

// Over the default frame. The others count the rows of the partition, or go to any of them.
bool looks_back_only(const pg::Function* function) {
  if (function->kind == 'a') return true;
  static constexpr std::string_view kNames[] = {"row_number",  "rank",       "dense_rank",
                                                "first_value", "last_value", "nth_value"};
  return function->kind == 'w' && is_builtin(function->oid) &&
         std::find(std::begin(kNames), std::end(kNames), function->name) != std::end(kNames);
}

using pg::Oid;

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

// Where some function takes an untyped argument as text, those that do not are out (manual, 10.3,
// step 4e).
void prefer_text(std::vector<const pg::Function*>& functions, const std::vector<Expr>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].type != pg::type::kUnknown) continue;
    const auto is_other = [&](const pg::Function* function) {
      return parameter_type(*function, i) != pg::type::kText;
    };
    if (!std::all_of(functions.begin(), functions.end(), is_other)) {
      std::erase_if(functions, is_other);
    }
  }
}

// Whether an aggregate of these arguments is one of this query level. One of columns of an outer
// level alone is computed there (manual, 4.2.7).
bool belongs_here(const std::vector<Expr>& arguments, const Scope& scope) {
  std::set<std::uint32_t> own;
  const auto add = [&](const std::vector<ScopeColumn>& columns) {
    for (const ScopeColumn& column : columns) {
      each_expr(column.expr, [&](const Expr& part) {
        if (part.kind == Expr::Kind::kColumn) own.insert(part.use);
      });
    }
  };
  add(scope.from->columns);
  for (const ScopeRelation& relation : scope.from->relations) add(relation.columns);
  bool anywhere = false;  // may be of another level
  bool here = false;
  for (const Expr& argument : arguments) {
    here = here || mentions(argument, own);
    anywhere = anywhere || has_columns(argument) || has_opaque(argument);
  }
  return here || !anywhere;
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
    // PostgreSQL has no functions of its own on varchar, but takes those on text.
    const bool by_users = std::any_of(candidates.begin(), candidates.end(),
                                      [](const auto* f) { return !is_builtin(f->oid); });
    Candidates exact;
    const bool typed = std::any_of(arguments.begin(), arguments.end(),
                                   [](const Expr& e) { return is_known(e.type); });
    for (const pg::Function* function : candidates) {
      bool matches = typed;
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        Oid type = arguments[i].type;
        if (!by_users) type = base_type(catalog_, type);
        if (!by_users && type == pg::type::kVarchar) type = pg::type::kText;
        matches = matches && (type == pg::type::kUnknown || type == parameter_type(*function, i));
      }
      if (matches) exact.push_back(function);
    }
    if (!by_users) prefer_text(exact, arguments);
    if (exact.size() == 1) candidates = std::move(exact);
  }
  if (candidates.empty()) {
    fail(BypassReason::kUnknownFunction, name);
    return {};
  }
  const pg::Function* const chosen = candidates.size() == 1 ? candidates[0] : nullptr;
  Oid result = candidates[0]->result;
  for (const pg::Function* function : candidates) {
    if (!is_safe_function(*function)) fail(BypassReason::kVolatileFunction, name);
    if (!is_builtin(function->oid)) user_types_ = true;
    touch_parameters(*function);
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
  if (failed()) return {};
  if (chosen != nullptr && positional && chosen->kind == 'f' && !chosen->returns_set &&
      chosen->args.size() == arguments.size() && chosen->variadic == Oid::kInvalid) {
    std::optional<Expr> call = make_call(chosen->oid, result, arguments, chosen->args);
    if (call) return *std::move(call);
  }
  const pg::Type* const type = catalog_.find_type(result);
  return make_opaque(type == nullptr || type->kind == 'p' ? Oid::kInvalid : result, arguments);
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
  std::vector<Expr> more;  // what it reads besides its arguments
  for (const Node* node : list_of(call.n_agg_order, call.agg_order)) {
    more.push_back(resolve_sort(node, scope, nullptr));
  }
  if (call.agg_filter != nullptr) more.push_back(resolve_condition(call.agg_filter, scope));
  LevelFacts::Window window;
  if (call.over != nullptr) {
    window.name = call.over->name[0] != '\0' ? call.over->name : call.over->refname;
    window.partition = resolve_window(*call.over, scope, more);
  }
  if (failed()) return {};
  Candidates candidates = find_functions(name.schema, name.name, arguments.size(), !positional);
  const bool aggregates =
      call.over != nullptr || call.agg_star || call.agg_distinct || call.agg_within_group ||
      call.agg_filter != nullptr || call.n_agg_order > 0 ||
      std::any_of(candidates.begin(), candidates.end(),
                  [](const pg::Function* f) { return f->kind == 'a' || f->kind == 'w'; });
  if (call.over != nullptr && std::all_of(candidates.begin(), candidates.end(), looks_back_only)) {
    window.running = running_window(*call.over, window.partition, scope);
  }
  const bool sets = std::any_of(candidates.begin(), candidates.end(),
                                [](const pg::Function* f) { return f->returns_set; });
  const bool here = belongs_here(arguments, scope);
  for (const Scope* level = &scope; level != nullptr; level = level->outer) {
    if (level->facts == nullptr) continue;
    LevelFacts& facts = *level->facts;
    if (level == &scope || !here) {
      facts.aggregates = facts.aggregates || (aggregates && call.over == nullptr);
    }
    if (level != &scope) continue;
    facts.set_returning = facts.set_returning || sets;
    if (call.over != nullptr) facts.windows.push_back(window);
  }
  const bool plain = more.empty() && call.over == nullptr && !call.agg_star && positional;
  const bool builtin = std::all_of(candidates.begin(), candidates.end(),
                                   [](const pg::Function* f) { return is_builtin(f->oid); });
  const bool extreme = plain && builtin && here && !candidates.empty() && arguments.size() == 1 &&
                       arguments[0].kind == Expr::Kind::kColumn &&
                       (name.name == "min" || name.name == "max");
  const auto with_more = [&](Expr result) {
    if (!aggregates) return result;
    if (extreme) {
      Expr value = make_opaque(arguments[0].type, arguments);
      value.function = pg::Oid{1};
      value.all = name.name == "max";
      return value;
    }
    more.push_back(std::move(result));
    const Oid type = more.back().type;
    return make_opaque(type, std::move(more));
  };
  // f(x) may also mean a cast to a type f, which then reads x.
  if (arguments.size() == 1 && positional) {
    for (const Oid schema : source_.search_path) {
      const pg::Type* const type = catalog_.find_type(schema, name.name);
      if (type == nullptr || is_builtin(type->oid)) continue;
      touch_type(type->oid);
      accept_functions(std::move(candidates), arguments, false, name.name);
      return make_opaque(Oid::kInvalid, std::move(arguments));
    }
  }
  return with_more(accept_functions(std::move(candidates), arguments, positional, name.name));
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
  const std::optional<std::int32_t> typmod = typmod_of(*cast.type_name, target);
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
      array.children.push_back(apply_cast(std::move(element), type->element, typmod));
    }
    return array;
  }
  return apply_cast(resolve_expr(cast.arg, scope), target, typmod);
}

// A number that is lifted is another one in another text of the shape.
std::optional<std::int32_t> Resolver::typmod_of(const PgQuery__TypeName& name, Oid type) const {
  if (name.n_typmods == 0) return -1;
  constexpr std::int32_t kNumberMax = 10485760;  // the longest varchar
  std::vector<std::int32_t> numbers;
  for (const Node* node : list_of(name.n_typmods, name.typmods)) {
    if (node->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        node->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL || is_lifted(*node->a_const)) {
      return std::nullopt;
    }
    numbers.push_back(node->a_const->ival->ival);
    if (numbers.back() > kNumberMax || numbers.back() < -kNumberMax) return std::nullopt;
  }
  constexpr std::int32_t kHeader = 4;
  const bool one = numbers.size() == 1;
  if (type == pg::type::kVarchar || type == pg::type::kBpchar) {
    return one ? std::optional(numbers[0] + kHeader) : std::nullopt;
  }
  if (type == pg::type::kTimestamp || type == pg::type::kTime || type == pg::type::kTimestamptz) {
    return one ? std::optional(numbers[0]) : std::nullopt;
  }
  if (type != pg::type::kNumeric || numbers.size() > 2) return std::nullopt;
  const std::int32_t scale = one ? 0 : numbers[1];
  return ((numbers[0] << 16) | (scale & 0x7ff)) + kHeader;
}

// Input as a date or time reads 'now' as the current time. For literals and parameters that is
// noted and looked at when their text is known; no other text may be read so.
Expr Resolver::apply_cast(Expr expr, Oid target, std::optional<std::int32_t> typmod) {
  if (failed()) return {};
  const bool timeless = reads_no_time(catalog_, target);
  const bool plain = typmod == -1;
  // Of characters, those of other encodings are not counted here.
  const bool characters = target == pg::type::kVarchar || target == pg::type::kBpchar;
  const bool limited = typmod && !plain && (!characters || catalog_.encoding() == "UTF8");
  const bool readable = (plain || limited) && expr.kind == Expr::Kind::kOperand &&
                        expr.operand.typmod < 0 && pg::value_type_of(catalog_, target) != nullptr;
  const auto read = [&]() {
    std::optional<Expr> operand = read_as(expr, target);
    if (!operand) return make_opaque(target, {expr});
    operand->type = target;
    operand->operand.typmod = *typmod;
    return *std::move(operand);
  };
  if (expr.type == pg::type::kUnknown) {
    if (base_type(catalog_, target) == target) {
      settle(expr, target);
    } else if (timeless) {
      settle_timeless(expr);
    }
    if (expr.kind == Expr::Kind::kNull) {
      expr.type = target;
      return expr;
    }
    return readable ? read() : make_opaque(target, {std::move(expr)});
  }
  // A time without a zone gets that which the session's zone has today: it changes twice a year.
  if (base_type(catalog_, target) == pg::type::kTimetz && expr.type != pg::type::kTimetz &&
      expr.type != pg::type::kTimestamptz) {
    fail(BypassReason::kVolatileCast, "timetz");
    return {};
  }
  const bool direct_text = expr.kind == Expr::Kind::kOperand && pg::type::is_text(expr.type) &&
                           pg::type::is_text(expr.operand.type) && expr.note >= 0 &&
                           expr.operand.typmod < 0;
  if (direct_text) {
    if (!timeless) notes_[static_cast<std::size_t>(expr.note)].timeless = false;
    return readable ? read() : make_opaque(target, {std::move(expr)});
  }
  if (!timeless && expr.type != target && !is_time_value(catalog_, expr.type)) {
    const pg::Type* const type = catalog_.find_type(target);
    fail(BypassReason::kVolatileCast, type == nullptr ? "" : type->name);
    return {};
  }
  const bool relabelled =
      pg::type::is_text(base_type(catalog_, expr.type)) && pg::type::is_text(target);
  if (plain && (expr.type == target || relabelled)) return relabel(std::move(expr), target);
  const bool exact = pg::type::is_integer(expr.type)
                         ? pg::type::is_integer(target) || target == pg::type::kNumeric
                         : expr.type == target;
  const bool number = pg::type::is_number(expr.type) && pg::type::is_number(expr.operand.type) &&
                      expr.operand.source != OperandSpec::Source::kParameter;
  if (readable && limited && number && target == pg::type::kNumeric) {
    expr.type = expr.operand.type = target;
    expr.operand.typmod = *typmod;
    return expr;
  }
  if (readable && plain && exact && pg::type::is_integer(expr.operand.type)) {
    expr.type = target;
    return expr;
  }
  return cast_value(std::move(expr), target, typmod);
}

Expr Resolver::cast_value(Expr expr, Oid target, std::optional<std::int32_t> typmod) {
  const Oid from = base_type(catalog_, expr.type);
  const pg::Cast* const cast = catalog_.find_cast(from, target);
  const bool by_users =
      cast != nullptr && cast->function != Oid::kInvalid && !is_builtin(cast->function);
  if (!typmod || by_users || !is_value(expr) || !is_builtin(target) ||
      !pg::can_cast(from, target)) {
    return make_opaque(target, {std::move(expr)});
  }
  Expr out = make_expr(Expr::Kind::kCast, {});
  out.type = target;
  out.typmod = *typmod;
  out.collation = expr.collation;
  out.children.push_back(std::move(expr));
  return out;
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
