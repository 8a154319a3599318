// SPDX-License-Identifier: Apache-2.0
#include "sql/shown.h"

#include <algorithm>

#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using Kind = Expr::Kind;

// A row that passes WHERE may be left out of what the block yields, by other rows that do.
bool cuts(const Block& block) {
  return block.limited || !block.distinct_on.empty() || block.set_returning;
}

// By their uses.
void count_sublinks(const Expr& top, std::map<std::uint32_t, std::size_t>& counts) {
  Conjuncts sublinks;
  collect_sublinks(top, sublinks);
  for (const Expr* sublink : sublinks) ++counts[sublink->use];
}

bool is_one_row(const Block& block) {
  return block.kind == Block::Kind::kSelect && block.grouped && !block.grouping_sets &&
         block.keys.empty() && !block.having && !block.limited;
}

}  // namespace

bool reads_back(pg::ValueFamily family) {
  switch (family) {
    case pg::ValueFamily::kBool:
    case pg::ValueFamily::kNumber:
    case pg::ValueFamily::kOid:
    case pg::ValueFamily::kUuid:
    case pg::ValueFamily::kDate:
    case pg::ValueFamily::kTime:
    case pg::ValueFamily::kTimestamp:
    case pg::ValueFamily::kTimestamptz:
    case pg::ValueFamily::kText:
    case pg::ValueFamily::kName:
    case pg::ValueFamily::kBpchar:
    case pg::ValueFamily::kEnum:
      return true;
    default:
      return false;
  }
}

ShownFinder::ShownFinder(const ResolvedQuery& query, const pg::Catalog& catalog,
                         const PredicateBuilder& predicates, const ColumnCounts& mentions)
    : query_(query),
      catalog_(catalog),
      predicates_(predicates),
      top_(query.blocks[query.top]),
      mentions_(mentions) {
  for (const Block& block : query_.blocks) {
    each_block_expr(block, [this](const Expr& expr) { count_sublinks(expr, sublinks_); });
    std::set<std::uint32_t>& rows = rows_[&block];
    for (const FromNode& node : block.from) collect_present_uses(node, rows);
  }
  each_expr_beyond_rows(top_, [this](const Expr& expr) { count_columns(expr, beyond_rows_); });
  visit_top();
}

void ShownFinder::visit_top() {
  if (top_.unknown_outputs || top_.skips) return;
  if (!top_.branches.empty()) return visit_branches(top_, true);
  if (top_.kind != Block::Kind::kSelect) return;
  if (cuts(top_) && !top_.partitions.empty()) return;
  if (top_.grouped &&
      (top_.grouping_sets || top_.having || cuts(top_) || !top_.partitions.empty())) {
    return;
  }
  const Rule rule{&top_, true, false, top_.grouped, !cuts(top_)};
  for (const FromNode& node : top_.from) visit_from(node, rule);
  if (top_.grouped) return;
  visit_anti_joins();
  if (cuts(top_)) return;
  visit_recursion();
  std::map<std::uint32_t, std::size_t> computed;
  each_expr_beyond_rows(top_, [&](const Expr& expr) { count_sublinks(expr, computed); });
  for (const auto& [use, count] : computed) {
    if (count == sublinks_.at(use)) add_below(query_.uses[use].block, always());
  }
}

void ShownFinder::add(std::uint32_t use, const Rule& rule) {
  if (query_.uses[use].relation != nullptr) rules_.emplace(use, rule);
}

void ShownFinder::add_below(std::uint32_t block, const Rule& rule) {
  std::set<std::uint32_t> uses;
  for (const FromNode& node : query_.blocks[block].from) collect_uses(node, uses);
  for (const std::uint32_t use : uses) add(use, rule);
  for (const std::uint32_t use : named_blocks(query_, query_.blocks[block])) {
    add_below(query_.uses[use].block, rule);
  }
}

void ShownFinder::visit_from(const FromNode& node, const Rule& rule) {
  if (node.kind == FromNode::Kind::kTable) return add(node.use, rule);
  if (node.kind == FromNode::Kind::kBlock) return visit_block_item(node);
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (!is_extended(node, i)) {
      visit_from(node.children[i], rule);
    } else if (node.join != JoinKind::kFull) {
      visit_extended(node, node.children[i]);
    }
  }
}

