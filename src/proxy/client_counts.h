// SPDX-License-Identifier: Apache-2.0
// How many clients are connected, in all and from each address: as of the moment in which each was
// accepted, so that no limit is passed however many come at once. Any thread.
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

  struct Limits {
    std::uint32_t clients_max = 0;
    std::uint32_t per_address_max = 0;  // 0: none
  };
  enum class Outcome { kIn, kTooMany, kTooManyFromAddress };

  // An empty address has no limit of its own. `slot` is empty before.
  Outcome enter(std::string address, const Limits& limits, Slot& slot) {
    if (limits.per_address_max == 0) address.clear();
    const std::lock_guard lock(mutex_);
    if (total_ >= limits.clients_max) return Outcome::kTooMany;
    if (!address.empty()) {
      std::uint32_t& count = counts_[address];
      if (count >= limits.per_address_max) return Outcome::kTooManyFromAddress;
      ++count;
    }
    ++total_;
    slot = Slot(shared_from_this(), std::move(address));
    return Outcome::kIn;
  }

 private:
  void leave(const std::string& address) {
    const std::lock_guard lock(mutex_);
    --total_;
    if (address.empty()) return;
    const auto found = counts_.find(address);
    if (--found->second == 0) counts_.erase(found);
  }

  std::mutex mutex_;
  std::uint32_t total_ = 0;                                // guarded by mutex_
  std::unordered_map<std::string, std::uint32_t> counts_;  // likewise
};

}  // namespace pgcache::proxy
