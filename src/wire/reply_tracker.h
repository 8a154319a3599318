// SPDX-License-Identifier: Apache-2.0
// Which request the origin's next frame answers. Every frontend message that is sent to the origin
// and that will be answered is noted here, in order; every backend frame is then attributed to the
// request at the front. Requests of pgcache's own making are marked hidden: their replies are not
// relayed.
//
// Follows the rules of manual 55.2.3 (extended query: an error discards all up to the next Sync)
// and 55.2.6 (COPY: Sync and Flush are ignored while copying in). Pure; owned by one session.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace pgcache::wire {

enum class Request : std::uint8_t {
  kParse,
  kBind,
  kDescribe,
  kExecute,
  kClose,
  kSync,
  kQuery,
  kFunctionCall,
  kCopyEnd,  // CopyDone or CopyFail: answered by nothing, but it ends the ignoring of Sync
  kLocal,    // not sent at all: its reply is at hand, and leaves when its turn has come
};

struct PendingRequest {
  Request request = Request::kSync;
  bool hidden = false;
  std::uint64_t cookie = 0;       // the owner's
  bool behind_copy_data = false;  // of a Sync
};

// What a backend frame means.
struct Attribution {
  bool hidden = false;       // do not relay
  bool has_request = false;  // false: nothing was outstanding (asynchronous message)
  bool completed = false;    // `request` is answered for good
  // An error ended a COPY. Whether the server read, and ignored, the Sync that was sent right
  // behind the request, only the error can tell: it did if it had begun to read the data. Else
  // confuse().
  bool sync_doubted = false;
  PendingRequest request;  // the one that the frame answers
};

class ReplyTracker {
 public:
  // Notes a message that goes to the origin. False when the origin will discard it (an error has
  // happened and no Sync has been sent since), or ignore it (Sync during COPY).
  bool sent(PendingRequest request);

  // A CopyData goes to the origin.
  void sent_copy_data();

  // A frame came. NoticeResponse, NotificationResponse and ParameterStatus are asynchronous: do not
  // pass them. `dropped` receives the requests that an error discarded.
  Attribution on_frame(char tag, std::vector<PendingRequest>& dropped);

  // The cookie of a kLocal request whose turn has come: all before it are answered. To be asked for
  // after each frame, until there is none.
  std::optional<std::uint64_t> take_local();

  // Nothing is outstanding: the origin waits for a request.
  bool idle() const { return pending_.empty() && !skipping_ && !copying_in_; }
  bool copying_in() const { return copying_in_; }
  // Nothing of the present exchange is under way that could fail, but for what has this cookie.
  bool at_head(std::uint64_t but) const;
  // What the origin is at now is a request of pgcache's own.
  bool front_is_hidden() const { return !pending_.empty() && pending_.front().hidden; }
  // An error happened: the origin discards everything until a Sync, and none is on its way.
  bool discarding() const { return skipping_; }
  // The count of ReadyForQuery can no longer be predicted (Sync sent in the middle of an extended
  // COPY, or of one that has failed): the session must only relay from now on.
  bool confused() const { return confused_; }
  void confuse() { confused_ = true; }
  // CopyData, CopyDone or CopyFail went out in front of the end of what they belong to. Should that
  // fail, the replies of what is sent behind them may not be told apart.
  bool copy_in_doubt() const { return copy_messages_ && !pending_.empty(); }

 private:
  void drop_until_sync(std::vector<PendingRequest>& dropped);
  void begin_copy_in();
  void end_copy(bool failed, Attribution& attribution);
  void pop_copy_ends();
  Attribution on_ready(Attribution attribution);

  std::deque<PendingRequest> pending_;
  bool skipping_ = false;
  bool copying_in_ = false;
  bool confused_ = false;
  bool copy_messages_ = false;  // sent since nothing was owed
  // Syncs that the server ignores unless the COPY fails before it reads them.
  enum class IgnoredSyncs : std::uint8_t {
    kNone,
    kFirst,  // one, in front of all data
    kAny,
  };
  IgnoredSyncs ignored_syncs_ = IgnoredSyncs::kNone;
};

}  // namespace pgcache::wire
