// SPDX-License-Identifier: Apache-2.0
// By what rows of a table are told apart in the stream: the columns of its replica identity.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cdc/row_change.h"
#include "pg/catalog.h"

namespace pgcache::cache {

// Where the key's columns are; empty when rows of the relation cannot be told apart by their text.
// `catalog`: what is known of domains; null: nothing.
std::vector<std::size_t> identity_positions(const cdc::StreamRelation& relation,
                                            const pg::Catalog* catalog);

// Nothing when some of them is not there.
std::optional<std::string> identity_key(const std::vector<std::size_t>& positions,
                                        const std::vector<cdc::Cell>& row);

// Whether every value is there.
bool is_whole_row(const std::vector<cdc::Cell>& row);

}  // namespace pgcache::cache
