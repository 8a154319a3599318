// SPDX-License-Identifier: Apache-2.0
// A row's cells as one string of bytes, to be kept when the transaction that showed them is gone:
// for each cell a kind u8, and behind kText and kBinary the length u32 in network order and the
// bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/prefetch.h"
#include "cdc/row_change.h"

namespace pgcache::cache {

// A cell of `cells` that is an unchanged TOAST value is taken from `before` (which may be empty),
// else it is absent.
std::string encode_row(const std::vector<cdc::Cell>& cells, const std::vector<cdc::Cell>& before);
// The cells view `row`.
std::vector<cdc::Cell> decode_row(std::string_view row);

// Such bytes, or nothing; shared and immutable. One piece of memory.
class StoredRow {
 public:
  StoredRow() = default;
  // As encode_row().
  StoredRow(const std::vector<cdc::Cell>& cells, const std::vector<cdc::Cell>& before);

  explicit operator bool() const { return memory_ != nullptr; }
  // Empty if there is nothing. Lives as long as one of those that share it.
  std::string_view bytes() const {
    if (!memory_) return {};
    return {memory_.get() + sizeof(Size), load_be32(memory_.get())};
  }
  // Its beginning.
  void prefetch() const { prefetch_bytes(memory_.get(), 128); }

 private:
  using Size = std::uint32_t;

  std::shared_ptr<const char[]> memory_;  // the size in network order, then the bytes
};

}  // namespace pgcache::cache
