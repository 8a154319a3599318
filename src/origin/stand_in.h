// SPDX-License-Identifier: Apache-2.0
// Lets the origin's commits go on while pgcache, for which they wait as a synchronous standby,
// cannot confirm them: a second connection under the same name that streams the WAL as it is,
// throws it away and confirms all of it. One thread, which also watches for commits that wait too
// long.
//
// What no thread can do, confirm for a process that does not run, its companion does
// (origin/companion.h).
//
// It is needed
// - when the slot is made: that waits for the end of all transactions that are writing, and these
//   would wait for a standby that streams from the slot;
// - when what was flushed is not applied within strict_ack_timeout, be it that the applier, the
//   network or the origin's decoding of a huge transaction takes the time.
// Whatever it confirms is not in the cache. So nothing may be served meanwhile: `stop_serving` is
// called before its first word. What follows is a cold start, which drops all.
#pragma once

#include <functional>
#include <memory>

#include "config/config.h"
#include "origin/companion.h"
#include "origin/events.h"
#include "pg/ids.h"

namespace pgcache::origin {

class StandIn {
 public:
  // `stop_serving` keeps the cache out of use until the stream begins anew; called on the thread of
  // the stand-in, with its lock held. `companion` outlives it; null: there is none.
  StandIn(std::shared_ptr<const config::Config> config, std::function<void()> stop_serving,
          Companion* companion = nullptr);
  ~StandIn();  // stops

  void start();
  void stop();  // joins

  // As far as the origin's WAL is flushed. Control thread.
  void note_flushed(pg::Lsn position);
  // The applier's thread, all that follow. As far as the stream is applied.
  void note_applied(pg::Lsn position);
  // Which walsender it streams from, or did last: it is ended first should it still be there.
  void note_walsender(int pid);
  // The cache is out of use, and the slot about to be made: confirm from now on.
  void begin();
  // The slot is there: no more. Returns when the connection is closed.
  void end();
  // The slot belongs to somebody else, and with it the name: no more, whatever is waited for.
  void disarm();
  // Whether the companion had to take over is looked at now, not only every now and then.
  void check_companion();
  // `serve` is called, under the lock, unless a commit has waited too long since end(); then false.
  bool serve_unless_engaged(const std::function<void()>& serve);

  // Any thread: how often commits waited too long, or would have.
  std::uint64_t timeouts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgcache::origin
