// SPDX-License-Identifier: Apache-2.0
// How many clients are connected from each address. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace pgcache::proxy {

class ClientCounts : public std::enable_shared_from_this<ClientCounts> {
 public:
  // One client that counts as long as this lives. Empty: it does not count.
  class Slot {
   public:
    Slot() = default;
    Slot(std::shared_ptr<ClientCounts> counts, std::string address)
        : counts_(std::move(counts)), address_(std::move(address)) {}
    Slot(Slot&& other) noexcept = default;
    Slot& operator=(Slot&& other) noexcept {
      std::swap(counts_, other.counts_);
      std::swap(address_, other.address_);
      return *this;
    }
    ~Slot() {
      if (counts_) counts_->leave(address_);
    }

   private:
    std::shared_ptr<ClientCounts> counts_;  // shared with the server: a slot may outlive it
    std::string address_;
  };

  // False when there are `max` already.
  bool enter(const std::string& address, std::uint32_t max, Slot& slot) {
    const std::lock_guard lock(mutex_);
    std::uint32_t& count = counts_[address];
    if (count >= max) return false;
    ++count;
    slot = Slot(shared_from_this(), address);
    return true;
  }

 private:
  void leave(const std::string& address) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(address);
    if (--found->second == 0) counts_.erase(found);
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::uint32_t> counts_;  // guarded by mutex_
};

}  // namespace pgcache::proxy
