// SPDX-License-Identifier: Apache-2.0
#include "consistency/rounds.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <thread>

namespace pgcache::consistency {

namespace {

constexpr int kReaders = 12;
constexpr int kRareReaders = 4;
constexpr int kWriters = 5;
constexpr int kDirectReaders = 1;
constexpr int kDirectWriters = 3;
constexpr std::uint64_t kReaderPauseUs = 1500;
constexpr std::uint64_t kRareReaderPauseUs = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kFaultInterval = 5 * kSecond;  // at most
constexpr std::int64_t kLastFault = kSecond;          // before the round's end, at most
constexpr std::size_t kViolationsShown = 3;
constexpr std::int64_t kLongAgo = std::numeric_limits<std::int64_t>::min() / 2;

Answer must(Session& session, const Statement& statement) {
  if (!session.ready()) throw std::runtime_error("cannot connect although all is quiet");
  Answer answer = session.run(statement.sql, statement.parameter);
  if (answer.ok()) return answer;
  throw std::runtime_error("although all is quiet, " + statement.sql + " fails: " + answer.error);
}

std::string text_of(const Answer& answer) {
  std::string text;
  for (const auto& row : answer.rows) {
    for (const auto& value : row) text += (text.empty() ? "" : ", ") + value.value_or("NULL");
  }
  return text;
}

}  // namespace

double Totals::hit_percent() const {
  const std::uint64_t all = cached + forwarded;
  return all == 0 ? 0 : 100.0 * static_cast<double>(cached) / static_cast<double>(all);
}

std::string Totals::text() const {
  char line[400];
  const auto n = [](std::uint64_t number) { return static_cast<unsigned long long>(number); };
  std::snprintf(line, sizeof line,
                "rounds %llu\n"
                "reads: %llu cached, %llu forwarded (%.1f %% of both cached), %llu direct\n"
                "writes: %llu acknowledged, %llu of unknown outcome, %llu rolled back\n",
                n(rounds), n(cached), n(forwarded), hit_percent(), n(direct), n(done), n(unknown),
                n(failed));
  std::string text = line;
  text += "acknowledged writes:";
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (writes[i] == 0) continue;
    text +=
        std::string(" ") + name_of(static_cast<Write>(i)) + " " + std::to_string(writes[i]) + ",";
  }
  text.back() = '\n';
  text += "unwaited commits " + std::to_string(soft_commits) + ", definitions changed " +
          std::to_string(definitions) + "\nfaults:";
  for (std::size_t i = 0; i < faults.size(); ++i) {
    if (faults[i] == 0) continue;
    text +=
        std::string(" ") + name_of(static_cast<Fault>(i)) + " " + std::to_string(faults[i]) + ",";
  }
  text.back() = '\n';
  text += "answers compared after quiet: " + std::to_string(compared) + ", " +
          std::to_string(compared_cached) + " of them cached\n";
  return text;
}

Rounds::Rounds(Stage& stage, const Rules& rules, std::uint64_t seed, const std::string& only_faults)
    : stage_(stage), rules_(rules), random_(seed), board_(all_registers()) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (std::string(name_of(fault)).find(only_faults) != std::string::npos)
      faults_.push_back(fault);
  }
  const auto add = [this](auto* client) { clients_.emplace_back(client); };
  for (int i = 0; i < kReaders; ++i) {
    add(new Reader(board_, stage_.through_pgcache(), "checker-reader", random_(), kReaderPauseUs));
  }
  for (int i = 0; i < kRareReaders; ++i) {
    add(new Reader(board_, stage_.through_pgcache(), "checker-rare-reader", random_(),
                   kRareReaderPauseUs));
  }
  for (int i = 0; i < kWriters; ++i) {
    add(new Writer(board_, stage_.through_pgcache(), "checker-writer", random_()));
  }
  for (int i = 0; i < kDirectReaders; ++i) {
    add(new Reader(board_, stage_.direct(), "checker-direct-reader", random_(), kReaderPauseUs));
  }
  for (int i = 0; i < kDirectWriters; ++i) {
    add(new Writer(board_, stage_.direct(), "checker-direct-writer", random_()));
  }
  for (const Way& way : {stage_.direct(), stage_.through_pgcache()}) {
    disturbers_.push_back(new Disturber(board_, way, "checker-disturber", random_()));
    add(disturbers_.back());
  }
}

Rounds::~Rounds() = default;

bool Rounds::round(std::int64_t end, const std::function<void(const std::string&)>& tell) {
  History history;
  for (const Register& reg : board_.registers) history.register_names.push_back(reg.name);
  stage_.settle();
  note_beginnings(history);
  play(end, history);
  if (stage_.died()) throw std::runtime_error("pgcache ended:\n" + stage_.pgcache().log_tail());
  collect(history);
  std::string report = judge(history);
  if (report.empty()) {
    for (const auto& client : clients_) client->disconnect();
    stage_.heal();
    forwards_all_ = !stage_.settle();
    report = converge();
  }
  ++totals_.rounds;
  if (!report.empty()) tell(report);
  return report.empty();
}