// Rows of FROM are in the result whatever else there is.
bool ShownFinder::shows_all_rows() const {
  return !cuts(top_) && !top_.grouped && top_.partitions.empty();
}

// Whether the columns are used anywhere but in the join and in what is made of the rows.
bool ShownFinder::is_looked_at_elsewhere(const std::set<std::uint32_t>& uses,
                                         const FromNode* join) const {
  ColumnCounts allowed = beyond_rows_;
  if (join != nullptr) {
    each_node_expr(*join, [&](const Expr& expr) { count_columns(expr, allowed); });
  }
  return std::any_of(mentions_.begin(), mentions_.end(), [&](const auto& mention) {
    return uses.contains(mention.first.first) && mention.second > count_of(allowed, mention.first);
  });
}

void ShownFinder::visit_extended(const FromNode& join, const FromNode& side) {
  std::set<std::uint32_t> uses;
  collect_uses(side, uses);
  if (!shows_all_rows() || is_looked_at_elsewhere(uses, &join)) return;
  for (const std::uint32_t use : uses) {
    add(use, always());
    if (query_.uses[use].relation == nullptr) add_below(query_.uses[use].block, always());
  }
}

// A subquery in FROM that yields one row whatever it reads.
void ShownFinder::visit_block_item(const FromNode& node) {
  const std::uint32_t inner = query_.uses[node.use].block;
  if (!shows_all_rows() || !is_one_row(query_.blocks[inner]) ||
      is_looked_at_elsewhere({node.use}, nullptr)) {
    return;
  }
  add_below(inner, always());
}

void ShownFinder::visit_anti_joins() {
  if (!top_.where) return;
  Conjuncts conjuncts;
  flatten(*top_.where, conjuncts);
  for (const Expr* conjunct : conjuncts) {
    if (conjunct->kind != Kind::kNot || conjunct->children[0].kind != Kind::kSublink ||
        conjunct->children[0].link != LinkKind::kExists ||
        sublinks_.at(conjunct->children[0].use) > 1) {
      continue;
    }
    const Block& inner = query_.blocks[query_.uses[conjunct->children[0].use].block];
    if (inner.kind != Block::Kind::kSelect || inner.grouped || cuts(inner)) continue;
    for (const std::uint32_t use : rows_.at(&inner)) add(use, {&top_, false, true});
  }
}

// The recursion in FROM of the statement's own block, if all of its rows are shown.
void ShownFinder::visit_recursion() {
  if (top_.from.size() != 1 || top_.where) return;
  const FromNode* node = &top_.from.front();
  while (node->kind == FromNode::Kind::kJoin) {
    const bool is_plain = node->join == JoinKind::kInner && node->children.size() == 1 && !node->on;
    if (!is_plain && node->join != JoinKind::kLeft && node->join != JoinKind::kRight) return;
    node = &node->children[node->join == JoinKind::kRight ? 1 : 0];
  }
  if (node->kind != FromNode::Kind::kBlock) return;
  const std::uint32_t recursion = query_.blocks[query_.uses[node->use].block].recursion;
  if (recursion == 0) return;
  for (const std::uint32_t number : query_.also) {
    const Block& block = query_.blocks[number];
    if (block.recursion != recursion || block.branches.size() != 2 || cuts(block)) continue;
    visit_recursive_part(query_.blocks[query_.uses[block.branches[1]].block], recursion, node->use);
  }
}

void ShownFinder::visit_recursive_part(const Block& part, std::uint32_t recursion,
                                       std::uint32_t shown) {
  if (part.kind != Block::Kind::kSelect || part.grouped || cuts(part)) return;
  Rule rule = always();
  for (const std::uint32_t use : rows_.at(&part)) {
    const bool is_it = query_.uses[use].relation == nullptr &&
                       query_.blocks[query_.uses[use].block].recursion == recursion;
    if (is_it) rule.as = {shown, use};
  }
  if (!rule.as) return;
  for (const std::uint32_t use : rows_.at(&part)) add(use, rule);
  for (const std::uint32_t use : named_blocks(query_, part)) {
    add_below(query_.uses[use].block, rule);
  }
}

