// SPDX-License-Identifier: Apache-2.0
// Whether one change can matter to one dependency under given operands. The one test that both
// applying (for entries) and publishing (for loads) use. True is the safe answer.
#pragma once

#include <vector>

#include "cache/row_image.h"
#include "sql/cacheable_query.h"

namespace pgcache::cache {

// An UPDATE that certainly keeps every column that the query reads of the relation. (A query that
// reads none, such as count(*), heeds no UPDATE.)
bool is_invisible_update(const sql::Dependency& dependency, const ChangeImages& change);

// Whether a row that looks like `image` can be one that matters.
bool row_may_matter(const sql::Dependency& dependency, const RowImage& image,
                    const std::vector<sql::Operand>& operands);

// The images of the change, without regard to is_invisible_update. A TRUNCATE always matters.
bool change_may_matter(const sql::Dependency& dependency, const ChangeImages& change,
                       const std::vector<sql::Operand>& operands);

}  // namespace pgcache::cache