// What the registers hold, as writes that ended before the round.
void Rounds::note_beginnings(History& history) {
  Session origin(stage_.direct(), "checker-quiet");
  for (std::size_t reg = 0; reg < board_.registers.size(); ++reg) {
    const Answer answer = must(origin, board_.registers[reg].reads[0]);
    Op op;
    op.kind = OpKind::kWrite;
    op.reg = static_cast<std::uint16_t>(reg);
    op.value = std::atoll(answer.rows.at(0).at(0).value_or("0").c_str());
    op.start = kLongAgo;
    op.end = kLongAgo + 1;
    history.ops.push_back(op);
  }
}

void Rounds::play(std::int64_t end, History& history) {
  board_.begin(end);
  std::vector<std::thread> threads;
  threads.reserve(clients_.size());
  for (const auto& client : clients_) threads.emplace_back([&client] { client->work(); });
  try {
    inject_some(end, history);
  } catch (...) {
    board_.begin(0);
    for (std::thread& thread : threads) thread.join();
    throw;
  }
  for (std::thread& thread : threads) thread.join();
}

// At random times, and in half of the rounds once more while nobody writes any more. In the others
// what was loaded by then is still there to be compared.
void Rounds::inject_some(std::int64_t end, History& history) {
  const std::int64_t last = end - kLastFault + random_ns(kLastFault);
  const bool quiet_end = random_() % 2 == 0;
  for (bool more = true; more;) {
    std::int64_t next = now_ns() + random_ns(kFaultInterval);
    more = next < last;
    if (!more) next = last;
    std::this_thread::sleep_for(std::chrono::nanoseconds(next - now_ns()));
    if (faults_.empty() || (!more && quiet_end)) continue;
    const Fault fault = faults_[random_() % faults_.size()];
    stage_.inject(fault, random_, history.incidents);
    ++totals_.faults[static_cast<std::size_t>(fault)];
  }
}

void Rounds::collect(History& history) {
  for (const auto& client : clients_) {
    for (const Op& op : client->ops) {
      if (op.kind == OpKind::kRead) {
        ++(op.route == Route::kCached      ? totals_.cached
           : op.route == Route::kForwarded ? totals_.forwarded
                                           : totals_.direct);
      } else {
        ++(op.outcome == Outcome::kDone      ? totals_.done
           : op.outcome == Outcome::kUnknown ? totals_.unknown
                                             : totals_.failed);
      }
    }
    history.ops.insert(history.ops.end(), client->ops.begin(), client->ops.end());
    client->ops.clear();
    findings_.insert(findings_.end(), client->findings.begin(), client->findings.end());
    client->findings.clear();
    for (std::size_t i = 0; i < kWriteKinds; ++i) {
      totals_.writes[i] += std::exchange(client->writes[i], 0);
    }
  }
  for (Disturber* disturber : disturbers_) {
    totals_.definitions += std::exchange(disturber->definitions, 0);
    totals_.soft_commits += std::exchange(disturber->soft_commits, 0);
  }
}

std::string Rounds::judge(const History& history) const {
  std::string report;
  for (std::size_t i = 0; i < std::min(findings_.size(), kViolationsShown); ++i) {
    History beside = history;
    beside.ops.push_back(findings_[i].op);
    report += findings_[i].what + "\n" + excerpt(beside, beside.ops.back()) + "\n";
  }
  const std::vector<Violation> found = check(history, rules_);
  for (std::size_t i = 0; i < std::min(found.size(), kViolationsShown); ++i) {
    report += std::string(name_of(found[i].breach)) + " (at least " +
              std::to_string(found[i].expected) + ")\n" + excerpt(history, *found[i].op);
    report +=
        "by: " + board_.registers[found[i].op->reg].reads[found[i].op->statement].sql + "\n\n";
  }
  if (report.empty()) return report;
  return std::to_string(found.size() + findings_.size()) + " violations\n" + report;
}

// Each statement once, which may be answered by an entry from the busy time, and once more.
bool Rounds::compare(Session& pgcache, Session& origin, const Statement& statement,
                     std::string& report) {
  const std::string truth = text_of(must(origin, statement));
  for (int i = 0; i < 2; ++i) {
    const Answer answer = must(pgcache, statement);
    ++totals_.compared;
    totals_.compared_cached += answer.route == Route::kCached ? 1 : 0;
    if (text_of(answer) == truth) continue;
    report += "after quiet, " + statement.sql + " is answered by " + text_of(answer) + " (" +
              (answer.route == Route::kCached ? "cached" : "forwarded") + "); the origin says " +
              truth + "\n";
    return false;
  }
  return true;
}

std::string Rounds::converge() {
  Session pgcache(stage_.through_pgcache(), "checker-quiet");
  Session origin(stage_.direct(), "checker-quiet");
  std::string report;
  for (const Register& reg : board_.registers) {
    for (const Statement& statement : reg.reads) compare(pgcache, origin, statement, report);
  }
  for (const Statement& statement : board_.soft) compare(pgcache, origin, statement, report);
  return report;
}

}  // namespace pgcache::consistency
