// SPDX-License-Identifier: Apache-2.0
#include "simulator/model.h"

#include <algorithm>

#include "base/check.h"

namespace pgcache::simulator {

namespace {

bool is_over(const Tx& tx) {
  return tx.state == TxState::kVisible || tx.state == TxState::kAborted;
}

}  // namespace

const TableSpec& spec(TableId table) {
  static const std::array<TableSpec, kTableCount> specs = {{
      {"public", "t1", pg::Oid{20001}, 'd', {{"id"}, {"grp"}, {"v"}, {"note", true}}},
      {"public", "t2", pg::Oid{20002}, 'd', {{"id"}, {"t1_id"}, {"v"}}},
      {"public", "t3", pg::Oid{20003}, 'f', {{"id"}, {"name", true}, {"v"}}},
      {"public", "t4", pg::Oid{20004}, 'n', {{"id"}, {"v"}}},
      {"alt", "t1", pg::Oid{20005}, 'd', {{"id"}, {"grp"}, {"v"}, {"note", true}}},
  }};
  return specs[static_cast<std::size_t>(table)];
}

std::string to_text(int value, bool is_text) {
  return is_text ? "n" + std::to_string(value) : std::to_string(value);
}

Origin::Origin(Random& random) : random_(random) {
  lsn_ = 0x100000 + random_.below(1 << 20);
  // Close below the wrap of 32-bit ids in some runs.
  next_xid_ = random_.one_in(2) ? (std::uint64_t{3} << 32) - random_.below(400) : 700;
  latest_completed_ = next_xid_ - 1;
  for (const TableId table : kTables) {
    const TableSpec& s = spec(table);
    auto form = std::make_shared<cdc::StreamRelation>();
    form->oid = s.oid;
    form->schema = s.schema;
    form->name = s.name;
    form->replica_identity = s.replica_identity;
    for (std::size_t i = 0; i < s.columns.size(); ++i) {
      const bool is_key = s.replica_identity == 'f' || (s.replica_identity == 'd' && i == 0);
      form->columns.push_back({std::string(s.columns[i].name),
                               s.columns[i].is_text ? pg::type::kText : pg::type::kInt4, -1,
                               is_key});
    }
    forms_[static_cast<std::size_t>(table)] = std::move(form);
  }
}

// --- reading

bool Origin::sees(const Version& version, const View& view) {
  const auto done = [&view](const Tx* tx, int by) {
    if (tx == nullptr) return false;
    if (tx == view.own) return by < view.command;
    return tx->state == TxState::kVisible && tx->visible_at <= view.at;
  };
  return done(version.creator, version.created_by) && !done(version.deleter, version.deleted_by);
}

std::vector<Row> Origin::rows(TableId table, const View& view, const Match& matches) const {
  std::vector<Row> found;
  for (const Version& version : versions_[static_cast<std::size_t>(table)]) {
    if (sees(version, view) && matches(version.row)) found.push_back(version.row);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::uint64_t Origin::applied_moment() const {
  std::uint64_t moment = moment_;
  for (const Tx* tx : visible_not_applied_) moment = std::min(moment, tx->visible_at - 1);
  return moment;
}

void Origin::note_applied(Tx& tx) {
  tx.applied = true;
  std::erase(visible_not_applied_, &tx);
}

// --- writing

Tx& Origin::begin() {
  Tx& tx = transactions_.emplace_back();
  tx.xid = {next_xid_++};
  in_progress_.push_back(&tx);
  return tx;
}

void Origin::note(Tx& tx, cdc::ChangeKind kind, TableId table, const Row& before,
                  const Row& after) {
  lsn_ += 48;
  tx.changes.push_back({kind, table, before, after, lsn_});
  if (!trace) return;
  const auto text = [](const Row& row) {
    std::string line;
    for (const Number& number : row) line += number ? " " + std::to_string(*number) : " -";
    return line;
  };
  trace("change by " + std::to_string(tx.xid.value) + " of " + std::string(spec(table).schema) +
        "." + std::string(spec(table).name) + ":" + text(before) + " ->" + text(after));
}

bool Origin::locked_by_truncate(TableId table, const Tx& tx) const {
  const Tx* other = truncating_[static_cast<std::size_t>(table)];
  return other != nullptr && other != &tx && !is_over(*other);
}

WriteError Origin::check_deletable(const Version& version, const Tx& tx) const {
  if (version.deleter == nullptr || version.deleter == &tx) return WriteError::kNone;
  return is_over(*version.deleter) ? WriteError::kSerialization : WriteError::kLocked;
}

// Whether a row with this key may come to be.
WriteError Origin::check_key(TableId table, Number id, const Tx& tx) const {
  if (locked_by_truncate(table, tx)) return WriteError::kLocked;
  for (const Version& version : versions_[static_cast<std::size_t>(table)]) {
    if (version.row[0] != id) continue;
    if (version.creator != &tx && !is_over(*version.creator)) return WriteError::kLocked;
    if (version.deleter == nullptr) return WriteError::kDuplicate;
    if (version.deleter != &tx && !is_over(*version.deleter)) return WriteError::kLocked;
  }
  return WriteError::kNone;
}

WriteResult Origin::insert(Tx& tx, TableId table, const Row& row, const View&) {
  if (const WriteError error = check_key(table, row[0], tx); error != WriteError::kNone) {
    return {error, 0};
  }
  versions(table).push_back({row, &tx, tx.command, nullptr, 0});
  note(tx, cdc::ChangeKind::kInsert, table, {}, row);
  return {WriteError::kNone, 1};
}

WriteResult Origin::remove(Tx& tx, TableId table, const View& view, const Match& matches) {
  if (locked_by_truncate(table, tx)) return {WriteError::kLocked, 0};
  WriteResult result;
  for (Version& version : versions(table)) {
    if (!sees(version, view) || !matches(version.row)) continue;
    result.error = check_deletable(version, tx);
    if (result.error != WriteError::kNone) return result;
    version.deleter = &tx;
    version.deleted_by = tx.command;
    note(tx, cdc::ChangeKind::kDelete, table, version.row, {});
    ++result.rows;
  }
  return result;
}

WriteResult Origin::update(Tx& tx, TableId table, const View& view, const Match& matches,
                           const std::function<void(Row&)>& set) {
  if (locked_by_truncate(table, tx)) return {WriteError::kLocked, 0};
  WriteResult result;
  std::vector<Version> created;
  for (Version& version : versions(table)) {
    if (!sees(version, view) || !matches(version.row)) continue;
    result.error = check_deletable(version, tx);
    if (result.error != WriteError::kNone) return result;
    Row row = version.row;
    set(row);
    if (row[0] != version.row[0]) {
      result.error = check_key(table, row[0], tx);
      if (result.error != WriteError::kNone) return result;
    }
    version.deleter = &tx;
    version.deleted_by = tx.command;
    created.push_back({row, &tx, tx.command, nullptr, 0});
    note(tx, cdc::ChangeKind::kUpdate, table, version.row, row);
    ++result.rows;
  }
  for (Version& version : created) versions(table).push_back(version);
  return result;
}

WriteResult Origin::truncate(Tx& tx, TableId table) {
  if (locked_by_truncate(table, tx)) return {WriteError::kLocked, 0};
  for (const Tx* other : in_progress_) {
    if (other == &tx) continue;
    for (const Change& change : other->changes) {
      if (change.table == table) return {WriteError::kLocked, 0};
    }
  }
  for (Version& version : versions(table)) {
    if (version.deleter != nullptr) continue;
    version.deleter = &tx;
    version.deleted_by = tx.command;
  }
  truncating_[static_cast<std::size_t>(table)] = &tx;
  note(tx, cdc::ChangeKind::kTruncate, table, {}, {});
  return {};
}

void Origin::leave(Tx& tx) {
  std::erase(in_progress_, &tx);
  latest_completed_ = std::max(latest_completed_, tx.xid.value);
}

void Origin::abort(Tx& tx) {
  CHECK(tx.state == TxState::kRunning);
  tx.state = TxState::kAborted;
  leave(tx);
  for (auto& table : versions_) {
    std::erase_if(table, [&tx](const Version& version) { return version.creator == &tx; });
    for (Version& version : table) {
      if (version.deleter == &tx) version.deleter = nullptr;
    }
  }
  tx.changes.clear();
}

void Origin::write_commit_record(Tx& tx) {
  CHECK(tx.state == TxState::kRunning);
  tx.state = TxState::kCommitting;
  std::shared_ptr<cdc::Transaction> data = decode(tx);
  data->commit_lsn = {lsn_};
  lsn_ += 40;
  data->end_lsn = {lsn_};
  if (has_slot_) wal_.push_back({std::move(data), &tx});
}

void Origin::make_visible(Tx& tx) {
  CHECK(tx.state == TxState::kCommitting);
  tx.state = TxState::kVisible;
  tx.visible_at = ++moment_;
  if (!tx.applied) visible_not_applied_.push_back(&tx);
  leave(tx);
}

// --- what the links ask

pg::Snapshot Origin::snapshot() const {
  pg::Snapshot snapshot;
  snapshot.xmax = {latest_completed_ + 1};
  for (const Tx* tx : in_progress_) {
    if (tx->xid < snapshot.xmax) snapshot.xip.push_back(tx->xid);
  }
  std::sort(snapshot.xip.begin(), snapshot.xip.end());
  snapshot.xmin = snapshot.xip.empty() ? snapshot.xmax : snapshot.xip.front();
  return snapshot;
}

pg::Xid Origin::assign_xid() {
  Tx& tx = begin();
  write_commit_record(tx);
  make_visible(tx);
  return tx.xid;
}

bool Origin::publish(pg::Oid relation) {
  for (const TableId table : kTables) {
    if (spec(table).oid != relation) continue;
    if (spec(table).replica_identity == 'n') return false;
    std::uint64_t& since = published_since_[static_cast<std::size_t>(table)];
    if (since == 0) since = lsn_ += 16;
    return true;
  }
  return false;
}

pg::Snapshot Origin::create_slot() {
  has_slot_ = true;
  wal_.clear();
  visible_not_applied_.clear();
  for (Tx* tx : in_progress_) {
    if (tx->state == TxState::kCommitting) tx->applied = true;
  }
  return snapshot_by_wal();
}

pg::Snapshot Origin::snapshot_by_wal() const {
  pg::Snapshot snapshot;
  snapshot.xmax = {latest_completed_ + 1};
  for (const Tx* tx : in_progress_) {
    if (tx->state != TxState::kCommitting) continue;
    snapshot.xmax = std::max(snapshot.xmax, pg::Xid{tx->xid.value + 1});
  }
  for (const Tx* tx : in_progress_) {
    const bool running = tx->state == TxState::kRunning;
    if (running && tx->xid < snapshot.xmax) snapshot.xip.push_back(tx->xid);
  }
  std::sort(snapshot.xip.begin(), snapshot.xip.end());
  snapshot.xmin = snapshot.xip.empty() ? snapshot.xmax : snapshot.xip.front();
  return snapshot;
}

void Origin::prune(std::uint64_t moment) {
  for (auto& table : versions_) {
    std::erase_if(table, [moment](const Version& version) {
      return version.deleter != nullptr && version.deleter->state == TxState::kVisible &&
             version.deleter->visible_at <= moment;
    });
  }
}

}  // namespace pgcache::simulator
