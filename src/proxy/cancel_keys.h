// SPDX-License-Identifier: Apache-2.0
// Whose session a cancel request is for, by the key that the origin gave it. A session of pgcache's
// may hold what its client waits for: then there is nothing at the origin yet that a cancel request
// could reach. Owned by the server; any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace pgcache::proxy {

class SessionLoop;
class Worker;

class CancelKeys {
 public:
  struct Owner {
    Worker* worker = nullptr;  // on whose thread alone the session is touched
    std::weak_ptr<SessionLoop> session;
  };

  void add(const std::string& key, Owner owner) {
    const std::lock_guard lock(mutex_);
    owners_.insert_or_assign(key, std::move(owner));
  }
  void remove(const std::string& key) {
    const std::lock_guard lock(mutex_);
    owners_.erase(key);
  }
  std::optional<Owner> find(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto it = owners_.find(key);
    return it == owners_.end() ? std::nullopt : std::optional(it->second);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Owner> owners_;
};

}  // namespace pgcache::proxy
