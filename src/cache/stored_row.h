// SPDX-License-Identifier: Apache-2.0
// A row's cells as one string of bytes, to be kept when the transaction that showed them is gone:
// for each cell a kind u8, and behind kText and kBinary the length u32 in network order and the
// bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cdc/row_change.h"

namespace pgcache::cache {

using StoredRow = std::shared_ptr<const std::string>;

// A cell of `cells` that is an unchanged TOAST value is taken from `before` (which may be empty),
// else it is absent.
std::string encode_row(const std::vector<cdc::Cell>& cells, const std::vector<cdc::Cell>& before);
// The cells view `row`.
std::vector<cdc::Cell> decode_row(const std::string& row);

}  // namespace pgcache::cache
