// SPDX-License-Identifier: Apache-2.0
// What a query answered, whole, and whether two answers are the same.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "oracle/query.h"
#include "support/pq.h"

namespace pgcache::oracle {

struct Answer {
  std::string columns;            // names, types and formats
  std::vector<std::string> rows;  // each with its lengths and bytes
  std::string tag;
  std::string sqlstate;  // empty when it succeeded

  std::string text() const;  // for a person, up to some length
};

// Empty when the same (as multisets unless ordered), else what differs.
std::string difference(const Answer& one, const Answer& other, bool ordered);

// A session: a connection with its prepared statements.
class Client {
 public:
  Client(std::string name, const std::string& dsn) : name_(std::move(name)), connection_(dsn) {}

  Answer run(const Query& query);
  Answer run(const std::string& sql);                                 // simple protocol
  Answer copy(const std::string& sql, const std::string& copy_data);  // COPY ... FROM STDIN
  void forget_statements();                                           // DEALLOCATE ALL
  bool in_block() const { return PQtransactionStatus(connection_.raw()) != PQTRANS_IDLE; }
  const std::string& name() const { return name_; }

 private:
  Answer run_prepared(const Query& query);

  std::string name_;
  testing::Connection connection_;
  std::unordered_map<std::string, std::string> statements_;  // by text and types
};

}  // namespace pgcache::oracle
