// SPDX-License-Identifier: Apache-2.0
#include "consistency/clients.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

namespace pgcache::consistency {

namespace {

constexpr std::uint64_t kWriterPauseUs = 60000;
constexpr std::uint64_t kDisturberPauseUs = 20000;
constexpr std::int64_t kWithoutDdlNs = 3'000'000'000;

// The number of rows that an UPDATE changed is in its tag.
bool changed_one(const Answer& answer) { return answer.ok() && answer.tag == "UPDATE 1"; }

}  // namespace

const char* name_of(Write kind) {
  switch (kind) {
    case Write::kPlain:
      return "plain";
    case Write::kBlock:
      return "in a block";
    case Write::kRolledBack:
      return "rolled back";
    case Write::kTwoPhase:
      return "in two phases";
    case Write::kLong:
      return "in a long transaction";
  }
  return "";
}

void Client::pause(std::uint64_t us_max) {
  std::this_thread::sleep_for(std::chrono::microseconds(below(us_max + 1)));
}

bool Client::connected() {
  if (session_.ready()) return true;
  pause(100'000);
  return false;
}

Op Client::op_of(std::size_t reg, OpKind kind, const Answer& answer) const {
  Op op;
  op.session = session_.number();
  op.reg = static_cast<std::uint16_t>(reg);
  op.kind = kind;
  op.route = session_.through_pgcache() ? answer.route : Route::kDirect;
  op.start = answer.start;
  op.end = answer.end;
  return op;
}

void Client::read(std::size_t reg, std::size_t statement) {
  const Register& what = board_.registers[reg];
  const Statement& query = what.reads[statement];
  const Answer answer = session_.run(query.sql, query.parameter);
  if (!answer.ok()) return;  // an error is no answer
  Op op = op_of(reg, OpKind::kRead, answer);
  op.statement = static_cast<std::uint16_t>(statement);
  if (answer.rows.size() != 1 || answer.rows[0].size() != 2 || !answer.rows[0][0]) {
    return find(op, "the answer is not one row with a number");
  }
  op.value = std::atoll(answer.rows[0][0]->c_str());
  ops.push_back(op);
  const std::string second = answer.rows[0][1].value_or("NULL");
  if (second != what.constant) {
    find(op, "one SELECT saw more than one moment: " + second + " instead of " + what.constant);
  }
}

void Client::read_some(std::size_t reg) { read(reg, below(board_.registers[reg].reads.size())); }

void Reader::work() {
  while (!board_.over()) {
    if (!connected()) continue;
    // Some registers are read more often than others.
    const std::size_t count = board_.registers.size();
    const std::size_t reg = std::min(below(count), below(count));
    if (below(10) == 0) {
      const Statement& query = board_.soft[board_.last_soft];
      session_.run(query.sql, query.parameter);
    } else if (below(8) == 0) {
      if (!session_.run("BEGIN").ok()) continue;
      for (std::uint64_t i = 1 + below(3); i > 0 && session_.alive(); --i) read_some(reg);
      if (session_.alive()) session_.run("COMMIT");
    } else {
      read_some(reg);
    }
    pause(pause_us_max_);
  }
}

void Writer::work() {
  while (!board_.written()) {
    if (!connected()) continue;
    const std::size_t reg = below(board_.registers.size());
    write(reg);
    for (std::uint64_t i = 1 + below(5); i > 0 && session_.alive(); --i) {
      read_some(reg);
      pause(3000);
    }
    pause(kWriterPauseUs);
  }
}

void Writer::write(std::size_t reg) {
  const Register& what = board_.registers[reg];
  const std::lock_guard lock(board_.lock_of(reg));
  if (board_.written()) return;
  const std::int64_t value = board_.next_number();
  auto kind = static_cast<Write>(std::min<std::uint64_t>(below(9), below(kWriteKinds)));
  // Several statements that do not look at the first one's outcome: only where each is guarded.
  if (kind == Write::kPlain && what.kind != RegisterKind::kSingle &&
      what.kind != RegisterKind::kTwin) {
    kind = Write::kBlock;
  }
  Op op;
  op.session = session_.number();
  op.reg = static_cast<std::uint16_t>(reg);
  op.kind = OpKind::kWrite;
  op.route = session_.through_pgcache() ? Route::kForwarded : Route::kDirect;
  op.value = value;
  op.start = now_ns();
  std::vector<std::string> statements = write_statements(what, value, random_());
  if (kind == Write::kLong) statements.push_back(many_changes(random_()));
  op.outcome = kind == Write::kPlain ? plain(statements) : in_block(reg, value, statements, kind);
  op.end = now_ns();
  if (op.outcome == Outcome::kDone) ++writes[static_cast<std::size_t>(kind)];
  ops.push_back(op);
}

// All in one message, and so in one transaction.
Outcome Writer::plain(const std::vector<std::string>& statements) {
  std::string sql;
  for (const std::string& one : statements) sql += (sql.empty() ? "" : "; ") + one;
  const Answer answer = session_.run(sql);
  if (answer.lost) return Outcome::kUnknown;
  return changed_one(answer) ? Outcome::kDone : Outcome::kFailed;
}

Outcome Writer::in_block(std::size_t reg, std::int64_t value,
                         const std::vector<std::string>& statements, Write kind) {
  if (!session_.run("BEGIN").ok()) return Outcome::kFailed;
  bool good = true;
  for (std::size_t i = 0; i < statements.size() && good; ++i) {
    const Answer answer = session_.run(statements[i]);
    // What was never committed never was.
    if (answer.lost) return Outcome::kFailed;
    good = i == 0 ? changed_one(answer) : answer.ok();
  }
  if (good && below(3) == 0) read_in_block(reg, value);
  if (!session_.alive()) return Outcome::kFailed;
  if (!good || kind == Write::kRolledBack) {
    session_.run("ROLLBACK");
    return Outcome::kFailed;
  }
  return finish(value, kind);
}

Outcome Writer::finish(std::int64_t value, Write kind) {
  if (kind != Write::kTwoPhase) {
    const Answer answer = session_.run("COMMIT");
    if (answer.lost) return Outcome::kUnknown;
    return answer.ok() && answer.tag == "COMMIT" ? Outcome::kDone : Outcome::kFailed;
  }
  // Nobody else would commit what is prepared: the Disturber rolls it back.
  const std::string name = "'write " + std::to_string(value) + "'";
  if (!session_.run("PREPARE TRANSACTION " + name).ok()) return Outcome::kFailed;
  pause(5000);
  if (below(5) == 0) {
    session_.run("ROLLBACK PREPARED " + name);
    return Outcome::kFailed;
  }
  const Answer answer = session_.run("COMMIT PREPARED " + name);
  if (answer.lost) return Outcome::kUnknown;
  return answer.ok() ? Outcome::kDone : Outcome::kFailed;
}

void Writer::read_in_block(std::size_t reg, std::int64_t value) {
  const Register& what = board_.registers[reg];
  const std::size_t statement = below(what.reads.size());
  const Statement& query = what.reads[statement];
  const Answer answer = session_.run(query.sql, query.parameter);
  if (!answer.ok()) return;
  Op op = op_of(reg, OpKind::kRead, answer);
  op.value =
      answer.rows.size() == 1 && answer.rows[0][0] ? std::atoll(answer.rows[0][0]->c_str()) : -1;
  if (op.value != value) {
    find(op, "a transaction does not see its own write of " + std::to_string(value) + " but " +
                 std::to_string(op.value));
  }
}

// Softly to the end: what nobody waits for to be flushed stays unflushed while nobody else writes,
// and is what a crash takes back.
void Disturber::work() {
  while (!board_.over()) {
    if (!connected()) continue;
    if (!session_.run("SET lock_timeout = '300ms'; SET synchronous_commit = off").ok()) continue;
    while (!board_.over() && session_.alive()) {
      // Not shortly before the end: a change drops all entries, and then there is none to compare.
      // Some pauses are long enough for entries to grow old.
      if (now_ns() >= next_definition_ns_ && board_.left_ns() > kWithoutDdlNs) {
        definitions += session_.run(harmless_ddl(random_())).ok() ? 1 : 0;
        const auto pause_ms = static_cast<std::int64_t>(200 + below(below(2) == 0 ? 600 : 6000));
        next_definition_ns_ = now_ns() + pause_ms * 1'000'000;
      } else if (below(20) == 0) {
        end_old_prepared();
      } else {
        const auto number = static_cast<std::uint64_t>(board_.next_number());
        soft_commits += session_.run(write_soft(number)).ok() ? 1 : 0;
        board_.last_soft = soft_read_of(number);
      }
      pause(kDisturberPauseUs);
    }
  }
}

void Disturber::end_old_prepared() {
  const Answer old = session_.run(
      "SELECT gid FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - interval '2 s'");
  if (!old.ok()) return;
  for (const auto& row : old.rows) {
    if (session_.alive()) session_.run("ROLLBACK PREPARED '" + row[0].value_or("") + "'");
  }
}

}  // namespace pgcache::consistency
