// SPDX-License-Identifier: Apache-2.0
#include "wire/reply_tracker.h"

namespace pgcache::wire {

void ReplyTracker::sent_copy_data() { copy_messages_ = copying_in_ || !pending_.empty(); }

bool ReplyTracker::sent(PendingRequest request) {
  if (pending_.empty() && !copying_in_) copy_messages_ = false;
  if (request.request == Request::kCopyEnd) {
    sent_copy_data();
    if (copying_in_) {
      copying_in_ = false;
    } else if (!pending_.empty()) {
      pending_.push_back(request);  // the COPY that it ends has not been confirmed yet
    }
    return false;
  }
  if (copying_in_) {
    const bool simple = !pending_.empty() && pending_.front().request == Request::kQuery;
    if (!simple || request.request != Request::kSync) confused_ = true;
    if (request.request == Request::kSync) {
      ignored_syncs_ = IgnoredSyncs::kAny;
      return false;
    }
  }
  request.behind_copy_data = copy_messages_;
  if (skipping_) {
    if (request.request != Request::kSync) return false;
    skipping_ = false;
  }
  pending_.push_back(request);
  return true;
}

void ReplyTracker::drop_until_sync(std::vector<PendingRequest>& dropped) {
  while (!pending_.empty() && pending_.front().request != Request::kSync) {
    dropped.push_back(pending_.front());
    pending_.pop_front();
  }
  skipping_ = pending_.empty();
}

// The server reads copy data from now on: a Sync that is already on its way will be ignored, up to
// the message that ends the copy.
void ReplyTracker::begin_copy_in() {
  copying_in_ = true;
  bool first = true;
  for (auto it = pending_.begin() + 1; it != pending_.end(); first = false) {
    if (it->request == Request::kCopyEnd) {
      pending_.erase(it);
      copying_in_ = false;
      return;
    }
    if (it->request != Request::kSync) {
      ++it;
      continue;
    }
    ignored_syncs_ = first && !it->behind_copy_data ? IgnoredSyncs::kFirst : IgnoredSyncs::kAny;
    it = pending_.erase(it);
  }
}

void ReplyTracker::end_copy(bool failed, Attribution& attribution) {
  if (failed && ignored_syncs_ == IgnoredSyncs::kAny) confused_ = true;
  attribution.sync_doubted = failed && ignored_syncs_ == IgnoredSyncs::kFirst;
  ignored_syncs_ = IgnoredSyncs::kNone;
}

Attribution ReplyTracker::on_ready(Attribution attribution) {
  while (!pending_.empty()) {
    const PendingRequest front = pending_.front();
    pending_.pop_front();
    if (front.request == Request::kSync || front.request == Request::kQuery ||
        front.request == Request::kFunctionCall) {
      attribution.request = front;
      attribution.hidden = front.hidden;
      attribution.has_request = true;
      attribution.completed = true;
      break;
    }
  }
  copying_in_ = false;
  pop_copy_ends();
  ignored_syncs_ = IgnoredSyncs::kNone;
  return attribution;
}

bool ReplyTracker::at_head(std::uint64_t but) const {
  if (skipping_ || copying_in_) return false;
  for (auto it = pending_.rbegin(); it != pending_.rend(); ++it) {
    if (it->request == Request::kSync) return true;
    // A Query or FunctionCall that fails discards nothing, but is no end of what was begun before.
    const bool cannot_fail = it->request == Request::kClose || it->request == Request::kLocal ||
                             it->request == Request::kQuery ||
                             it->request == Request::kFunctionCall;
    if (!cannot_fail && it->cookie != but) return false;
  }
  return true;
}

std::optional<std::uint64_t> ReplyTracker::take_local() {
  if (pending_.empty() || pending_.front().request != Request::kLocal) return std::nullopt;
  const std::uint64_t cookie = pending_.front().cookie;
  pending_.pop_front();
  return cookie;
}

void ReplyTracker::pop_copy_ends() {
  while (!pending_.empty() && pending_.front().request == Request::kCopyEnd) pending_.pop_front();
}

Attribution ReplyTracker::on_frame(char tag, std::vector<PendingRequest>& dropped) {
  pop_copy_ends();
  Attribution attribution;
  if (tag == 'Z') return on_ready(attribution);
  if (pending_.empty()) return attribution;
  attribution.has_request = true;
  attribution.request = pending_.front();
  attribution.hidden = attribution.request.hidden;
  const Request front = attribution.request.request;
  const bool simple = front == Request::kQuery || front == Request::kFunctionCall;
  switch (tag) {
    case '1':
    case '2':
    case '3':
    case 'n':
    case 's':
      attribution.completed = !simple && front != Request::kSync;
      break;
    case 'T':
      attribution.completed = front == Request::kDescribe;
      break;
    case 'C':
    case 'I':
      attribution.completed = front == Request::kExecute;
      end_copy(false, attribution);
      break;
    case 'G':
      begin_copy_in();
      break;
    case 'E':
      copying_in_ = false;
      end_copy(true, attribution);
      if (!simple && front != Request::kSync) drop_until_sync(dropped);
      return attribution;
    default:
      break;
  }
  if (attribution.completed) pending_.pop_front();
  pop_copy_ends();  // nothing is owed for one outside of a COPY
  return attribution;
}

}  // namespace pgcache::wire
