// SPDX-License-Identifier: Apache-2.0
// What pgcache made at the origin, removed.
#include "origin/cleanup.h"

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "origin/definition_teller.h"
#include "origin/link.h"
#include "origin/problems.h"
#include "origin/publication.h"
#include "origin/replica_identity.h"
#include "origin/replication_slot.h"

namespace pgcache::origin {
namespace {
constexpr const char* kName = "pgcache cleanup";
}  // namespace

Result<std::vector<std::string>> cleanup_origin(const config::Config& config) {
  Result<std::unique_ptr<Link>> connected = connect_to_origin(config, kName);
  if (!connected.ok()) return connected.error();
  Link& link = **connected;
  std::vector<std::string> removed;
  Result<SlotState> slot = read_slot(link, config.slot);
  // A pgcache that has just ended leaves its slot in use for a moment.
  for (int i = 0; i < 10 && slot.ok() && slot->active_pid != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    slot = read_slot(link, config.slot);
  }
  if (!slot.ok()) return slot.error();
  if (slot->exists && !slot->ours) {
    return Error{"replication slot " + config.slot + " is not one of pgcache's: left alone"};
  }
  if (slot->exists && slot->active_pid != 0) {
    return Error{"slot " + config.slot + " is in use by process " +
                 std::to_string(slot->active_pid) + ": stop that pgcache first"};
  }
  if (slot->exists) {
    const Reply dropped = drop_slot(link, config.slot);
    if (!dropped.ok()) return Error{"cannot drop the slot: " + dropped.failure().message};
    removed.push_back("replication slot " + config.slot);
  }
  const Result<TellerState> teller = read_teller(link);
  if (!teller.ok()) return teller.error();
  if (teller->any) {
    const std::optional<Failure> failure = remove_teller(link);
    removed.push_back(failure
                          ? "left the event triggers pgcache_*, which a superuser can remove: " +
                                failure->message
                          : "event triggers pgcache_* and schema pgcache");
  }
  if (!config.manage_publication) return removed;
  const Result<PublicationState> publication = read_publication(link, config.publication);
  if (!publication.ok()) return publication.error();
  if (publication->exists) {
    const Result<std::vector<RaisedTable>> raised = raised_tables(link, config.publication);
    if (!raised.ok()) return raised.error();
    const Reply dropped = link.query("DROP PUBLICATION " + quote_identifier(config.publication));
    if (!dropped.ok()) return Error{"cannot drop the publication: " + dropped.failure().message};
    removed.push_back("publication " + config.publication);
    for (const RaisedTable& table : *raised) {
      removed.push_back("left at REPLICA IDENTITY FULL, as pgcache set it: " + table.name +
                        "; to undo: " + table.undo);
    }
  }
  return removed;
}

}  // namespace pgcache::origin
