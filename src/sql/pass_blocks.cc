// SPDX-License-Identifier: Apache-2.0
// Passes over the blocks of a query: each named once, plain ones merged into those that name them.
#include <algorithm>
#include <functional>
#include <map>

#include "sql/passes.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

constexpr std::size_t kUsesMax = 400;
constexpr std::size_t kOutputMax = 100;     // expressions in one output that is put elsewhere
constexpr std::size_t kCopiesMax = 20'000;  // in all of its copies

// ---------------------------------------------------------------- separating

// Copies a block with all that stands in it; uses of its own get new numbers.
class Copier {
 public:
  explicit Copier(ResolvedQuery& query) : query_(query) {}

  std::uint32_t copy(std::uint32_t block) {
    number_uses(block);
    return copy_block(block);
  }

 private:
  void number_uses(std::uint32_t block) {
    std::set<std::uint32_t> uses;
    for (const FromNode& node : query_.blocks[block].from) collect_uses(node, uses);
    for (const std::uint32_t use : named_blocks(query_, query_.blocks[block])) uses.insert(use);
    for (const std::uint32_t use : uses) {
      if (numbers_.contains(use)) continue;
      numbers_.emplace(use, static_cast<std::uint32_t>(query_.uses.size()));
      TableUse copy = query_.uses[use];
      query_.uses.push_back(std::move(copy));
      TableUse& copied = query_.uses.back();
      for (Expr& check : copied.checks) renumber(check);
      for (auto& [member, bounds] : copied.member_bounds) renumber(bounds);
      if (copied.relation == nullptr) number_uses(copied.block);
    }
  }

  std::uint32_t copy_block(std::uint32_t number) {
    Block block = query_.blocks[number];
    each_block_expr(block, [this](Expr& expr) { renumber(expr); });
    for (FromNode& node : block.from) renumber(node);
    for (std::uint32_t& use : block.branches) use = numbers_.at(use);
    const std::vector<std::uint32_t> named = named_blocks(query_, block);
    query_.blocks.push_back(std::move(block));
    const auto copied = static_cast<std::uint32_t>(query_.blocks.size() - 1);
    for (const std::uint32_t use : named) {
      const std::uint32_t inner = copy_block(query_.uses[use].block);
      query_.uses[use].block = inner;
    }
    return copied;
  }

  void renumber(FromNode& node) {
    if (node.kind == FromNode::Kind::kTable || node.kind == FromNode::Kind::kBlock) {
      node.use = numbers_.at(node.use);
    }
    for (FromNode& child : node.children) renumber(child);
  }

  void renumber(Expr& expr) {
    each_expr(expr, [this](Expr& part) {
      if (part.kind != Expr::Kind::kColumn && part.kind != Expr::Kind::kSublink) return;
      const auto it = numbers_.find(part.use);
      if (it != numbers_.end()) part.use = it->second;
    });
  }

  ResolvedQuery& query_;
  std::map<std::uint32_t, std::uint32_t> numbers_;
};

class Separator {
 public:
  explicit Separator(ResolvedQuery& query) : query_(query) {}

  bool run() {
    for (const std::uint32_t block : query_.also) seen_.insert(block);
    visit(query_.top);
    const std::vector<std::uint32_t> also = query_.also;
    for (const std::uint32_t block : also) visit(block);
    return changed_;
  }

 private:
  void visit(std::uint32_t block) {
    for (const std::uint32_t use : named_blocks(query_, query_.blocks[block])) {
      const std::uint32_t inner = query_.uses[use].block;
      if (seen_.insert(inner).second) {
        visit(inner);
        continue;
      }
      changed_ = true;
      const std::uint32_t copy =
          query_.uses.size() < kUsesMax ? Copier(query_).copy(inner) : read_whole(inner);
      query_.uses[use].block = copy;
      seen_.insert(copy);
      mark_below(copy);
    }
  }

  // The copies are named once already.
  void mark_below(std::uint32_t block) {
    for (const std::uint32_t use : named_blocks(query_, query_.blocks[block])) {
      seen_.insert(query_.uses[use].block);
      mark_below(query_.uses[use].block);
    }
  }

