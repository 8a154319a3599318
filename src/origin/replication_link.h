// SPDX-License-Identifier: Apache-2.0
// The replication connection: one thread, the applier. It makes the slot, streams pgoutput, hands
// whole transactions to ReplicationEvents in commit order, confirms promptly, resumes after a
// disconnect, and starts cold when the slot is gone or the stream cannot be understood. An
// exception out of the events is caught: the cache is told to start cold, and the link begins anew.
#pragma once

#include <memory>

#include "config/config.h"
#include "origin/control_link.h"
#include "origin/events.h"

namespace pgcache::origin {

class StandIn;

class ReplicationLink {
 public:
  // `stand_in`: confirms commits while this link cannot; null where none waits for pgcache.
  ReplicationLink(std::shared_ptr<const config::Config> config, ControlLink& control,
                  ReplicationEvents& events, StandIn* stand_in = nullptr);
  ~ReplicationLink();

  void start();
  void stop();  // joins; drops the slot unless config.keep_slot
  // Ask the origin at once how far it is (a keepalive with reply); coalesced. Any thread.
  void request_keepalive();
  // The applier died in the events, or somebody asks for a rebuild: new slot, cold start. Any
  // thread.
  void request_restart();
  // The slot holds back too much: it is not to be used any more. Any thread.
  void give_up_slot();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgcache::origin
