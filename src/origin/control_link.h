// SPDX-License-Identifier: Apache-2.0
// The control connection: one thread with one libpq connection to the origin. It loads the catalog
// and polls it for change, takes snapshots and WAL positions, and keeps the publication. Reconnects
// by itself with back-off.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "origin/events.h"
#include "origin/server_identity.h"

namespace pgcache::origin {

class ControlLink {
 public:
  ControlLink(std::shared_ptr<const config::Config> config, ControlEvents& events);
  ~ControlLink();  // stops and joins

  void start();
  void stop();  // joins; removes what it made at the origin unless config.keep_slot

  // Any thread; return at once.
  void request_tracking(std::vector<pg::Oid> relations);
  void request_snapshot();  // wakes the thread; coalesced
  // DDL was seen. `done` is called on the control thread when the catalog shows it.
  void request_catalog_check(std::function<void()> done = {});
  // Reads the WAL position (after all commits acknowledged so far, asynchronous ones included) and
  // hands it to `done` on the control thread; one query serves all callers that wait at that
  // moment. An invalid Lsn means that it could not be had.
  void request_position(std::function<void(pg::Lsn)> done);
  // A client's connection leads to another server: this link's address may have come to lead there,
  // too. If so, it goes over. Coalesced, and looked at every few seconds at most.
  void request_server_check();
  // Proves freshness at once, by a position read after this call; coalesced.
  void request_proof();
  // Which walsender the stream comes from (0: none). Of interest where commits wait for pgcache.
  void set_walsender(int pid);
  // The process at the origin that may use the slot on our behalf: whoever else has it keeps it,
  // however much it holds back.
  void set_slot_holder(int pid);
  // Since when that process has been seen, again and again, to have nothing to do; none: it was
  // not, or there is no knowing.
  std::optional<TimePoint> slot_holder_waits_since() const;
  // The publication must exist before the slot streams: blocks the caller (the replication thread)
  // until it does or `timeout` has passed.
  bool wait_for_publication(Duration timeout);
  // Which server this link is connected to; not known() while it is to none.
  ServerIdentity origin_identity() const;
  // Which server the stream comes from. While it is another one (a failover is under way) no
  // positions of this link prove freshness, so no heartbeats are handed on, nor positions.
  void set_stream_identity(ServerIdentity identity);
  // The same, for a stream that begins anew: what was seen of a server's positions is forgotten.
  void begin_stream_of(ServerIdentity identity);
  // The furthest position that the server which is streamed has told.
  pg::Lsn furthest_position() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgcache::origin
