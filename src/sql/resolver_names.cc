// SPDX-License-Identifier: Apache-2.0
// Names of columns and types, constants and parameters.
#include <algorithm>
#include <array>
#include <cctype>

#include "sql/resolver.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using pg::Oid;

constexpr std::array<std::string_view, 7> kSystemColumns = {"ctid", "xmin", "cmin",    "xmax",
                                                            "cmax", "oid",  "tableoid"};

bool is_system_column(std::string_view name) {
  return std::find(kSystemColumns.begin(), kSystemColumns.end(), name) != kSystemColumns.end();
}

// A number constant as it stands in the text: a minus sign that the grammar folded in, then digits.
struct NumberText {
  std::size_t offset = 0;
  std::string_view digits;
  bool negated = false;
};

std::optional<NumberText> read_number(std::string_view text, std::int32_t location) {
  if (location < 0) return std::nullopt;
  NumberText number;
  std::size_t i = static_cast<std::size_t>(location);
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '-') {
      if (i + 1 < text.size() && text[i + 1] == '-') return std::nullopt;  // a comment
      number.negated = !number.negated;
    } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '(') {
      break;
    }
  }
  number.offset = i;
  bool exponent = false;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    const bool sign =
        (c == '+' || c == '-') && exponent && (text[i - 1] == 'e' || text[i - 1] == 'E');
    if (c == 'e' || c == 'E') {
      exponent = true;
    } else if (c == '.' && i + 1 < text.size() && text[i + 1] == '.') {
      break;
    } else if (!(c >= '0' && c <= '9') && c != '.' && !sign) {
      break;
    }
  }
  number.digits = text.substr(number.offset, i - number.offset);
  const bool has_digit = std::any_of(number.digits.begin(), number.digits.end(),
                                     [](char c) { return c >= '0' && c <= '9'; });
  if (!has_digit) return std::nullopt;
  return number;
}

// As the scan of shapes tells the kinds apart; nothing for the limits whose type a sign decides.
std::optional<Oid> number_type(std::string_view digits) {
  const StatementShape shape = scan_shape(digits, true);
  if (shape.literals.size() != 1) return std::nullopt;
  switch (shape.literals[0].kind) {
    case LiteralKind::kInt4:
      return pg::type::kInt4;
    case LiteralKind::kInt8:
      return pg::type::kInt8;
    case LiteralKind::kNumeric:
      return pg::type::kNumeric;
    case LiteralKind::kString:
      break;
  }
  return std::nullopt;
}

}  // namespace

std::string_view string_of(const PgQuery__Node* node) {
  if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_STRING) return {};
  return node->string->sval;
}

std::vector<const PgQuery__Node*> items_of(const PgQuery__Node* node) {
  if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_LIST) return {};
  return list_of(node->list->n_items, node->list->items);
}

