// SPDX-License-Identifier: Apache-2.0
// The registers of a run: tables at the origin, statements that read each register, and statements
// that write it. Every statement that reads names a table whose name begins with kMarker.
//
//   single  a row of watched_single                     read by key, through a view, by a range
//   twin    two rows that are always written together   read by an aggregate and by a self-join
//   bank    the number of the last transfer between     read by a join and an aggregate, beside the
//           six accounts                                sum of the accounts, which never changes
//   slate   a table that is truncated for each write    read as a whole
//
// Each answer that reads a register is one row: its number, and a value that must be one and the
// same whatever was committed ("0", the bank's whole money, the one row of a slate): the state that
// one SELECT sees is always of one moment.
//
// Beside them stand rows that are written with synchronous_commit = off (watched_soft): a crash may
// take back such a commit after it was seen, so that all that is asked of them is that cached
// answers are the origin's in the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pgcache::consistency {

inline constexpr const char* kMarker = "watched_";

struct Statement {
  std::string sql;
  std::optional<std::string> parameter;
};

enum class RegisterKind : std::uint8_t { kSingle, kTwin, kBank, kSlate };

struct Register {
  RegisterKind kind = RegisterKind::kSingle;
  int id = 0;  // within the kind
  std::string name;
  std::vector<Statement> reads;
  std::string constant;  // the second column of each answer
};

std::vector<Register> all_registers();
std::vector<Statement> soft_reads();
std::string write_soft(std::uint64_t number);
std::size_t soft_read_of(std::uint64_t number);  // of soft_reads(), which reads what that wrote

// DDL that makes everything, every register at zero.
std::string schema();

// The statements of one write inside a transaction block. Each begins with an UPDATE of one row
// that changes nothing when a larger number is there already, and holds off other writers of the
// register. `salt` chooses the amount and the accounts of a transfer.
std::vector<std::string> write_statements(const Register& reg, std::int64_t value,
                                          std::uint64_t salt);

// A definition that changes and changes nothing that is read, one of several kinds.
std::string harmless_ddl(std::uint64_t salt);
// Many row changes, so that the transaction they are in is long in the stream.
std::string many_changes(std::uint64_t salt);

}  // namespace pgcache::consistency
