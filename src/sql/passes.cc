// SPDX-License-Identifier: Apache-2.0
#include "sql/passes.h"

namespace pgcache::sql {

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
  return changed;
}

}  // namespace pgcache::sql