bool is_star(const PgQuery__Node* node) {
  return node != nullptr && node->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

QualifiedName split_name(const std::vector<const PgQuery__Node*>& names) {
  if (names.size() == 1) return {{}, string_of(names[0])};
  if (names.size() == 2 && !string_of(names[0]).empty()) {
    return {string_of(names[0]), string_of(names[1])};
  }
  return {};
}

bool Resolver::in_path(Oid schema) const {
  return std::find(source_.search_path.begin(), source_.search_path.end(), schema) !=
         source_.search_path.end();
}

bool Resolver::visible(Oid schema, std::string_view named) const {
  if (named.empty()) return in_path(schema);
  return schema != Oid::kInvalid && catalog_.find_schema(named) == schema;
}

// ---------------------------------------------------------------- columns

// A column whose type is not known is one of a subquery, and computed of values whose types are.
Expr Resolver::touch(Expr expr) {
  if (expr.kind == Expr::Kind::kColumn && expr.type != Oid::kInvalid) touch_type(expr.type);
  return expr;
}

std::vector<Expr> Resolver::touch_all(const ScopeRelation& relation) {
  std::vector<Expr> out;
  out.reserve(relation.columns.size());
  for (const ScopeColumn& column : relation.columns) out.push_back(touch(column.expr));
  return out;
}

Expr Resolver::resolve_column(const PgQuery__ColumnRef& ref, const Scope& scope) {
  auto fields = list_of(ref.n_fields, ref.fields);
  const bool star = !fields.empty() && is_star(fields.back());
  if (star) fields.pop_back();  // count(t.*): the whole row
  std::vector<std::string_view> names;
  for (const Node* field : fields) {
    const std::string_view name = string_of(field);
    if (name.empty()) {
      fail(BypassReason::kUnsupported, "column reference");
      return {};
    }
    names.push_back(name);
  }
  if (star) return resolve_row(names, scope);
  if (names.size() == 1) return resolve_unqualified(names[0], scope);
  if (names.size() == 2) return resolve_qualified({}, names[0], names[1], scope);
  if (names.size() == 3) return resolve_qualified(names[0], names[1], names[2], scope);
  fail(BypassReason::kUnsupported, "column reference");
  return {};
}

Expr Resolver::resolve_row(const std::vector<std::string_view>& names, const Scope& scope) {
  const ScopeRelation* relation = nullptr;
  if (names.size() == 1) relation = find_scope_relation({}, names[0], scope);
  if (names.size() == 2) relation = find_scope_relation(names[0], names[1], scope);
  if (relation == nullptr) {
    fail(BypassReason::kUnknownColumn, "*");
    return {};
  }
  user_types_ = true;
  return make_opaque(Oid::kInvalid, touch_all(*relation));
}

// The name is a column of a relation whose columns we do not all know, or else of an enclosing
// query: whatever it might be there is read.
std::vector<Expr> Resolver::outer_candidates(std::string_view name, const Scope* scope) {
  std::vector<Expr> out;
  for (; scope != nullptr; scope = scope->outer) {
    for (const ScopeColumn& column : scope->from->columns) {
      if (column.name == name) out.push_back(touch(column.expr));
    }
    for (const ScopeRelation& relation : scope->from->relations) {
      if (relation.alias != name) continue;
      for (Expr& expr : touch_all(relation)) out.push_back(std::move(expr));
    }
  }
  return out;
}

Expr Resolver::resolve_unqualified(std::string_view name, const Scope& scope) {
  // From PostgreSQL 16 on this is a function without parentheses.
  if (name == "system_user") {
    fail(BypassReason::kVolatileFunction, name);
    return {};
  }
  for (const Scope* level = &scope; level != nullptr; level = level->outer) {
    const ScopeColumn* found = nullptr;
    for (const ScopeColumn& column : level->from->columns) {
      if (column.name != name) continue;
      if (found != nullptr) {
        fail(BypassReason::kUnknownColumn, name);  // ambiguous
        return {};
      }
      found = &column;
    }
    if (found != nullptr) return touch(found->expr);
    if (level->from->has_system_columns && is_system_column(name)) {
      fail(BypassReason::kSystemColumn, name);
      return {};
    }
    if (level->from->opaque) {
      return make_opaque(Oid::kInvalid, outer_candidates(name, level));
    }
  }
  if (std::optional<Expr> row = whole_row(name, &scope)) return *std::move(row);
  fail(BypassReason::kUnknownColumn, name);
  return {};
}

std::optional<Expr> Resolver::whole_row(std::string_view alias, const Scope* scope) {
  for (; scope != nullptr; scope = scope->outer) {
    for (const ScopeRelation& relation : scope->from->relations) {
      if (relation.alias != alias) continue;
      user_types_ = true;
      return make_opaque(Oid::kInvalid, touch_all(relation));
    }
  }
  return std::nullopt;
}

const ScopeRelation* Resolver::find_scope_relation(std::string_view schema, std::string_view alias,
                                                   const Scope& scope) {
  for (const Scope* level = &scope; level != nullptr; level = level->outer) {
    const ScopeRelation* found = nullptr;
    for (const ScopeRelation& relation : level->from->relations) {
      if (schema.empty() ? relation.alias != alias
                         : relation.table == nullptr || relation.table->name != alias ||
                               relation.table->schema_name != schema) {
        continue;
      }
      if (found != nullptr) return nullptr;  // ambiguous
      found = &relation;
    }
    if (found != nullptr) return found;
  }
  return nullptr;
}

Expr Resolver::resolve_qualified(std::string_view schema, std::string_view relation,
                                 std::string_view name, const Scope& scope) {
  const ScopeRelation* const found = find_scope_relation(schema, relation, scope);
  if (found == nullptr) {
    fail(BypassReason::kUnknownColumn, std::string(relation) + "." + std::string(name));
    return {};
  }
  const ScopeColumn* match = nullptr;
  for (const ScopeColumn& column : found->columns) {
    if (column.name != name) continue;
    if (match != nullptr) {
      fail(BypassReason::kUnknownColumn, name);
      return {};
    }
    match = &column;
  }
  if (match != nullptr) return touch(match->expr);
  if (found->opaque) return make_opaque(Oid::kInvalid, touch_all(*found));
  fail(found->has_system_columns && is_system_column(name) ? BypassReason::kSystemColumn
                                                           : BypassReason::kUnknownColumn,
       name);
  return {};
}

// ---------------------------------------------------------------- types

bool Resolver::touch_type(Oid type) {
  if (!is_builtin(type)) user_types_ = true;
  switch (judge_type(catalog_, type)) {
    case TypeVerdict::kFine:
      for (const Oid oid : relations_of_type(catalog_, type)) definitions_.push_back(oid);
      return true;
    case TypeVerdict::kNotFound:
      fail(BypassReason::kUnknownType, std::to_string(pg::to_u32(type)));
      return false;
    case TypeVerdict::kUnsteady: {
      const pg::Type* const found = catalog_.find_type(type);
      fail(BypassReason::kVolatileCast, found->name);
      return false;
    }
  }
  return false;
}

// What is passed to a user's function becomes of the type declared: of a domain it is checked.
void Resolver::touch_parameters(const pg::Function& function) {
  if (is_builtin(function.oid)) return;
  for (const Oid declared : function.args) {
    const pg::Type* const type = catalog_.find_type(declared);
    if (type == nullptr || type->kind != 'p') touch_type(declared);
  }
}

const pg::Relation* find_named(const PgQuery__RangeVar& var, const pg::Catalog& catalog,
                               const std::vector<Oid>& search_path) {
  const std::string_view database = var.catalogname;
  if (!database.empty() && database != catalog.database()) return nullptr;
  const std::string_view schema = var.schemaname;
  if (!schema.empty()) return catalog.find_relation(catalog.find_schema(schema), var.relname);
  for (const Oid oid : search_path) {
    const pg::Relation* const found = catalog.find_relation(oid, var.relname);
    if (found != nullptr) return found;
  }
  return nullptr;
}

const pg::Type* find_type(const PgQuery__TypeName& type_name, const pg::Catalog& catalog,
                          const std::vector<Oid>& search_path) {
  const QualifiedName name = split_name(list_of(type_name.n_names, type_name.names));
  if (name.name.empty() || type_name.setof || type_name.pct_type) return nullptr;
  const pg::Type* type = nullptr;
  if (!name.schema.empty()) {
    type = catalog.find_type(catalog.find_schema(name.schema), name.name);
  } else {
    for (const Oid schema : search_path) {
      type = catalog.find_type(schema, name.name);
      if (type != nullptr) break;
    }
  }
  if (type != nullptr && type_name.n_array_bounds > 0) type = catalog.find_type(type->array);
  return type;
}

Oid Resolver::resolve_type(const PgQuery__TypeName& type_name) {
  const pg::Type* const type = find_type(type_name, catalog_, source_.search_path);
  if (type == nullptr) {
    fail(BypassReason::kUnknownType, split_name(list_of(type_name.n_names, type_name.names)).name);
    return Oid::kInvalid;
  }
  touch_type(type->oid);
  return type->oid;
}

// ---------------------------------------------------------------- constants and parameters

Expr Resolver::resolve_constant(const PgQuery__AConst& constant) {
  if (constant.isnull) return make_null();
  switch (constant.val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
    case PG_QUERY__A__CONST__VAL_FVAL:
      return resolve_number(constant);
    case PG_QUERY__A__CONST__VAL_SVAL:
      return resolve_string(constant.sval->sval, constant.location);
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
      return make_truth(constant.boolval->boolval != 0);
    case PG_QUERY__A__CONST__VAL_BSVAL:
      return {};
    case PG_QUERY__A__CONST__VAL__NOT_SET:
    default:
      fail(BypassReason::kUnsupported, "constant");
      return {};
  }
}

Expr Resolver::resolve_number(const PgQuery__AConst& constant) {
  Expr expr;
  const std::optional<NumberText> number = read_number(source_.text, constant.location);
  if (!number) return expr;
  const std::optional<Oid> type = number_type(number->digits);
  if (!type) return expr;
  expr.operand.negated = number->negated;
  if (source_.shape != nullptr && !source_.shape->literals.empty()) {
    const std::vector<Literal>& literals = source_.shape->literals;
    const auto it = std::lower_bound(
        literals.begin(), literals.end(), number->offset,
        [](const Literal& literal, std::size_t offset) { return literal.offset < offset; });
    if (it == literals.end() || it->offset != number->offset) return expr;
    expr.operand.source = OperandSpec::Source::kLiteral;
    expr.operand.index = static_cast<std::uint16_t>(it - literals.begin());
  } else {
    expr.operand.constant = std::string(number->digits);
  }
  expr.kind = Expr::Kind::kOperand;
  expr.type = *type;
  // One canonical line of numbers: the wider integer reads every int4.
  expr.operand.type = *type == pg::type::kNumeric ? pg::type::kNumeric : pg::type::kInt8;
  return expr;
}

bool Resolver::is_lifted(const PgQuery__AConst& constant) const {
  if (constant.location < 0 || source_.shape == nullptr) return false;
  const std::optional<NumberText> number = read_number(source_.text, constant.location);
  if (!number) return true;
  const std::vector<Literal>& literals = source_.shape->literals;
  return std::any_of(literals.begin(), literals.end(),
                     [&](const Literal& literal) { return literal.offset == number->offset; });
}

Expr Resolver::resolve_string(std::string_view value, std::int32_t location) {
  Expr expr;
  expr.kind = Expr::Kind::kOperand;
  expr.type = pg::type::kUnknown;
  Note note;
  note.text = std::string(value);
  const std::size_t at = static_cast<std::size_t>(location);
  const bool quoted = location >= 0 && at < source_.text.size() && source_.text[at] == '\'';
  const bool lifting = source_.shape != nullptr && !source_.shape->literals.empty();
  if (lifting && quoted) {
    const std::vector<Literal>& literals = source_.shape->literals;
    const auto it = std::lower_bound(
        literals.begin(), literals.end(), at,
        [](const Literal& literal, std::size_t offset) { return literal.offset < offset; });
    if (it == literals.end() || it->offset != at || it->kind != LiteralKind::kString ||
        it->text != value) {
      fail(BypassReason::kUnsupported, "string literal");
      return expr;
    }
    note.what = Note::What::kLifted;
    note.index = static_cast<std::uint16_t>(it - literals.begin());
    expr.operand.source = OperandSpec::Source::kLiteral;
    expr.operand.index = note.index;
  } else {
    expr.operand.constant = note.text;
  }
  expr.note = add_note(std::move(note));
  return expr;
}

Expr Resolver::resolve_parameter(const PgQuery__ParamRef& ref) {
  Expr expr;
  if (ref.number < 1 || ref.number > UINT16_MAX || source_.in_view) {
    fail(BypassReason::kUnsupported, "parameter");
    return expr;
  }
  const std::size_t index = static_cast<std::size_t>(ref.number - 1);
  parameters_ = std::max(parameters_, index + 1);
  expr.kind = Expr::Kind::kOperand;
  expr.operand.source = OperandSpec::Source::kParameter;
  expr.operand.index = static_cast<std::uint16_t>(index);
  Note note;
  note.what = Note::What::kParameter;
  note.index = expr.operand.index;
  const Oid declared =
      index < context_.parameter_types.size() ? context_.parameter_types[index] : Oid::kInvalid;
  if (declared == Oid::kInvalid || declared == pg::type::kUnknown) {
    expr.type = pg::type::kUnknown;
  } else {
    touch_type(declared);
    expr.type = declared;
    expr.operand.type = declared;
    note.settled = true;
    note.type = declared;
    note.timeless = reads_no_time(catalog_, declared);
  }
  expr.note = add_note(std::move(note));
  return expr;
}

std::int32_t Resolver::add_note(Note note) {
  notes_.push_back(std::move(note));
  return static_cast<std::int32_t>(notes_.size() - 1);
}

void Resolver::settle(const Expr& expr, Oid type) {
  if (expr.note < 0 || expr.type != pg::type::kUnknown) return;
  Note& note = notes_[static_cast<std::size_t>(expr.note)];
  const bool timeless = reads_no_time(catalog_, type);
  note.timeless = timeless && (!note.settled || note.timeless);
  note.type = !note.settled || note.type == type ? type : Oid::kInvalid;
  note.settled = true;
}

void Resolver::settle_timeless(const Expr& expr) {
  if (expr.note < 0 || expr.type != pg::type::kUnknown) return;
  Note& note = notes_[static_cast<std::size_t>(expr.note)];
  note.timeless = !note.settled || note.timeless;
  note.type = Oid::kInvalid;
  note.settled = true;
}

void Resolver::settle_neutral(const Expr& expr) {
  if (expr.note >= 0) notes_[static_cast<std::size_t>(expr.note)].neutral = true;
}

void Resolver::finish_notes(CacheableQuery& out) {
  out.parameter_types.assign(std::max(parameters_, context_.parameter_types.size()), Oid::kInvalid);
  std::vector<bool> uncertain(out.parameter_types.size(), false);
  for (const Note& note : notes_) {
    if (note.neutral) continue;
    switch (note.what) {
      case Note::What::kConstant:
        if (!note.timeless && names_current_time(note.text)) {
          fail(BypassReason::kVolatileLiteral, note.text);
        }
        break;
      case Note::What::kLifted:
        if (!note.timeless) out.time_literals.push_back(note.index);
        break;
      case Note::What::kParameter: {
        if (!note.timeless) out.time_parameters.push_back(note.index);
        Oid& type = out.parameter_types[note.index];
        if (note.type == Oid::kInvalid || (type != Oid::kInvalid && type != note.type)) {
          uncertain[note.index] = true;
        }
        type = note.type;
        break;
      }
    }
  }
  for (std::vector<std::uint16_t>* list : {&out.time_literals, &out.time_parameters}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  for (std::size_t i = 0; i < uncertain.size(); ++i) {
    if (uncertain[i]) out.parameter_types[i] = Oid::kInvalid;
    if (i >= context_.parameter_types.size()) continue;
    const Oid declared = context_.parameter_types[i];
    if (declared != Oid::kInvalid && declared != pg::type::kUnknown) {
      out.parameter_types[i] = declared;
    }
  }
}

}  // namespace pgcache::sql
