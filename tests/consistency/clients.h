// SPDX-License-Identifier: Apache-2.0
// The clients of a run. Each is one function that works until its round ends, in a thread of its
// own, and keeps what it did and saw; one goes on with its connection in the next round.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "consistency/history.h"
#include "consistency/registers.h"
#include "consistency/session.h"

namespace pgcache::consistency {

// What the clients of a run share.
class Board {
 public:
  explicit Board(std::vector<Register> the_registers)
      : registers(std::move(the_registers)), locks_(registers.size()) {}

  const std::vector<Register> registers;
  const std::vector<Statement> soft = soft_reads();

  void begin(std::int64_t round_end) { round_end_ = round_end; }
  std::int64_t left_ns() const { return round_end_.load(std::memory_order_relaxed) - now_ns(); }
  bool over() const { return left_ns() <= 0; }
  // Writers of registers end earlier, so that what readers are answered last has to stay right.
  bool written() const { return left_ns() <= kReadersAloneNs; }
  // Held while the register is written.
  std::mutex& lock_of(std::size_t reg) { return locks_[reg]; }
  std::int64_t next_number() { return ++last_number_; }
  // The read of the row that was written softly last.
  std::atomic<std::size_t> last_soft{0};

 private:
  static constexpr std::int64_t kReadersAloneNs = 1'800'000'000;
  std::atomic<std::int64_t> round_end_{0};
  std::vector<std::mutex> locks_;
  std::atomic<std::int64_t> last_number_{0};
};

// A wrong answer that one client can tell by itself.
struct Finding {
  Op op;
  std::string what;
};

enum class Write : std::uint8_t { kPlain, kBlock, kRolledBack, kTwoPhase, kLong };
inline constexpr std::size_t kWriteKinds = 5;
const char* name_of(Write kind);

class Client {
 public:
  Client(Board& board, Way way, const std::string& name, std::uint64_t seed)
      : board_(board), session_(std::move(way), name), random_(seed) {}
  virtual ~Client() = default;
  virtual void work() = 0;  // until the round is over
  void disconnect() { session_.close(); }

  std::vector<Op> ops;
  std::vector<Finding> findings;
  std::array<std::uint64_t, kWriteKinds> writes{};  // that were acknowledged

 protected:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  void pause(std::uint64_t us_max);
  bool connected();  // after a pause if not
  void read(std::size_t reg, std::size_t statement);
  void read_some(std::size_t reg);
  Op op_of(std::size_t reg, OpKind kind, const Answer& answer) const;
  void find(const Op& op, const std::string& what) { findings.push_back({op, what}); }

  Board& board_;
  Session session_;
  std::mt19937_64 random_;
};

// Reads registers again and again, alone and in transaction blocks.
class Reader : public Client {
 public:
  // `pause_us_max`: between two reads. One that rests for long asks while something stands still,
  // where others wait for the answer to what they asked before.
  Reader(Board& board, Way way, const std::string& name, std::uint64_t seed,
         std::uint64_t pause_us_max)
      : Client(board, std::move(way), name, seed), pause_us_max_(pause_us_max) {}
  void work() override;

 private:
  const std::uint64_t pause_us_max_;
};

// Writes registers in every way, and reads what it wrote.
class Writer : public Client {
 public:
  using Client::Client;
  void work() override;

 private:
  void write(std::size_t reg);
  Outcome plain(const std::vector<std::string>& statements);
  Outcome in_block(std::size_t reg, std::int64_t value, const std::vector<std::string>& statements,
                   Write kind);
  Outcome finish(std::int64_t value, Write kind);
  void read_in_block(std::size_t reg, std::int64_t value);
};

// Commits that nobody waits for to be flushed, changes of definitions, and the end of prepared
// transactions that were left behind.
class Disturber : public Client {
 public:
  using Client::Client;
  void work() override;
  std::uint64_t definitions = 0;
  std::uint64_t soft_commits = 0;

 private:
  void end_old_prepared();
  std::int64_t next_definition_ns_ = 0;
};

}  // namespace pgcache::consistency