  // A block that brings as many columns, of which nothing is known; the other is read beside.
  std::uint32_t read_whole(std::uint32_t block) {
    if (std::find(query_.also.begin(), query_.also.end(), block) == query_.also.end()) {
      query_.also.push_back(block);
    }
    Block unknown;
    unknown.kind = Block::Kind::kOpaque;
    for (const Expr& output : query_.blocks[block].outputs) {
      unknown.outputs.push_back(make_opaque(output.type, {}));
    }
    query_.blocks.push_back(std::move(unknown));
    return static_cast<std::uint32_t>(query_.blocks.size() - 1);
  }

  ResolvedQuery& query_;
  std::set<std::uint32_t> seen_;
  bool changed_ = false;
};

// ---------------------------------------------------------------- merging

bool is_plain(const Block& block) {
  return block.kind == Block::Kind::kSelect && !block.grouped && !block.distinct &&
         !block.limited && block.partitions.empty() && !block.set_returning &&
         !block.unknown_outputs && !block.from.empty();
}

// What a row must fulfil may come from a block that yields it more than once, or not all of them.
bool is_fulfilled_by_row(const Block& block, LinkKind link) {
  return block.kind == Block::Kind::kSelect && !block.grouped && !block.set_returning &&
         !block.unknown_outputs && !block.from.empty() && !(block.distinct && block.skips) &&
         (link == LinkKind::kExists ||
          (!block.limited && block.distinct_on.empty() && block.partitions.empty()));
}

FromNode as_node(Block& block) {
  FromNode node;
  node.kind = FromNode::Kind::kJoin;
  node.join = JoinKind::kInner;
  node.children = std::move(block.from);
  node.on = std::move(block.where);
  return node;
}

void add_condition(std::optional<Expr>& condition, Expr more) {
  std::vector<Expr> parts;
  if (condition) parts.push_back(*std::move(condition));
  parts.push_back(std::move(more));
  condition = make_expr(Expr::Kind::kAnd, std::move(parts));
}

class Merger {
 public:
  explicit Merger(ResolvedQuery& query) : query_(query) {}

  bool run() {
    merge(query_.top);
    for (const std::uint32_t block : query_.also) merge(block);
    return changed_;
  }

 private:
  void merge(std::uint32_t number) {
    for (const std::uint32_t use : named_blocks(query_, query_.blocks[number])) {
      merge(query_.uses[use].block);
    }
    std::vector<FromNode> from = std::move(query_.blocks[number].from);
    for (FromNode& node : from) merge_node(number, from, node, false);
    query_.blocks[number].from = std::move(from);
    merge_sublinks(number);
  }

  void merge_node(std::uint32_t block, std::vector<FromNode>& from, FromNode& node, bool nullable) {
    if (node.kind == FromNode::Kind::kJoin) {
      for (std::size_t i = 0; i < node.children.size(); ++i) {
        merge_node(block, from, node.children[i], nullable || is_extended(node, i));
      }
      return;
    }
    if (node.kind != FromNode::Kind::kBlock) return;
    Block& inner = query_.blocks[query_.uses[node.use].block];
    if (!is_plain(inner)) return;
    changed_ = true;
    std::set<std::uint32_t> own;
    for (const FromNode& item : inner.from) collect_uses(item, own);
    std::vector<Expr> outputs = std::move(inner.outputs);
    // What stands in several places grows with each level.
    for (std::uint32_t i = 0; i < outputs.size(); ++i) {
      const std::size_t size = size_of(outputs[i]);
      if (size == 1 ||
          (size < kOutputMax && size * count_mentions(block, from, {node.use, i}) < kCopiesMax)) {
        continue;
      }
      outputs[i] = summary_of(outputs[i]);
    }
    const Expr witness = nullable ? witness_of(inner, outputs, own) : Expr();
    const auto replace = [&](const Expr& column) {
      const Expr& output = outputs[column.column];
      // Above the outer join the column is NULL where its row is missing.
      const bool exact = !nullable || is_strict(output, of_uses(own));
      if (exact) return output;
      std::vector<Expr> parts{output};
      if (!mentions(output, own)) parts.push_back(witness);
      return make_opaque(column.type, std::move(parts));
    };
    const std::uint32_t use = node.use;
    std::vector<Expr> others = std::move(inner.others);
    node = as_node(inner);
    inner = Block();
    for (FromNode& item : from) replace_in(item, use, replace);
    replace_below(block, use, replace);
    Block& outer = query_.blocks[block];
    for (Expr& expr : others) outer.others.push_back(std::move(expr));
  }

