// SPDX-License-Identifier: Apache-2.0
// Whether the cache may answer now: how far the stream has been applied, and until when that is
// proven to be everything.
//
// A proof: the origin's WAL position P was read at a time T (or later). Once everything up to P is
// applied, every commit that was acknowledged before T is in the cache, so the cache is fresh as of
// T. That holds whether or not the stream was interrupted in between, for positions of one history;
// a new history is a cold start, which forgets all proofs. Proofs from before a disconnect, and
// positions told while disconnected, are forgotten nevertheless: after a reconnect the cache serves
// only when a position told since then has been applied.
//
// Where the origin's commits wait for pgcache (needs_synchrony) a proof is also a lease: as of T
// they did. While they do not, nothing is proven, and proofs from before are forgotten.
//
// unavailable() is one relaxed load, or two with `barred`: everything else that it asks is kept in
// one word. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "pg/ids.h"
#include "sql/bypass_reason.h"

namespace pgcache::cache {

struct FreshnessRules {
  Duration max_staleness = std::chrono::seconds(1);
  bool needs_synchrony = false;
  // Where it is not zero nothing is fresh, whatever was proven: another process writes it, when
  // this one does not run. Null: nobody does.
  const std::atomic<std::uint32_t>* barred = nullptr;
  bool keeps_every_proof = false;  // somebody waits for each: none is left out as nearly the same
};

class Freshness {
 public:
  explicit Freshness(FreshnessRules rules) : rules_(rules) {}

  std::optional<sql::BypassReason> unavailable(TimePoint now) const;
  pg::Lsn applied() const { return {applied_.load(std::memory_order_acquire)}; }
  // Whether there is a proof as of the time, or a later one, that is of use.
  bool proven_since(TimePoint time) const {
    const std::int64_t word = word_.load();
    return word > kNotSynchronous && word >= time.time_since_epoch().count();
  }
  // Seconds since the last proof, zero before the first.
  double age_seconds(TimePoint now) const;
  // All that is missing is a snapshot or a proof.
  bool wants_proof() const {
    const std::int64_t word = word_.load(std::memory_order_relaxed);
    return word == kUnproven || word == kNoSnapshot;
  }

  void on_cold_start(pg::Lsn consistent_point);
  // Loads have a snapshot to carry.
  void on_snapshot();
  void on_connected();
  void on_disconnected();
  void on_synchrony(bool waited_for);
  void on_position(pg::Lsn position);
  void on_heartbeat(pg::Lsn position, TimePoint taken_at);

 private:
  // Values of word_ that are no time.
  static constexpr std::int64_t kStarting = INT64_MIN;
  static constexpr std::int64_t kDown = INT64_MIN + 1;
  static constexpr std::int64_t kNoSnapshot = INT64_MIN + 2;
  static constexpr std::int64_t kUnproven = INT64_MIN + 3;
  static constexpr std::int64_t kNotSynchronous = INT64_MIN + 4;
  static constexpr std::size_t kPendingMax = 64;

  struct Pending {
    pg::Lsn position;
    TimePoint taken_at;
  };
  void prove_up_to(pg::Lsn applied);  // with the lock held
  void rewrite_word();

  void forget_proofs();  // likewise

  const FreshnessRules rules_;
  std::atomic<std::int64_t> word_{kStarting};
  std::atomic<std::uint64_t> applied_{0};

  std::mutex mutex_;  // guards all below, and the writing of the above
  bool started_ = false;
  bool has_snapshot_ = false;
  bool connected_ = false;
  bool synchronous_ = false;
  std::optional<TimePoint> proven_;
  std::vector<Pending> pending_;  // as told
};

}  // namespace pgcache::cache
