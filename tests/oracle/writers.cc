// SPDX-License-Identifier: Apache-2.0
#include "oracle/writers.h"

#include "oracle/values.h"

namespace pgcache::oracle {

namespace {
constexpr const char* kSettings = "SET search_path = oracle, alt; SET lock_timeout = '40ms'";
}

Writers::Writers(const std::string& proxy_dsn, const std::string& origin_dsn, Trace& trace,
                 Counts& counts)
    : ender_("ender", origin_dsn), trace_(trace), counts_(counts) {
  for (int i = 0; i < 5; ++i) {
    const bool proxy = i < 2;
    clients_.push_back(std::make_unique<Client>(
        (proxy ? "pgcache w" : "origin w") + std::to_string(i), proxy ? proxy_dsn : origin_dsn));
    send(*clients_.back(), kSettings);
  }
}

Answer Writers::send(Client& client, const std::string& sql) {
  Answer answer = client.run(sql);
  trace_.add(client.name(), sql, answer.sqlstate.empty() ? answer.tag : answer.sqlstate);
  return answer;
}

Answer Writers::apply(Client& client, const Change& change) {
  ++counts_.changes;
  if (change.copy_data.empty()) return send(client, change.sql);
  Answer answer = client.copy(change.sql, change.copy_data);
  trace_.add(client.name(), change.sql + ";\n" + change.copy_data + "\\.\n",
             answer.sqlstate.empty() ? answer.tag : answer.sqlstate);
  return answer;
}

void Writers::begin(Client& client, Random& random) {
  send(client,
       random.pick({"BEGIN", "BEGIN", "START TRANSACTION", "BEGIN ISOLATION LEVEL REPEATABLE READ",
                    "BEGIN ISOLATION LEVEL SERIALIZABLE"}));
}

void Writers::end(Client& client, Random& random) {
  const int choice = random.below(20);
  if (choice == 0) {
    const std::string name = "oracle" + std::to_string(next_prepared_++);
    if (send(client, "PREPARE TRANSACTION " + quote(name)).tag == "PREPARE TRANSACTION") {
      prepared_.push_back(name);
    }
    return;
  }
  send(client, choice < 13 ? "COMMIT" : "ROLLBACK");
}

void Writers::block_step(Client& client, Random& random) {
  switch (random.below(3)) {
    case 0:
      send(client, "SAVEPOINT sp");
      return;
    case 1:
      send(client, "ROLLBACK TO SAVEPOINT sp");  // fails where there is none
      return;
    default:
      send(client, "RELEASE SAVEPOINT sp");
  }
}

void Writers::exclusive(Client& client, const Change& change, Random& random) {
  if (client.in_block()) end(client, random);
  const bool block = random.chance(50);
  if (block) send(client, "BEGIN");
  apply(client, change);
  if (block) send(client, random.chance(60) ? "COMMIT" : "ROLLBACK");
}

void Writers::step(const Schema& schema, Random& random) {
  if (!prepared_.empty() && random.chance(30)) {
    send(ender_,
         (random.chance(70) ? "COMMIT PREPARED " : "ROLLBACK PREPARED ") + quote(prepared_.back()));
    prepared_.pop_back();
  }
  Client& client = *random.pick(clients_);
  if (client.in_block()) {
    const int choice = random.below(100);
    if (choice < 30) return end(client, random);
    if (choice < 45) return block_step(client, random);
  } else if (random.chance(30)) {
    begin(client, random);
  }
  const Change change = make_change(schema, random);
  if (change.exclusive) return exclusive(client, change, random);
  const Answer answer = apply(client, change);
  if (!answer.sqlstate.empty() && client.in_block() && random.chance(70)) send(client, "ROLLBACK");
}

void Writers::finish(Random& random) {
  for (const auto& client : clients_) {
    if (client->in_block()) send(*client, random.chance(70) ? "COMMIT" : "ROLLBACK");
  }
  for (const std::string& name : prepared_) send(ender_, "COMMIT PREPARED " + quote(name));
  prepared_.clear();
}

}  // namespace pgcache::oracle