  // A column by which something that stands above the block, and has no column of it, tells that it
  // is about its rows: one that is read anyway, if there is any.
  Expr witness_of(const Block& inner, const std::vector<Expr>& outputs,
                  const std::set<std::uint32_t>& own) const {
    std::optional<Expr> found;
    const auto look = [&](const Expr& top) {
      each_expr(top, [&](const Expr& part) {
        if (!found && part.kind == Expr::Kind::kColumn && own.contains(part.use)) found = part;
      });
    };
    each_block_expr(inner, look);
    for (const Expr& output : outputs) look(output);
    return found ? *found : make_column({*own.begin(), 0}, pg::Oid::kInvalid);
  }

  std::size_t count_mentions(std::uint32_t block, std::vector<FromNode>& from, ColumnKey key) {
    std::size_t count = 0;
    const auto visit = [&](Expr& expr) {
      each_expr(expr, [&](const Expr& part) {
        count += part.kind == Expr::Kind::kColumn && key_of(part) == key ? 1 : 0;
      });
    };
    for (FromNode& node : from) each_node_expr(node, visit);
    each_block_below(query_, block, [&](Block& b) { each_block_expr(b, visit); });
    return count;
  }

  void replace_in(FromNode& node, std::uint32_t use,
                  const std::function<Expr(const Expr&)>& replace) {
    each_node_expr(node, [&](Expr& expr) {
      substitute(expr, use, replace);
      std::vector<const Expr*> sublinks;
      collect_sublinks(expr, sublinks);
      for (const Expr* sublink : sublinks) {
        replace_below(query_.uses[sublink->use].block, use, replace);
      }
    });
    std::set<std::uint32_t> uses;
    collect_uses(node, uses);
    for (const std::uint32_t named : uses) {
      if (query_.uses[named].relation == nullptr) {
        replace_below(query_.uses[named].block, use, replace);
      }
    }
  }

  void replace_below(std::uint32_t number, std::uint32_t use,
                     const std::function<Expr(const Expr&)>& replace) {
    each_block_below(query_, number, [&](Block& block) {
      each_block_expr(block, [&](Expr& expr) { substitute(expr, use, replace); });
    });
  }

  // Conjuncts of WHERE.
  void merge_sublinks(std::uint32_t number) {
    if (!query_.blocks[number].where) return;
    Expr where = *std::move(query_.blocks[number].where);
    std::vector<Expr*> conjuncts;
    flatten(where, conjuncts);
    std::vector<Expr> kept;
    for (Expr* each : conjuncts) {
      Expr& conjunct = *each;
      const bool link = conjunct.kind == Expr::Kind::kSublink &&
                        (conjunct.link == LinkKind::kExists || conjunct.link == LinkKind::kAny);
      if (!link ||
          !is_fulfilled_by_row(query_.blocks[query_.uses[conjunct.use].block], conjunct.link)) {
        kept.push_back(std::move(conjunct));
        continue;
      }
      changed_ = true;
      Block& inner = query_.blocks[query_.uses[conjunct.use].block];
      for (Expr& comparison : conjunct.children) {
        substitute(comparison, conjunct.use,
                   [&](const Expr& column) { return inner.outputs[column.column]; });
        add_condition(inner.where, std::move(comparison));
      }
      // Without LIMIT the order of its rows does not matter.
      std::vector<Expr> others;
      if (inner.limited) others = std::move(inner.others);
      FromNode node = as_node(inner);
      inner = Block();
      Block& outer = query_.blocks[number];
      for (Expr& expr : others) outer.others.push_back(std::move(expr));
      outer.from.push_back(std::move(node));
    }
    if (!kept.empty()) {
      query_.blocks[number].where = make_expr(Expr::Kind::kAnd, std::move(kept));
    }
  }

  ResolvedQuery& query_;
  bool changed_ = false;
};

}  // namespace

bool separate_blocks(ResolvedQuery& query) { return Separator(query).run(); }

bool merge_blocks(ResolvedQuery& query) { return Merger(query).run(); }

}  // namespace pgcache::sql
