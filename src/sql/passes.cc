// SPDX-License-Identifier: Apache-2.0
#include "sql/passes.h"

namespace pgcache::sql {
namespace {

// The rows that a window goes over have to be those of one table, each by itself.
bool is_of_rows(const Block& block) {
  return block.kind == Block::Kind::kSelect && block.from.size() == 1 &&
         block.from.front().kind == FromNode::Kind::kTable && !block.limited && !block.grouped &&
         block.distinct_on.empty() && !block.set_returning;
}

void number_later_rows(ResolvedQuery& query) {
  for (Block& block : query.blocks) {
    if (!block.running || !is_of_rows(block)) continue;
    block.running->later = static_cast<std::uint32_t>(query.uses.size());
    TableUse again = query.uses[block.from.front().use];
    query.uses.push_back(std::move(again));
  }
}

}  // namespace

std::vector<std::string_view> run_passes(ResolvedQuery& query, const PassListener& after) {
  struct Pass {
    std::string_view name;
    bool (*run)(ResolvedQuery&);
  };
  // Conditions once more where others have brought them together.
  static constexpr Pass kPasses[] = {
      {"separate_blocks", separate_blocks},
      {"prune_outputs", prune_outputs},
      {"merge_blocks", merge_blocks},
      {"reduce_outer_joins", reduce_outer_joins},
      {"simplify_conditions", simplify_conditions},
      {"drop_outer_joins", drop_outer_joins},
      {"drop_parent_joins", drop_parent_joins},
      {"simplify_conditions", simplify_conditions},
      {"prune_outputs", prune_outputs},
  };
  std::vector<std::string_view> changed;
  for (const Pass& pass : kPasses) {
    const bool did = pass.run(query);
    if (did && after) after(pass.name);
    if (did && (changed.empty() || changed.back() != pass.name)) changed.push_back(pass.name);
  }
  find_columns_read(query);
  number_later_rows(query);
  return changed;
}

}  // namespace pgcache::sql
