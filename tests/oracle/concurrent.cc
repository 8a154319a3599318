// SPDX-License-Identifier: Apache-2.0
// See concurrent.h. The tables and what every committed state has:
//   acct(id, grp, bal)      the balances of all accounts add up to kTotal
//   pair(id, v)             the rows 2k and 2k+1 have the same v
//   reg(id, version)        only grows; -1 is written by transactions that roll back
//   reglog(reg_id, version) one row for each version of a register, from 1 on
#include "oracle/concurrent.h"

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "oracle/answer.h"
#include "oracle/random.h"
#include "support/sanitizer.h"

namespace pgcache::oracle {
namespace {

constexpr int kAccounts = 12;
constexpr int kBalance = 100;
constexpr int kRegisters = 6;
constexpr int kPairs = 4;

std::chrono::milliseconds staleness() {
  return std::chrono::milliseconds(400) * testing::patience();
}

// When each version of each register was acknowledged to its writer.
class History {
 public:
  void acknowledged(int reg, int version) {
    const std::lock_guard lock(mutex_);
    times_[reg].emplace_back(Clock::now(), version);
  }
  // The newest version that was acknowledged before the time.
  int at(int reg, Clock::time_point time) const {
    const std::lock_guard lock(mutex_);
    int version = 0;
    const auto found = times_.find(reg);
    if (found == times_.end()) return version;
    for (const auto& [when, what] : found->second) {
      if (when < time && what > version) version = what;
    }
    return version;
  }
  void forget_before(Clock::time_point time) {
    const std::lock_guard lock(mutex_);
    for (auto& [reg, times] : times_) {
      while (times.size() > 1 && times[1].first < time) times.erase(times.begin());
    }
  }

 private:
  mutable std::mutex mutex_;
  std::map<int, std::vector<std::pair<Clock::time_point, int>>> times_;
};

// What the threads share.
struct Run {
  Clock::time_point deadline;
  History history;
  std::atomic<bool> failed{false};
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> writes{0};
  std::mutex mutex;
  std::string failure;

  bool over() const { return failed || Clock::now() >= deadline; }
  void fail(const std::string& what) {
    const std::lock_guard lock(mutex);
    if (!failed.exchange(true)) failure = what;
  }
};

std::string number(int n) { return std::to_string(n); }

// The first column of the first row, as a number; kNothing when there is none.
constexpr int kNothing = -1000000;
int first_number(const Answer& answer) {
  if (answer.rows.empty()) return kNothing;
  const std::size_t colon = answer.rows[0].find(':');
  return colon == std::string::npos ? kNothing : std::atoi(answer.rows[0].c_str() + colon + 1);
}

void make_tables(testing::Connection& admin) {
  admin.must("DROP SCHEMA IF EXISTS conc CASCADE");
  admin.must("CREATE SCHEMA conc");
  admin.must("CREATE TABLE conc.acct (id int PRIMARY KEY, grp int, bal int)");
  admin.must("CREATE TABLE conc.pair (id int PRIMARY KEY, v int)");
  admin.must("CREATE TABLE conc.reg (id int PRIMARY KEY, version int NOT NULL)");
  admin.must("CREATE TABLE conc.reglog (reg_id int, version int, PRIMARY KEY (reg_id, version))");
  admin.must("ALTER TABLE conc.pair REPLICA IDENTITY FULL");
  admin.must("INSERT INTO conc.acct SELECT i, i % 3, " + number(kBalance) +
             " FROM generate_series(1, " + number(kAccounts) + ") i");
  admin.must("INSERT INTO conc.pair SELECT i, 0 FROM generate_series(0, " + number(2 * kPairs - 1) +
             ") i");
  admin.must("INSERT INTO conc.reg SELECT i, 0 FROM generate_series(1, " + number(kRegisters) +
             ") i");
}

// --- writers. Each owns some registers, so that it knows their versions.

class Writer {
 public:
  Writer(Run& run, const std::string& name, const std::string& dsn, std::uint64_t seed, int reg,
         int pause_us)
      : run_(run), random_(seed), client_(name, dsn), reg_(reg), pause_us_(pause_us) {
    client_.run("SET lock_timeout = '2s'; SET deadlock_timeout = '50ms'");
  }