void ShownFinder::visit_branches(const Block& block, bool positive) {
  for (std::size_t i = 0; i < block.branches.size(); ++i) {
    const bool takes_away = block.kind == Block::Kind::kExcept && i > 0;
    visit_branch(query_.blocks[query_.uses[block.branches[i]].block],
                 takes_away ? !positive : positive);
  }
}

void ShownFinder::visit_branch(const Block& block, bool positive) {
  if (block.unknown_outputs || cuts(block)) return;
  if (!block.branches.empty()) return visit_branches(block, positive);
  if (block.kind != Block::Kind::kSelect || block.grouped || !block.partitions.empty()) return;
  for (const std::uint32_t use : rows_.at(&block)) add(use, {&block, positive, !positive});
}

// Columns that more than the select list and the like looks at: while an UPDATE keeps them, the row
// is in the result as it was before, or not at all.
std::vector<std::string> ShownFinder::columns_tested(std::uint32_t use) const {
  std::vector<std::string> out;
  const pg::Relation& relation = *query_.uses[use].relation;
  for (std::uint32_t i = 0; i < relation.columns.size(); ++i) {
    const ColumnKey key{use, i};
    if (count_of(mentions_, key) > count_of(beyond_rows_, key)) {
      out.push_back(relation.columns[i].name);
    }
  }
  return out;
}

// Whether the result shows the column's own value: of texts that a set operation or a group takes
// for equal, one stands for the others.
bool ShownFinder::looks_like_it(const Expr& output, std::size_t position) const {
  return output.collation.deterministic &&
         (position >= top_.outputs.size() || top_.outputs[position].collation.deterministic);
}

Shown ShownFinder::shown_of(std::uint32_t use, const Conditions& conditions) const {
  Shown out;
  const auto found = rules_.find(use);
  if (found == rules_.end()) return out;
  const Rule& rule = found->second;
  const pg::Relation& relation = *query_.uses[use].relation;
  const std::vector<Expr>& outputs = rule.block->outputs;
  const std::set<std::uint32_t>& rows = rows_.at(rule.block);
  for (std::uint32_t i = 0; i < relation.columns.size(); ++i) {
    ColumnRef column = predicates_.column_ref({use, i});
    if (!column.value_type || !reads_back(column.value_type->family)) continue;
    for (std::size_t at = 0; at < outputs.size() && at <= UINT16_MAX; ++at) {
      const Expr& output = outputs[at];
      if (output.kind != Kind::kColumn || !rows.contains(output.use) ||
          !looks_like_it(output, at)) {
        continue;
      }
      ColumnKey meant = key_of(output);
      if (rule.as && meant.first == rule.as->first) meant.first = rule.as->second;
      if (!conditions.are_equal(meant, {use, i}) ||
          (rule.only_keys && !is_key(*rule.block, output)) ||
          (rule.block != &top_ &&
           (at >= top_.outputs.size() || top_.outputs[at].type != output.type))) {
        continue;
      }
      pg::ValueTypePtr shown_as = pg::value_type_of(catalog_, output.type);
      if (!shown_as || shown_as->family != column.value_type->family) continue;
      out.columns.push_back(
          {std::move(column), static_cast<std::uint16_t>(at), std::move(shown_as)});
      break;
    }
  }
  // The stream always tells the columns of the replica identity.
  const auto in_identity = [&](const ShownColumn& shown) {
    return std::find(relation.key_columns.begin(), relation.key_columns.end(), shown.column.name) !=
           relation.key_columns.end();
  };
  if (std::any_of(out.columns.begin(), out.columns.end(), in_identity)) {
    std::erase_if(out.columns, [&](const ShownColumn& shown) { return !in_identity(shown); });
  }
  if (out.columns.empty()) return out;
  out.before = rule.before;
  out.after = rule.after;
  if (rule.tests_known) out.columns_tested = columns_tested(use);
  return out;
}

}  // namespace pgcache::sql
