// SPDX-License-Identifier: Apache-2.0
// Passes over what is looked at: outputs that nobody needs, and the columns of tables that are
// read.
#include <algorithm>

#include "sql/passes.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using Kind = Expr::Kind;

class Pruner {
 public:
  explicit Pruner(ResolvedQuery& query) : query_(query) {}

  bool run() {
    visit(query_.top);
    for (const std::uint32_t block : query_.also) visit(block);
    return changed_;
  }

 private:
  // From outside inwards, so that what an output reads is not needed any more when it is gone.
  void visit(std::uint32_t number) {
    std::set<ColumnKey> looked_at;
    std::set<std::uint32_t> exists;
    std::set<std::uint32_t> otherwise;
    each_block_below(query_, number, [&](Block& block) {
      each_block_expr(block, [&](Expr& expr) {
        each_expr(expr, [&](Expr& part) {
          if (part.kind == Kind::kColumn) looked_at.insert(key_of(part));
          if (part.kind != Kind::kSublink) return;
          (part.link == LinkKind::kExists ? exists : otherwise).insert(part.use);
        });
      });
    });
    for (const std::uint32_t use : named_blocks(query_, query_.blocks[number])) {
      Block& inner = query_.blocks[query_.uses[use].block];
      const bool in_branch = is_branch(query_.blocks[number], use);
      if (exists.contains(use)) {
        prune(
            inner, [](std::uint32_t) { return false; }, true);
      } else if (!otherwise.contains(use) && !in_branch) {
        prune(
            inner,
            [&](std::uint32_t i) {
              return looked_at.contains({use, i});
            },
            false);
      }
      visit(query_.uses[use].block);
    }
  }

  static bool is_branch(const Block& block, std::uint32_t use) {
    return std::find(block.branches.begin(), block.branches.end(), use) != block.branches.end();
  }

  // PostgreSQL does not compute the select list under EXISTS. Elsewhere it may or may not compute
  // what nobody looks at, so that only what cannot fail goes.
  template <typename Needed>
  void prune(Block& block, const Needed& needed, bool exists) {
    if (block.kind != Block::Kind::kSelect || block.set_returning) return;
    if (!exists && (block.distinct || block.unknown_outputs)) return;
    // How many different rows there are.
    if (block.distinct && block.skips) return;
    for (std::uint32_t i = 0; i < block.outputs.size(); ++i) {
      Expr& output = block.outputs[i];
      if (output.kind == Kind::kNull || needed(i)) continue;
      if (!exists && output.kind != Kind::kColumn && output.kind != Kind::kOperand) continue;
      output = make_null();
      changed_ = true;
    }
  }

  ResolvedQuery& query_;
  bool changed_ = false;
};

}  // namespace

bool prune_outputs(ResolvedQuery& query) { return Pruner(query).run(); }

void find_columns_read(ResolvedQuery& query) {
  for (TableUse& use : query.uses) {
    use.columns_read.assign(use.relation == nullptr ? 0 : use.relation->columns.size(), false);
  }
  const auto visit = [&](Block& block) {
    each_block_expr(block, [&](Expr& expr) {
      each_expr(expr, [&](Expr& part) {
        if (part.kind != Kind::kColumn) return;
        TableUse& use = query.uses[part.use];
        if (use.relation != nullptr) use.columns_read[part.column] = true;
      });
    });
  };
  each_block_below(query, query.top, visit);
  for (const std::uint32_t block : query.also) each_block_below(query, block, visit);
}

}  // namespace pgcache::sql