  void work() {
    while (!run_.over()) {
      const int choice = random_.below(100);
      if (choice < 30) {
        transfer();
      } else if (choice < 45) {
        set_pair();
      } else if (choice < 55) {
        poison();
      } else {
        grow();
      }
      ++run_.writes;
      std::this_thread::sleep_for(std::chrono::microseconds(random_.below(2 * pause_us_)));
    }
  }

  // Raises the register's version; false when the transaction did not commit.
  bool grow() {
    const std::string next = number(version_ + 1);
    const std::string id = number(reg_);
    client_.run("BEGIN");
    client_.run("UPDATE conc.reg SET version = " + next + " WHERE id = " + id);
    client_.run("INSERT INTO conc.reglog VALUES (" + id + ", " + next + ")");
    const Answer end = client_.run("COMMIT");
    if (end.tag != "COMMIT") return false;
    ++version_;
    run_.history.acknowledged(reg_, version_);
    return true;
  }
  int version() const { return version_; }
  Client& client() { return client_; }

 private:
  void transfer() {
    const int from = random_.between(1, kAccounts);
    const int to = random_.between(1, kAccounts);
    const std::string amount = number(random_.between(1, 9));
    const int form = random_.below(4);
    if (form == 0) {
      client_.run("UPDATE conc.acct SET bal = bal + CASE id WHEN " + number(from) + " THEN -" +
                  amount + " ELSE " + amount + " END WHERE id IN (" + number(from) + ", " +
                  number(from % kAccounts + 1) + ")");
      return;
    }
    client_.run("BEGIN");
    client_.run("UPDATE conc.acct SET bal = bal - " + amount + " WHERE id = " + number(from));
    if (form == 1) client_.run("SAVEPOINT s; UPDATE conc.acct SET bal = 0; ROLLBACK TO s");
    client_.run("UPDATE conc.acct SET bal = bal + " + amount + " WHERE id = " + number(to));
    if (form == 2) {  // the account moves to another key
      client_.run("UPDATE conc.acct SET id = -id WHERE id = " + number(to));
      client_.run("UPDATE conc.acct SET id = -id, grp = (grp + 1) % 3 WHERE id = -" + number(to));
    }
    client_.run(random_.chance(80) ? "COMMIT" : "ROLLBACK");
  }

  void set_pair() {
    const std::string k = number(random_.below(kPairs));
    const std::string v = number(random_.below(1000));
    client_.run("BEGIN; UPDATE conc.pair SET v = " + v + " WHERE id = 2 * " + k +
                "; UPDATE conc.pair SET v = " + v + " WHERE id = 2 * " + k + " + 1; COMMIT");
    if (client_.in_block()) client_.run("ROLLBACK");
  }

  void poison() {
    client_.run("BEGIN");
    client_.run("UPDATE conc.reg SET version = -1 WHERE id = " + number(reg_));
    client_.run("INSERT INTO conc.reglog VALUES (" + number(reg_) + ", -1)");
    client_.run("UPDATE conc.acct SET bal = 7777 WHERE id = 1");
    if (random_.chance(30)) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    client_.run("ROLLBACK");
  }

  Run& run_;
  Random random_;
  Client client_;
  int reg_;
  int pause_us_;  // on average
  int version_ = 0;
};

// --- readers, through pgcache

class Checker {
 public:
  Checker(Run& run, const std::string& name, const std::string& dsn, std::uint64_t seed,
          std::chrono::milliseconds staleness)
      : run_(run), random_(seed), client_(name, dsn), staleness_(staleness) {}

  void work() {
    while (!run_.over()) {
      step();
      ++run_.reads;
    }
  }

 private:
  void expect(bool right, const std::string& sql, const Answer& answer, const std::string& what) {
    if (right || !answer.sqlstate.empty()) return;
    run_.fail("no committed state has this: " + what + "\n" + client_.name() + ": " + sql + "\n" +
              answer.text());
  }

  Answer ask(const std::string& sql) {
    Query query;
    query.sql = sql;
    query.protocol = static_cast<Query::Protocol>(random_.below(3));
    return client_.run(query);
  }

