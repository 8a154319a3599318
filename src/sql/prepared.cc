// SPDX-License-Identifier: Apache-2.0
#include "sql/prepared.h"

#include <pg_query.h>

#include <algorithm>
#include <array>
#include <memory>

#include "sql/resolver.h"

namespace pgcache::sql {
namespace {

constexpr pg::Oid kBool{16}, kInt8{20}, kInt2{21}, kInt4{23}, kFloat4{700}, kFloat8{701},
    kNumeric{1700};

struct FreeScan {
  void operator()(PgQuery__ScanResult* result) const {
    pg_query__scan_result__free_unpacked(result, nullptr);
  }
};

// Where the statement begins in the text of a PREPARE: behind the first AS outside of parentheses.
std::optional<std::size_t> statement_start(const std::string& text) {
  const PgQueryScanResult scanned = pg_query_scan(text.c_str());
  std::unique_ptr<PgQuery__ScanResult, FreeScan> tokens;
  if (scanned.error == nullptr) {
    tokens.reset(pg_query__scan_result__unpack(
        nullptr, scanned.pbuf.len, reinterpret_cast<const std::uint8_t*>(scanned.pbuf.data)));
  }
  pg_query_free_scan_result(scanned);
  if (!tokens) return std::nullopt;
  int depth = 0;
  for (std::size_t i = 0; i < tokens->n_tokens; ++i) {
    const PgQuery__ScanToken& token = *tokens->tokens[i];
    if (token.token == PG_QUERY__TOKEN__ASCII_40) ++depth;
    if (token.token == PG_QUERY__TOKEN__ASCII_41) --depth;
    if (token.token == PG_QUERY__TOKEN__AS && depth == 0) {
      return static_cast<std::size_t>(token.end);
    }
  }
  return std::nullopt;
}

ExecuteArgument read_argument(const PgQuery__Node& node, std::string_view text,
                              const StatementShape& shape) {
  ExecuteArgument argument;
  if (node.node_case != PG_QUERY__NODE__NODE_A_CONST) return argument;
  const PgQuery__AConst& constant = *node.a_const;
  if (constant.isnull) {
    argument.what = ExecuteArgument::What::kNull;
    return argument;
  }
  if (constant.val_case == PG_QUERY__A__CONST__VAL_BOOLVAL) {
    argument.what = constant.boolval->boolval != 0 ? ExecuteArgument::What::kTrue
                                                   : ExecuteArgument::What::kFalse;
    return argument;
  }
  auto at = static_cast<std::size_t>(constant.location);
  if (constant.location < 0 || at >= text.size()) return argument;
  if (text[at] == '-') {
    argument.negated = true;
    at = text.find_first_not_of(" \t\r\n\f", at + 1);
  }
  for (std::size_t i = 0; i < shape.literals.size(); ++i) {
    if (shape.literals[i].offset != at) continue;
    argument.what = ExecuteArgument::What::kLiteral;
    argument.literal = static_cast<std::uint16_t>(i);
  }
  return argument;
}

bool is_one_of(pg::Oid type, std::initializer_list<pg::Oid> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

// Whether a literal of that kind, assigned to the type, is what the type's input makes of its text.
bool reads_alike(LiteralKind kind, pg::Oid type) {
  switch (kind) {
    case LiteralKind::kString:
      return true;
    case LiteralKind::kInt4:
    case LiteralKind::kInt8:
      return is_one_of(type, {kInt2, kInt4, kInt8, kNumeric, kFloat4, kFloat8});
    case LiteralKind::kNumeric:
      return is_one_of(type, {kNumeric, kFloat4, kFloat8});
  }
  return false;
}

}  // namespace

std::optional<Prepared> read_prepare(std::string_view text, const AnalysisContext& context) {
  if (!context.standard_conforming_strings && text.find('\\') != std::string_view::npos) {
    return std::nullopt;
  }
  const auto parsed = ParseTree::parse(text, text);
  const ParseTree* const tree = std::get_if<ParseTree>(&parsed);
  if (tree == nullptr || tree->statement_count() != 1 || context.catalog == nullptr) {
    return std::nullopt;
  }
  const PgQuery__Node* const node = tree->statement(0);
  if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_PREPARE_STMT) return std::nullopt;
  const PgQuery__PrepareStmt& statement = *node->prepare_stmt;
  Prepared prepared;
  prepared.name = statement.name;
  for (const PgQuery__Node* argument : list_of(statement.n_argtypes, statement.argtypes)) {
    if (argument->node_case != PG_QUERY__NODE__NODE_TYPE_NAME) return std::nullopt;
    const pg::Type* const type =
        find_type(*argument->type_name, *context.catalog, context.search_path);
    if (type == nullptr) return std::nullopt;
    prepared.parameter_types.push_back(type->oid);
  }
  const std::string terminated(text);
  const std::optional<std::size_t> start = statement_start(terminated);
  if (!start) return std::nullopt;
  prepared.sql = terminated.substr(*start);
  return prepared;
}

ExecuteCall read_execute(const PgQuery__ExecuteStmt& statement, std::string_view text,
                         const StatementShape& shape) {
  ExecuteCall call;
  for (const PgQuery__Node* node : list_of(statement.n_params, statement.params)) {
    call.arguments.push_back(read_argument(*node, text, shape));
  }
  return call;
}

std::optional<std::optional<std::string>> argument_text(const ExecuteArgument& argument,
                                                        const std::vector<Literal>& literals,
                                                        pg::Oid type) {
  using What = ExecuteArgument::What;
  using Text = std::optional<std::string>;
  switch (argument.what) {
    case What::kOther:
      return std::nullopt;
    case What::kNull:
      return Text();
    case What::kTrue:
    case What::kFalse:
      if (type != kBool) return std::nullopt;
      return Text(argument.what == What::kTrue ? "t" : "f");
    case What::kLiteral: {
      if (argument.literal >= literals.size()) return std::nullopt;
      const Literal& literal = literals[argument.literal];
      const bool string = literal.kind == LiteralKind::kString;
      if (type == pg::Oid::kInvalid || !reads_alike(literal.kind, type)) return std::nullopt;
      if (argument.negated && string) return std::nullopt;
      return Text(argument.negated ? "-" + literal.text : literal.text);
    }
  }
  return std::nullopt;
}

}  // namespace pgcache::sql
