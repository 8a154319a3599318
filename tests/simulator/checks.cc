// SPDX-License-Identifier: Apache-2.0
// What must hold for the cache itself between any two steps. See world.h.
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

}  // namespace

bool is_available(Fault fault) {
#ifdef PGCACHE_FAULTS
  return fault <= Fault::kIgnoreFences;
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
#endif
}

// Every entry is the answer of a moment at which all that is both applied and visible was visible.
void World::check_entries() {
  cache::CacheImpl& impl = cache::CacheTestAccess::impl(*cache_);
  for (const TableId table : kTables) {
    for (cache::Entry* entry : impl.index.all_over(spec(table).oid)) {
      entry->doomed = false;  // it was only looked at
      ++totals_.entries_checked;
      const Library::Execution* execution = library_.recall(tag_of(entry->result->rows));
      if (execution == nullptr) {
        fail("an entry that no answer of the server can have made: " + entry->shape->text);
        return;
      }
      const Command& command = execution->call.script->commands.front();
      const std::vector<Number> values = argument_values(command, execution->call.parameters);
      const std::uint64_t oldest = origin_->applied_moment();
      bool found = false;
      std::string now;
      for (std::uint64_t at = origin_->moment(); !found && at >= oldest; --at) {
        const Table answer = evaluate(command, values, execution->settings, *origin_, {at});
        const std::string rows = read_answer(execution->call, answer, execution->settings);
        found = rows == entry->result->rows;
        if (now.empty()) now = rows;
      }
      if (!found) {
        fail("a stale entry for " + execution->call.script->text + " (of the shape " +
             entry->shape->text + ") at moment " + std::to_string(origin_->moment()) +
             ", all applied up to " + std::to_string(oldest) + ": holds " +
             printable(entry->result->rows) + ", now it is " + printable(now));
        return;
      }
    }
  }
}

void World::check_limits() {
  const cache::CacheStatus status = cache_->status(now_);
  if (status.bytes > limits_.bytes_max) fail("the cache outgrew its budget");
  if (status.log_bytes > limits_.transaction_log_bytes_max) fail("the log outgrew its budget");
}

}  // namespace pgcache::simulator