  void step() {
    switch (random_.below(6)) {
      case 0:
        return sums();
      case 1:
        return pairs();
      case 2:
        return version_and_log();
      default:
        return version();
    }
  }

  void sums() {
    const std::string sql =
        random_.chance(50) ? std::string("SELECT sum(bal), count(*) FROM conc.acct")
                           : "SELECT sum(s), sum(n) FROM (SELECT grp, sum(bal) AS s, count(*) AS "
                             "n FROM conc.acct GROUP BY grp) q";
    const Answer answer = ask(sql);
    expect(first_number(answer) == kAccounts * kBalance, sql, answer, "the sum of all balances");
  }

  void pairs() {
    const std::string low = number(2 * random_.below(kPairs));
    const std::string sql = "SELECT max(v) - min(v), count(*) FROM conc.pair WHERE id BETWEEN " +
                            low + " AND " + low + " + 1";
    Answer answer = ask(sql);
    expect(first_number(answer) == 0, sql, answer, "two values that are always the same");
    const std::string join =
        "SELECT a.v - b.v FROM conc.pair a JOIN conc.pair b ON b.id = a.id + 1 WHERE "
        "a.id = " +
        low;
    answer = ask(join);
    expect(first_number(answer) == 0, join, answer, "two values that are always the same");
  }

  void version_and_log() {
    const std::string id = number(random_.between(1, kRegisters));
    const std::string sql =
        "SELECT r.version - (SELECT count(*) FROM conc.reglog l WHERE l.reg_id = r.id) FROM "
        "conc.reg r "
        "WHERE r.id = " +
        id;
    Answer answer = ask(sql);
    expect(first_number(answer) == 0, sql, answer, "a version for each row of the log");
    const std::string join =
        "SELECT count(*) FROM conc.reg r JOIN conc.reglog l ON l.reg_id = r.id AND "
        "l.version > r.version WHERE r.id = " +
        id;
    answer = ask(join);
    expect(first_number(answer) == 0, join, answer, "no log entry beyond the version");
  }

  void version() {
    const int reg = random_.between(1, kRegisters);
    const std::string sql =
        random_.chance(70) ? "SELECT version FROM conc.reg WHERE id = " + number(reg)
                           : "SELECT max(version) FROM conc.reg WHERE id IN (" + number(reg) + ")";
    const auto asked = Clock::now();
    const Answer answer = ask(sql);
    const int oldest = run_.history.at(reg, asked - staleness_);
    const int version = first_number(answer);
    expect(version >= oldest, sql, answer,
           "at least version " + number(oldest) +
               ", which was committed before the allowed staleness");
    expect(version >= 0, sql, answer, "a version that was rolled back");
  }

  Run& run_;
  Random random_;
  Client client_;
  std::chrono::milliseconds staleness_;
};

// A session that writes through pgcache and reads its own writes (consistency = session).
void read_own_writes(Run& run, const std::string& dsn, std::uint64_t seed, int reg, int pause_us) {
  Writer writer(run, "pgcache self", dsn, seed, reg, pause_us);
  Random random(seed);
  const std::string sql = "SELECT version FROM conc.reg WHERE id = " + number(reg);
  while (!run.over()) {
    const bool grown = random.chance(40) && writer.grow();
    if (random.chance(50)) {
      std::this_thread::sleep_for(std::chrono::microseconds(random.below(2 * pause_us)));
    }
    const Answer answer = writer.client().run(sql);
    if (answer.sqlstate.empty() && first_number(answer) != writer.version()) {
      run.fail("not the session's own write, version " + number(writer.version()) +
               (grown ? " just" : " earlier") + " committed:\n" + sql + "\n" + answer.text());
    }
    ++run.reads;
  }
}

void compare_at_rest(Stage& stage, const testing::PgcacheProcess& process) {
  stage.settle(process);
  Client proxy("pgcache", process.dsn());
  Client origin("origin", stage.origin_dsn());
  std::vector<std::string> all = {"SELECT * FROM conc.acct", "SELECT * FROM conc.pair",
                                  "SELECT * FROM conc.reg",
                                  "SELECT sum(bal), count(*) FROM conc.acct"};
  for (int reg = 1; reg <= kRegisters; ++reg) {
    all.push_back("SELECT version FROM conc.reg WHERE id = " + number(reg));
    all.push_back("SELECT max(version) FROM conc.reg WHERE id IN (" + number(reg) + ")");
  }
  for (const std::string& sql : all) {
    const Answer one = proxy.run(sql);
    const Answer other = origin.run(sql);
    const std::string what = difference(one, other, false);
    if (!what.empty()) {
      throw WrongAnswer("at rest: " + what + "\n" + sql + "\npgcache:\n" + one.text() +
                        "origin:\n" + other.text());
    }
  }
}

// One act: writers at the origin and through pgcache, readers through pgcache.
struct Act {
  const char* consistency;
  int writers;
  int pause_us;  // between two transactions of a writer, on average
  std::vector<std::string> environment;

