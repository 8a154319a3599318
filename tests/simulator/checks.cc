// SPDX-License-Identifier: Apache-2.0
// What must hold for the cache itself between any two steps. See world.h.
#include <algorithm>

#include "cache/cache_impl.h"
#include "simulator/world.h"

namespace pgcache::cache {
struct CacheTestAccess {
  static CacheImpl& impl(Cache& cache) { return *cache.impl_; }
};
}  // namespace pgcache::cache

namespace pgcache::simulator {

namespace {

// The CommandComplete at the end of an answer's frames; its tag has no zero byte.
std::string_view tag_of(std::string_view rows) {
  const std::size_t at = rows.rfind("SELECT ");
  return at == std::string_view::npos ? std::string_view{} : rows.substr(at, rows.size() - at - 1);
}

// Whether the entry holds what the execution gives at that moment: all of it, or, under a row
// limit, its first rows. The tag of an answer that came in parts is pgcache's own.
bool holds(const cache::CachedResult& entry, std::string_view answer, bool exactly) {
  if (exactly) return entry.rows == answer;
  const std::string_view rows = std::string_view(entry.rows).substr(0, entry.rows_end());
  const std::string_view all = answer.substr(0, answer.size() - tag_of(answer).size() - 6);
  return entry.suspended ? all.starts_with(rows) : all == rows;
}

}  // namespace

bool is_available(Fault fault) {
#ifdef PGCACHE_FAULTS
  return fault <= Fault::kForgetEarly;
#else
  return fault < Fault::kSkipLogCheck;
#endif
}

void World::set_cache_fault() {
#ifdef PGCACHE_FAULTS
  cache::CacheImpl::Faults& faults = cache::CacheTestAccess::impl(*cache_).faults;
  faults.skip_log_check = fault_ == Fault::kSkipLogCheck;
  faults.trim_all = fault_ == Fault::kTrimAll;
  faults.forget_silently = fault_ == Fault::kForgetSilently;
  faults.ignore_fences = fault_ == Fault::kIgnoreFences;
  faults.early_copies = fault_ == Fault::kEarlyCopies;
  faults.forget_early = fault_ == Fault::kForgetEarly;
#endif
}

// Every entry is the answer of a moment at which all that is both applied and visible was visible.
void World::check_entries() {
  cache::CacheImpl& impl = cache::CacheTestAccess::impl(*cache_);
  for (const TableId table : kTables) {
    for (cache::Entry* entry : impl.index.all_over(spec(table).oid)) {
      entry->doomed = false;  // it was only looked at
      if (entry->is_dropped()) continue;
      // What came in portions may be in two forms, and is not served before it is known.
      if (entry->result->portions_ended && !reload_known_) continue;
      ++totals_.entries_checked;
      const Library::Execution* const known = library_.recall(tag_of(entry->result->rows));
      const std::vector<const Library::Execution*> executions =
          known != nullptr ? std::vector{known} : library_.recall_shape(entry->shape->text);
      if (executions.empty()) {
        fail("an entry that no answer of the server can have made: " + entry->shape->text);
        return;
      }
      std::string now;
      const bool fresh =
          std::any_of(executions.begin(), executions.end(), [&](const auto* execution) {
            return is_fresh(*entry->result, *execution, known != nullptr, now);
          });
      if (!fresh) {
        fail("a stale entry for " + executions[0]->call.script->text + " (of the shape " +
             entry->shape->text + ") at moment " + std::to_string(origin_->moment()) +
             ", all applied up to " + std::to_string(origin_->applied_moment()) + ": holds " +
             printable(entry->result->rows) + ", now it is " + printable(now));
        return;
      }
    }
  }
}

// `now`: what the execution gives at present, if that was not known before.
bool World::is_fresh(const cache::CachedResult& entry, const Library::Execution& execution,
                     bool exactly, std::string& now) const {
  const Command& command = execution.call.script->commands.front();
  const std::vector<Number> values = argument_values(command, execution.call.parameters);
  for (std::uint64_t at = origin_->moment(); at >= origin_->applied_moment(); --at) {
    const Table answer = evaluate(command, values, execution.settings, *origin_, {at});
    const std::string rows = read_answer(execution.call, answer, execution.settings);
    if (now.empty()) now = rows;
    if (holds(entry, rows, exactly)) return true;
  }
  return false;
}

void World::check_limits() {
  const cache::CacheStatus status = cache_->status(now_);
  if (status.bytes > limits_.bytes_max) fail("the cache outgrew its budget");
  if (status.log_bytes > limits_.transaction_log_bytes_max) fail("the log outgrew its budget");
}

}  // namespace pgcache::simulator
