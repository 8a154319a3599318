// SPDX-License-Identifier: Apache-2.0
// The sessions that change rows: some through pgcache, some at the origin, several with a block
// open at the same time. All of them are driven from one thread, so a step that would wait for
// another session's lock ends by lock_timeout, each time the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "oracle/answer.h"
#include "oracle/change.h"
#include "oracle/report.h"

namespace pgcache::oracle {

class Writers {
 public:
  Writers(const std::string& proxy_dsn, const std::string& origin_dsn, Trace& trace,
          Counts& counts);

  void step(const Schema& schema, Random& random);
  // Ends every block and every prepared transaction.
  void finish(Random& random);
  Answer apply(Client& client, const Change& change);

 private:
  void begin(Client& client, Random& random);
  void block_step(Client& client, Random& random);
  void end(Client& client, Random& random);
  void exclusive(Client& client, const Change& change, Random& random);
  Answer send(Client& client, const std::string& sql);

  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::string> prepared_;  // names of prepared transactions
  Client ender_;                       // of prepared transactions, at the origin
  int next_prepared_ = 0;
  Trace& trace_;
  Counts& counts_;
};

}  // namespace pgcache::oracle
