// SPDX-License-Identifier: Apache-2.0
// Keeps copies of byte strings at addresses that stay put until the storage is released, so that
// views into them can be handed on together with it. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgcache::cdc {

class Arena {
 public:
  using Storage = std::vector<std::unique_ptr<std::string>>;

  std::string_view copy(std::string_view bytes) {
    if (chunks_.empty() || chunks_.back()->capacity() - chunks_.back()->size() < bytes.size()) {
      add_chunk(bytes.size());
    }
    std::string& chunk = *chunks_.back();
    const std::size_t start = chunk.size();
    chunk.append(bytes);  // within its capacity: nothing moves
    return std::string_view(chunk).substr(start);
  }

  std::uint64_t bytes() const { return bytes_; }  // allocated

  // Hands the storage over, views and all; the arena is empty then.
  Storage release() {
    bytes_ = 0;
    return std::exchange(chunks_, {});
  }

 private:
  static constexpr std::size_t kChunkBytesMax = 64 * 1024;

  // The first chunk fits exactly, since most transactions are one small change; then they double.
  void add_chunk(std::size_t at_least) {
    const std::size_t usual = std::min<std::size_t>(bytes_, kChunkBytesMax);
    auto chunk = std::make_unique<std::string>();
    chunk->reserve(std::max(at_least, usual));
    bytes_ += chunk->capacity();
    chunks_.push_back(std::move(chunk));
  }

  Storage chunks_;
  std::uint64_t bytes_ = 0;
};

}  // namespace pgcache::cdc