  bool own_writes() const { return std::string(consistency) == "session"; }
};

class Threads {
 public:
  explicit Threads(Run& run) : run_(run) {}
  template <typename Work>
  void start(Work work) {
    threads_.emplace_back([work, this] {
      try {
        work();
      } catch (const std::exception& error) {
        run_.fail(error.what());
      }
    });
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  Run& run_;
  std::vector<std::thread> threads_;
};

void play(Stage& stage, const Act& act, const testing::PgcacheProcess& process, std::uint64_t seed,
          Clock::time_point deadline, Counts& counts) {
  Run run;
  run.deadline = deadline;
  Threads threads(run);
  for (int reg = 1; reg <= act.writers; ++reg) {
    const std::string dsn = reg % 2 == 1 ? stage.origin_dsn() : process.dsn();
    threads.start([&run, &act, dsn, seed, reg] {
      Writer(run, "writer " + number(reg), dsn, mix(seed, static_cast<std::uint64_t>(reg)), reg,
             act.pause_us)
          .work();
    });
  }
  for (int i = 0; i < 4; ++i) {
    threads.start([&run, &process, seed, i] {
      Checker(run, "pgcache reader " + number(i), process.dsn(),
              mix(seed, 100 + static_cast<std::uint64_t>(i)), staleness())
          .work();
    });
  }
  if (act.own_writes()) {
    threads.start([&run, &act, &process, seed] {
      read_own_writes(run, process.dsn(), seed, kRegisters, act.pause_us);
    });
  }
  while (!run.over()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    run.history.forget_before(Clock::now() - std::chrono::seconds(10));
  }
  threads.join();
  counts.concurrent_reads += run.reads;
  counts.concurrent_writes += run.writes;
  if (run.failed) throw WrongAnswer(run.failure + "\nlog:\n" + process.log_tail(2000));
}

}  // namespace

void run_concurrent(Stage& stage, std::uint64_t seed, Clock::time_point deadline, Counts& counts) {
  // With delays, transactions must come more slowly than pgcache applies them.
  const std::vector<Act> acts = {
      {"session", 5, 1000, {}},
      {"eventual", 5, 1000, {}},
      {"session", 2, 60000, {"PGCACHE_FAULT_APPLY_DELAY_MS=10", "PGCACHE_FAULT_LOAD_DELAY_MS=5"}}};
  int remaining = static_cast<int>(acts.size());
  for (const Act& act : acts) {
    const auto until = Clock::now() + (deadline - Clock::now()) / remaining;
    --remaining;
    // Its own slot and publication: the settled phase's process goes on beside it.
    const std::string name = std::string("concurrent_") + number(remaining);
    const auto process = stage.start({"--consistency", act.consistency, "--max-staleness",
                                      number(static_cast<int>(staleness().count())) + "ms",
                                      "--slot", name, "--publication", name},
                                     act.environment);
    make_tables(stage.admin());
    stage.wait_for_catalog();
    const testing::Routes before = process->routes();
    play(stage, act, *process, mix(seed, static_cast<std::uint64_t>(remaining)), until, counts);
    compare_at_rest(stage, *process);
    const testing::Routes routes = process->routes() - before;
    std::printf("concurrent, %s%s: %s\n", act.consistency,
                act.environment.empty() ? "" : ", delays", routes.text().c_str());
    if (routes.hit < 20) throw WrongAnswer("hardly any hits: " + routes.text());
  }
}

}  // namespace pgcache::oracle
