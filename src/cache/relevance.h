// SPDX-License-Identifier: Apache-2.0
// Whether one change can matter to one dependency under given operands. The tests that both
// applying (for entries) and publishing (for loads) use. True is the safe answer.
#pragma once

#include "cache/operands.h"
#include "cache/result_facts.h"
#include "cache/row_image.h"
#include "cache/shown_keys.h"
#include "sql/cacheable_query.h"

namespace pgcache::cache {

enum class Visibility {
  kInvisible,  // an UPDATE that certainly keeps every column that the query reads of the relation
               // (one that reads none, such as count(*), heeds no UPDATE); of a parent, an INSERT
               // or DELETE
  kUnproven,   // it might be that, if more were known of the row before
  kVisible,
};
Visibility visibility(const sql::Dependency& dependency, const ChangeImages& change);

// The same for changes that come in one form, without a look at the dependency.
class VisibilityRule {
 public:
  VisibilityRule() = default;
  VisibilityRule(const sql::Dependency& dependency, const RelationForm& form);
  Visibility operator()(const ChangeImages& change) const;

 private:
  void ask(const RelationForm& form, const std::string& column);

  ColumnSet columns_;          // that are asked whether an UPDATE has kept them
  bool asks_unknown_ = false;  // and some that the form does not have
  bool asks_all_ = false;
  bool is_parent_ = false;
};

// Whether any row of the relation can matter.
bool may_matter_at_all(const sql::Dependency& dependency, const BoundOperands& operands);

// Whether rows of this member can matter: for a TRUNCATE, say.
bool member_may_matter(const sql::Dependency& dependency, pg::Oid member,
                       const BoundOperands& operands);

// Whether a row that looks like `image` can be one that matters.
bool row_may_matter(const sql::Dependency& dependency, const RowImage& image,
                    const BoundOperands& operands);

// An UPDATE whose row certainly fulfils the conditions as it did before, and has kept whatever else
// the query reads of it.
bool keeps_result(const sql::Dependency& dependency, const ChangeImages& change,
                  const BoundOperands& operands);

// The row that must be shown by the result (Dependency.shown) for this image of the change to
// matter; null: it matters in any case.
const RowImage* must_be_shown(const sql::Dependency& dependency, const ChangeImages& change,
                              bool is_before);

// The images of the change, without regard to visibility(). `shown`: what the result shows; null:
// not known.
bool change_may_matter(const sql::Dependency& dependency, const ChangeImages& change,
                       const BoundOperands& operands, const ShownKeys* shown,
                       const ResultFacts& facts);

}  // namespace pgcache::cache
