// SPDX-License-Identifier: Apache-2.0
#include "cache/tracking.h"

namespace pgcache::cache {

Tracking::Judgement Tracking::judge(const std::vector<pg::Oid>& relations,
                                    const pg::Snapshot& current) const {
  Judgement judgement;
  for (const pg::Oid oid : relations) {
    const auto it = relations_.find(oid);
    if (it == relations_.end()) {
      if (judgement.verdict != Verdict::kNotYet) judgement.verdict = Verdict::kSoon;
      continue;
    }
    const Relation& relation = it->second;
    switch (relation.state) {
      case State::kUntrackable:
        return {Verdict::kUntrackable, relation.reason};
      case State::kAsked:
        if (judgement.verdict != Verdict::kNotYet) judgement.verdict = Verdict::kSoon;
        break;
      case State::kTracked:
        if (current.xmin >= relation.fence) break;
        if (relation.snapshot_since) {
          judgement.verdict = Verdict::kNotYet;
        } else if (judgement.verdict != Verdict::kNotYet) {
          judgement.verdict = Verdict::kSoon;
        }
        break;
    }
  }
  return judgement;
}

std::vector<pg::Oid> Tracking::start_asking(const std::vector<pg::Oid>& relations) {
  std::vector<pg::Oid> to_ask;
  for (const pg::Oid oid : relations) {
    if (relations_.try_emplace(oid).second) to_ask.push_back(oid);
  }
  return to_ask;
}

void Tracking::stop_asking(const std::vector<pg::Oid>& relations) {
  for (const pg::Oid oid : relations) {
    const auto it = relations_.find(oid);
    if (it != relations_.end() && it->second.state == State::kAsked) relations_.erase(it);
  }
}

void Tracking::put(pg::Oid oid, const Relation& relation) {
  const auto unsettled = [](const Relation& r) {
    return r.state == State::kTracked && !r.snapshot_since;
  };
  Relation& slot = relations_[oid];
  if (unsettled(slot)) --unsettled_;
  slot = relation;
  if (unsettled(slot)) ++unsettled_;
}

bool Tracking::set_tracked(pg::Oid relation, pg::Xid fence) {
  const auto it = relations_.find(relation);
  const bool was_tracked = it != relations_.end() && it->second.state == State::kTracked;
  if (was_tracked && it->second.fence == fence) return false;
  Relation tracked;
  tracked.state = State::kTracked;
  tracked.fence = fence;
  put(relation, tracked);
  some_gate_closed_ = true;
  return was_tracked;
}

bool Tracking::set_untrackable(pg::Oid relation, sql::BypassReason reason) {
  const auto it = relations_.find(relation);
  const bool was_tracked = it != relations_.end() && it->second.state == State::kTracked;
  Relation untrackable;
  untrackable.state = State::kUntrackable;
  untrackable.reason = reason;
  put(relation, untrackable);
  return was_tracked;
}

void Tracking::on_snapshot(const SnapshotPtr& current) {
  if (unsettled_ == 0 && !some_gate_closed_) return;
  some_gate_closed_ = false;
  for (auto& [oid, relation] : relations_) {
    relation.snapshot_since = true;
    if (relation.state != State::kTracked || relation.gate) continue;
    if (current->xmin >= relation.fence) {
      relation.gate = current;
    } else {
      some_gate_closed_ = true;
    }
  }
  unsettled_ = 0;
}

SnapshotPtr Tracking::gate_of(pg::Oid relation) const {
  const auto it = relations_.find(relation);
  return it == relations_.end() ? nullptr : it->second.gate;
}

void Tracking::close_gates() {
  for (auto& [oid, relation] : relations_) relation.gate = nullptr;
  some_gate_closed_ = true;
}

void Tracking::close_gate_of(pg::Oid relation) {
  const auto it = relations_.find(relation);
  if (it == relations_.end()) return;
  it->second.gate = nullptr;
  some_gate_closed_ = true;
}

void Tracking::forget_untrackable() {
  std::erase_if(relations_, [](const auto& r) { return r.second.state == State::kUntrackable; });
}

}  // namespace pgcache::cache
