// SPDX-License-Identifier: Apache-2.0
// Portals in memory: Executes with a row limit, and what goes on with their portals in a block.
// docs/adr/0016 says why that is right. See session.h.
//
// A message about such a portal is answered here, in its turn among what the origin answers. Where
// the origin has to know the portal it is opened there: session_portal_origin.cc.
#include <algorithm>
#include <utility>

#include "proxy/session.h"

namespace pgcache::proxy {

namespace {

constexpr std::size_t kParkedMax = 4;

}  // namespace

// --- answers in their turn

void Session::answer_here(LocalReply reply) {
  if (tracker_.idle()) {
    send_local(reply);
    return;
  }
  reply.id = next_id_++;
  if (!tracker_.sent({wire::Request::kLocal, false, reply.id})) return;
  local_replies_.push_back(std::move(reply));
}

void Session::send_local(const LocalReply& reply) {
  if (!reply.rows.empty()) to_client_.append_shared(reply.result, reply.rows);
  to_client_.append(reply.frames);
}

void Session::release_local_replies() {
  while (const std::optional<std::uint64_t> id = tracker_.take_local()) {
    while (!local_replies_.empty() && local_replies_.front().id < *id) local_replies_.pop_front();
    if (local_replies_.empty() || local_replies_.front().id != *id) continue;
    send_local(local_replies_.front());
    local_replies_.pop_front();
  }
}

// An error discarded the request: its portal is as it was before.
void Session::drop_local_reply(std::uint64_t id) {
  for (LocalReply& reply : local_replies_) {
    if (reply.id != id) continue;
    if (reply.before) portals_.put(std::move(*reply.before));
    reply.before.reset();
  }
}

// --- portals of this session's memory

// An Execute of the portal: what memory has.
LocalReply Session::run_portal(MemoryPortal& portal, std::int32_t row_limit) {
  LocalReply reply;
  reply.result = portal.result;
  const Portion portion = portal.run(row_limit);
  reply.rows = portion.rows;
  if (portion.whole) return reply;
  if (portion.suspended) {
    wire::append_portal_suspended(reply.frames);
  } else {
    wire::append_command_complete(reply.frames, "SELECT " + std::to_string(portion.count));
  }
  return reply;
}

// Whether what an exchange says about the portal can be answered here.
bool Session::in_memory(char tag, std::string_view name, std::int32_t row_limit) {
  if (portals_.empty() || tracker_.copying_in()) return false;
  MemoryPortal* const portal = portals_.find(name);
  if (portal == nullptr || portals_may_have_ended()) return false;
  if (tag == 'C') return !portal->at_origin.opened;
  if (status_ == 'E' || portal->at_origin.only) return false;
  if (tag == 'E') return portal->can_run(row_limit) && !form_may_differ(*portal);
  return !portal->result->row_description.empty();
}

// The present exchange has a COMMIT in it, so that it is the origin's affair which there are.
bool Session::portals_may_have_ended() const {
  return open_unit_ && open_unit_->effects.ends_block;
}

// Whether the origin would give the rest of its rows in another form than memory has. Settings that
// are not known are asked for before a whole exchange is decided upon.
bool Session::form_may_differ(const MemoryPortal& portal) const {
  if (settings_may_change()) return open_unit_.has_value();
  const bool known =
      settings_ && settings_epoch_ == env_.settings_epoch->load(std::memory_order_acquire);
  if (!known) return open_unit_ || settings_failed_;
  return settings_ != portal.settings && settings_->forms != portal.settings->forms;
}

// True: wait for the answer.
bool Session::ask_settings_for_portals() {
  if (open_unit_ || !tracker_.idle() || settings_failed_ || status_ != 'T') return false;
  if (settings_epoch_ != env_.settings_epoch->load(std::memory_order_acquire)) lose_settings();
  if (settings_) return false;
  ask_settings();
  return true;
}

// True: answered here. Otherwise the message goes to the origin, where the portal is now, if it
// was here.
bool Session::answer_portal(char tag, std::string_view name, std::int32_t row_limit) {
  MemoryPortal* const portal = portals_.find(name);
  if (portal == nullptr || tracker_.discarding() || tracker_.copying_in()) return false;
  if (portals_may_have_ended()) return false;
  if (tag == 'C') {
    close_here(*portal);
    return true;
  }
  const bool here = in_memory(tag, name, row_limit);
  if (here && tag == 'E') {
    execute_here(*portal, row_limit);
    return true;
  }
  if (here) {
    LocalReply reply;
    reply.frames = portal->result->row_description;
    answer_here(std::move(reply));
    return true;
  }
  if (portal->at_origin.lost && tag == 'E') {
    opening_ = Opening::kLost;
    raise_for_lost_portals(name);
  } else if (portal->at_origin.only || (portal->at_origin.opened && tag == 'D')) {
    const bool behind = portal->at_origin.opened && tag == 'E' && status_ != 'E';
    if (behind) open_portal(*portal, true, true, true);  // or that is the error
    return false;
  } else if (tag == 'D' && status_ != 'E') {
    describe_elsewhere(*portal);
    return true;
  } else {
    open_portal(*portal, status_ != 'E', status_ != 'E', status_ != 'E');
  }
  return false;
}

void Session::execute_here(MemoryPortal& portal, std::int32_t row_limit) {
  MemoryPortal before = portal;
  LocalReply reply = run_portal(portal, row_limit);
  reply.before = std::move(before);
  Verdict verdict;
  verdict.kind = Verdict::Kind::kPortal;
  count(verdict, portal.statement->analysed.get());
  observe(Route::kHit, frame_started_ == TimePoint{} ? io_.now() : frame_started_);
  answer_here(std::move(reply));
}

void Session::close_here(const MemoryPortal& portal) {
  LocalReply reply;
  wire::append_close_complete(reply.frames);
  reply.before = portal;
  if (portal.at_origin.opened) {
    send_hidden_close('P', portal.name);
    std::erase(origin_portals_, portal.name);
  }
  portals_.erase(reply.before->name);
  answer_here(std::move(reply));
}

// The block is over.
void Session::forget_portals() {
  exchange_portals_ = false;
  portals_.clear();
  origin_portals_.clear();
  parked_.clear();
  unnamed_portals_.clear();
}

// --- loads whose rows the client fetches part by part

// The exchange is over, but not the portal that it fetches from.
void Session::park(Inflight inflight, TimePoint now) {
  if (inflight.started == TimePoint{}) inflight.started = now;
  const TimePoint deadline = inflight.started + kFetchWaits * env_.config->load_wait_timeout;
  if (now >= deadline || parked_.size() >= kParkedMax || hold_ == Hold::kWait) return;
  env_.cache->stop_waiting_for(*inflight.load);
  parked_.push_back(std::move(inflight));
  parked_deadline_ = deadline;
  if (!held_.deadline) io_.set_timer(deadline);
}

// In front of an Execute of a portal at the origin: the load that it goes on with, in the present
// exchange.
std::optional<std::uint64_t> Session::follow_load(std::string_view portal) {
  portal = portal.substr(0, PortalTable::kNameBytes);
  if (open_unit_) {
    const auto& all = open_unit_->inflight;
    const auto it = std::find_if(all.rbegin(), all.rend(), [portal](const Inflight& load) {
      return (load.load || load.opened) && !load.lost && load.portal == portal;
    });
    if (it != all.rend()) return it->id;
  }
  if (const std::optional<std::uint64_t> id = unpark(portal)) return id;
  lose_loads(portal);  // which are under way
  return std::nullopt;
}

// Whatever is fetched from a portal of this name now is not of the loads there are.
void Session::lose_loads(std::string_view portal) {
  portal = portal.substr(0, PortalTable::kNameBytes);
  std::erase_if(parked_, [portal](const Inflight& load) { return load.portal == portal; });
  const auto lose = [portal](Unit& unit) {
    for (Inflight& load : unit.inflight) load.lost |= load.portal == portal;
  };
  std::for_each(units_.begin(), units_.end(), lose);
  if (open_unit_) lose(*open_unit_);
}

// The load of the portal at the origin, if there is one; it goes on in the present exchange.
std::optional<std::uint64_t> Session::unpark(std::string_view portal) {
  const auto it = std::find_if(parked_.begin(), parked_.end(),
                               [portal](const Inflight& load) { return load.portal == portal; });
  if (it == parked_.end()) return std::nullopt;
  Inflight inflight = std::move(*it);
  parked_.erase(it);
  const std::uint64_t id = inflight.id;
  open_unit().inflight.push_back(std::move(inflight));
  return id;
}

}  // namespace pgcache::proxy
