// SPDX-License-Identifier: Apache-2.0
#include "consistency/registers.h"

namespace pgcache::consistency {

namespace {

constexpr int kSingles = 10;
constexpr int kTwins = 4;
constexpr int kBanks = 3;
constexpr int kAccounts = 6;
constexpr int kMoney = 1000;  // of each account at first
constexpr int kSlates = 2;
constexpr std::uint64_t kSoftRows = 300;  // so that a row stays as it is for seconds
constexpr int kFillerRows = 4000;

std::string text(std::int64_t number) { return std::to_string(number); }

Register single(int id) {
  const std::string n = text(id);
  Register reg{RegisterKind::kSingle, id, "single " + n, {}, "0"};
  reg.reads = {
      {"SELECT value, 0 FROM watched_single WHERE id = " + n, {}},
      {"SELECT value, 0 FROM watched_single WHERE id = $1", n},
      {"SELECT value, 0 FROM watched_view WHERE id = " + n, {}},
      {"SELECT max(value), 0 FROM watched_single WHERE id BETWEEN " + n + " AND " + n, {}},
  };
  return reg;
}

Register twin(int id) {
  const std::string n = text(id);
  Register reg{RegisterKind::kTwin, id, "twin " + n, {}, "0"};
  reg.reads = {
      {"SELECT max(value), max(value) - min(value) FROM watched_twin WHERE pair = " + n, {}},
      {"SELECT a.value, a.value - b.value FROM watched_twin a JOIN watched_twin b ON a.pair = "
       "b.pair"
       " WHERE a.side = 0 AND b.side = 1 AND a.pair = $1",
       n},
  };
  return reg;
}

Register bank(int id) {
  const std::string n = text(id);
  Register reg{RegisterKind::kBank, id, "bank " + n, {}, text(kAccounts * kMoney)};
  reg.reads = {
      {"SELECT b.version, sum(a.balance) FROM watched_bank b JOIN watched_account a ON a.bank = "
       "b.id"
       " WHERE b.id = " +
           n + " GROUP BY b.version",
       {}},
      {"SELECT (SELECT version FROM watched_bank WHERE id = " + n +
           "), sum(balance) FROM watched_account WHERE bank = " + n,
       {}},
  };
  return reg;
}

Register slate(int id) {
  const std::string n = text(id);
  Register reg{RegisterKind::kSlate, id, "slate " + n, {}, "1"};
  reg.reads = {{"SELECT max(value), count(*) FROM watched_slate_" + n, {}}};
  return reg;
}

}  // namespace

std::vector<Register> all_registers() {
  std::vector<Register> all;
  for (int id = 0; id < kSingles; ++id) all.push_back(single(id));
  for (int id = 0; id < kTwins; ++id) all.push_back(twin(id));
  for (int id = 0; id < kBanks; ++id) all.push_back(bank(id));
  for (int id = 0; id < kSlates; ++id) all.push_back(slate(id));
  return all;
}

std::vector<Statement> soft_reads() {
  std::vector<Statement> all{{"SELECT sum(value), count(*) FROM watched_soft", {}}};
  for (std::uint64_t id = 0; id < kSoftRows; ++id) {
    all.push_back({"SELECT value, 0 FROM watched_soft WHERE id = " + std::to_string(id), {}});
  }
  return all;
}

std::string write_soft(std::uint64_t number) {
  return "UPDATE watched_soft SET value = " + std::to_string(number) +
         " WHERE id = " + std::to_string(number % kSoftRows);
}

std::size_t soft_read_of(std::uint64_t number) { return 1 + number % kSoftRows; }

std::string schema() {
  std::string sql =
      "CREATE TABLE watched_single (id int PRIMARY KEY, value bigint NOT NULL, note text);"
      "CREATE VIEW watched_view AS SELECT id, value FROM watched_single;"
      "CREATE TABLE watched_twin (pair int, side int, value bigint NOT NULL, PRIMARY KEY (pair, "
      "side));"
      "ALTER TABLE watched_twin REPLICA IDENTITY FULL;"
      "CREATE TABLE watched_bank (id int PRIMARY KEY, version bigint NOT NULL);"
      "CREATE TABLE watched_account (bank int, id int, balance bigint NOT NULL, PRIMARY KEY (bank, "
      "id));"
      "CREATE TABLE watched_soft (id int PRIMARY KEY, value bigint NOT NULL);"
      "CREATE TABLE slate_turn (id int PRIMARY KEY, value bigint NOT NULL);"
      "CREATE TABLE filler (id int PRIMARY KEY, n bigint NOT NULL, body text NOT NULL);";
  const auto rows = [](int count) { return "generate_series(0, " + text(count - 1) + ")"; };
  sql += "INSERT INTO watched_single SELECT i, 0, 'note' FROM " + rows(kSingles) + " i;";
  sql += "INSERT INTO watched_twin SELECT i, s, 0 FROM " + rows(kTwins) + " i, " + rows(2) + " s;";
  sql += "INSERT INTO watched_bank SELECT i, 0 FROM " + rows(kBanks) + " i;";
  sql += "INSERT INTO watched_account SELECT b, i, " + text(kMoney) + " FROM " + rows(kBanks) +
         " b, " + rows(kAccounts) + " i;";
  sql += "INSERT INTO watched_soft SELECT i, 0 FROM " + rows(kSoftRows) + " i;";
  sql += "INSERT INTO slate_turn SELECT i, 0 FROM " + rows(kSlates) + " i;";
  for (int id = 0; id < kSlates; ++id) {
    const std::string table = "watched_slate_" + text(id);
    sql += "CREATE TABLE " + table + " (id int PRIMARY KEY, value bigint NOT NULL);";
    sql += "INSERT INTO " + table + " VALUES (1, 0);";
  }
  sql += "INSERT INTO filler SELECT i, 0, repeat('x', 100) FROM " + rows(kFillerRows) + " i;";
  return sql;
}

std::vector<std::string> write_statements(const Register& reg, std::int64_t value,
                                          std::uint64_t salt) {
  const std::string v = text(value);
  const std::string id = text(reg.id);
  const auto guarded = [&](const std::string& table, const std::string& column,
                           const std::string& where) {
    return "UPDATE " + table + " SET " + column + " = " + v + " WHERE " + where + " AND " + column +
           " < " + v;
  };
  switch (reg.kind) {
    case RegisterKind::kSingle:
      return {guarded("watched_single", "value", "id = " + id)};
    case RegisterKind::kTwin:
      return {guarded("watched_twin", "value", "side = 0 AND pair = " + id),
              guarded("watched_twin", "value", "side = 1 AND pair = " + id)};
    case RegisterKind::kBank: {
      const std::string amount = std::to_string(salt % 97 + 1);
      const std::uint64_t from = salt / 97 % kAccounts;
      const std::uint64_t to = (from + 1 + salt / 997 % (kAccounts - 1)) % kAccounts;
      const std::string account = " WHERE bank = " + id + " AND id = ";
      return {guarded("watched_bank", "version", "id = " + id),
              "UPDATE watched_account SET balance = balance - " + amount + account +
                  std::to_string(from),
              "UPDATE watched_account SET balance = balance + " + amount + account +
                  std::to_string(to)};
    }
    case RegisterKind::kSlate:
      return {guarded("slate_turn", "value", "id = " + id), "TRUNCATE watched_slate_" + id,
              "INSERT INTO watched_slate_" + id + " VALUES (1, " + v + ")"};
  }
  return {};
}

std::string harmless_ddl(std::uint64_t salt) {
  static const std::vector<std::string> all = {
      "ALTER TABLE watched_single ADD COLUMN IF NOT EXISTS extra int",
      "ALTER TABLE watched_single DROP COLUMN IF EXISTS extra",
      "ALTER TABLE watched_single ALTER COLUMN note TYPE varchar",  // a new file
      "ALTER TABLE watched_single ALTER COLUMN note TYPE text",
      "CREATE OR REPLACE VIEW watched_view AS SELECT id, value FROM watched_single WHERE id >= 0",
      "CREATE OR REPLACE VIEW watched_view AS SELECT id, value FROM watched_single",
      "CREATE INDEX IF NOT EXISTS single_value ON watched_single (value)",
      "DROP INDEX IF EXISTS single_value",
      "ALTER TABLE watched_account REPLICA IDENTITY FULL",
      "ALTER TABLE watched_account REPLICA IDENTITY DEFAULT",
      "CLUSTER watched_bank USING watched_bank_pkey",
      "CREATE TABLE IF NOT EXISTS passing (id int)",
      "DROP TABLE IF EXISTS passing",
  };
  return all[salt % all.size()];
}

std::string many_changes(std::uint64_t salt) {
  return "UPDATE filler SET n = " + std::to_string(salt) + ", body = repeat('y', " +
         std::to_string(50 + salt % 300) + ") WHERE id % 2 = " + std::to_string(salt % 2);
}

}  // namespace pgcache::consistency
