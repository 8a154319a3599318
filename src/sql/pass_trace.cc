// SPDX-License-Identifier: Apache-2.0
#include "sql/pass_trace.h"

#include "sql/analysis.h"
#include "sql/dependencies.h"
#include "sql/passes.h"

namespace pgcache::sql {
namespace {

std::string text_of(const Dependency& dependency, const CacheableQuery& query) {
  std::string text = describe(dependency, query);
  for (const auto& [member, guard] : dependency.member_guards) {
    text += "; " + std::to_string(pg::to_u32(member)) + ": " + describe(guard, query);
  }
  text += dependency.reads_all_columns ? "; all" : ";";
  for (const std::string& column : dependency.columns_read) text += " " + column;
  for (const ShownColumn& shown : dependency.shown.columns) {
    text += "; " + shown.column.name + " " + std::to_string(shown.position);
  }
  return text;
}

}  // namespace

void PassTrace::note(const ResolvedQuery& query, std::string_view pass) {
  ResolvedQuery copy = query;
  find_columns_read(copy);
  CacheableQuery derived = start_;
  std::vector<std::uint32_t> uses;
  if (!derive_dependencies(copy, catalog_, derived, &uses)) return;
  std::map<std::uint32_t, std::string> texts;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    texts[uses[i]] += text_of(derived.dependencies[i], derived) + "\n";
  }
  for (const auto& [use, text] : texts) {
    const auto before = texts_.find(use);
    if (!pass.empty() && (before == texts_.end() || before->second != text)) {
      passes_[use].emplace_back(pass);
    }
  }
  texts_ = std::move(texts);
}

void PassTrace::finish(const std::vector<std::uint32_t>& uses,
                       std::vector<Dependency>& dependencies) const {
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const auto found = passes_.find(uses[i]);
    if (found == passes_.end()) continue;
    std::vector<std::string>& passes = dependencies[i].passes;
    passes.insert(passes.begin(), found->second.begin(), found->second.end());
  }
}

}  // namespace pgcache::sql
