// SPDX-License-Identifier: Apache-2.0
// libpg_query behind its RAII face.
#include "sql/parse_tree.h"

#include <pg_query.h>

#include <algorithm>
#include <array>

namespace pgcache::sql {
namespace {

// Each level of nesting costs libpg_query and protobuf-c a few kilobytes of stack, and neither
// gives up by itself; this many levels fit a thread's usual 8 MiB several times over.
constexpr std::size_t kNestingMax = 1000;

constexpr bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9') ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Key words that can make a tree deeper without any punctuation.
bool nests(std::string_view word) {
  static constexpr std::array<std::string_view, 22> kWords = {
      "at",        "between", "case",   "collate", "escape", "except", "ilike",   "in",
      "intersect", "is",      "isnull", "join",    "like",   "not",    "notnull", "overlaps",
      "select",    "similar", "table",  "union",   "values", "with"};
  if (word.size() > 9) return false;
  std::array<char, 9> lower{};
  std::transform(word.begin(), word.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return std::find(kWords.begin(), kWords.end(), std::string_view(lower.data(), word.size())) !=
         kWords.end();
}

}  // namespace

std::size_t nesting_bound(std::string_view text) {
  constexpr std::string_view kPunctuation = "([:~!@#^&|`?+-*/%<>=";
  std::size_t bound = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (!is_word(text[i])) {
      bound += kPunctuation.find(text[i]) != std::string_view::npos ? 1 : 0;
      ++i;
      continue;
    }
    const std::size_t start = i;
    while (i < text.size() && is_word(text[i])) ++i;
    bound += nests(text.substr(start, i - start)) ? 1 : 0;
  }
  return bound;
}

void ParseTree::Free::operator()(PgQuery__ParseResult* result) const {
  pg_query__parse_result__free_unpacked(result, nullptr);
}

std::variant<ParseTree, BypassReason> ParseTree::parse(std::string_view text,
                                                       std::string_view shape_text) {
  if (text.size() > kTextBytesMax || nesting_bound(shape_text) > kNestingMax) {
    return BypassReason::kTooComplex;
  }
  if (text.find('\0') != std::string_view::npos) return BypassReason::kSyntax;
  const std::string terminated(text);
  const PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(terminated.c_str());
  PgQuery__ParseResult* tree = nullptr;
  if (parsed.error == nullptr) {
    tree = pg_query__parse_result__unpack(
        nullptr, parsed.parse_tree.len,
        reinterpret_cast<const std::uint8_t*>(parsed.parse_tree.data));
  }
  pg_query_free_protobuf_parse_result(parsed);
  if (tree == nullptr) return BypassReason::kSyntax;
  return ParseTree(tree);
}

const PgQuery__SelectStmt* only_select(const std::variant<ParseTree, BypassReason>& parsed) {
  const ParseTree* const tree = std::get_if<ParseTree>(&parsed);
  if (tree == nullptr || tree->statement_count() != 1) return nullptr;
  const PgQuery__Node* const statement = tree->statement(0);
  if (statement == nullptr || statement->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
    return nullptr;
  }
  return statement->select_stmt;
}

}  // namespace pgcache::sql
