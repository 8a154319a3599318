// SPDX-License-Identifier: Apache-2.0
#include "origin/table_reader.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace pgcache::origin {
namespace {

using Kind = TableReading::Kind;

constexpr int kRowsMax = 20'000;

enum Columns { kSnapshot, kPosition, kBytes, kIdentity, kName, kType, kModifier };

// What the lock holds off from here on is what a snapshot does not show: TRUNCATE, and ALTER TABLE
// that rewrites rows. The snapshot is taken behind the lock, and the position is read behind the
// snapshot. Generated columns are not in the stream.
std::string question(const pg::Relation& table, const std::string& name) {
  return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '20ms';"
         " SET LOCAL statement_timeout = '1s'; SET LOCAL row_security = off; LOCK TABLE ONLY " +
         name +
         " IN ACCESS SHARE MODE; SELECT pg_catalog.pg_current_snapshot(),"
         " pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.pg_table_size(c.oid), c.relreplident,"
         " a.attname, a.atttypid, a.atttypmod FROM pg_catalog.pg_class c JOIN"
         " pg_catalog.pg_attribute a ON a.attrelid = c.oid WHERE c.oid = " +
         std::to_string(pg::to_u32(table.oid)) + " AND c.oid = " + quote_literal(name) +
         "::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
         " ORDER BY a.attnum";
}

std::uint64_t large_number(std::string_view digits) {
  std::uint64_t number = UINT64_MAX;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::shared_ptr<const cdc::StreamRelation> form_of(const Reply& reply, const pg::Relation& table) {
  auto form = std::make_shared<cdc::StreamRelation>();
  form->oid = table.oid;
  form->schema = table.schema_name;
  form->name = table.name;
  form->replica_identity = reply.letter(0, kIdentity);
  for (int i = 0; i < reply.rows(); ++i) {
    cdc::StreamColumn column;
    column.name = reply.text(i, kName);
    column.type = reply.oid(i, kType);
    const std::string_view modifier = reply.text(i, kModifier);
    std::from_chars(modifier.data(), modifier.data() + modifier.size(), column.typmod);
    column.is_key = form->replica_identity == 'f' ||
                    std::find(table.key_columns.begin(), table.key_columns.end(), column.name) !=
                        table.key_columns.end();
    form->columns.push_back(std::move(column));
  }
  return form;
}

// insufficient_privilege (row security that cannot be left out says that too), and what a standby
// answers: read_only_sql_transaction, object_not_in_prerequisite_state
bool is_refusal(const Failure& failure) {
  return failure.sqlstate == "42501" || failure.sqlstate == "25006" || failure.sqlstate == "55000";
}

TableReading read_in_transaction(Link& link, const pg::Relation& table, std::uint64_t bytes_max) {
  const std::string name = quote_identifier(table.schema_name) + "." + quote_identifier(table.name);
  const Reply asked = link.query(question(table, name));
  if (!asked.ok()) return {is_refusal(asked.failure()) ? Kind::kUseless : Kind::kRetry, {}};
  if (asked.rows() == 0 || asked.letter(0, kIdentity) != table.replica_identity) return {};
  if (large_number(asked.text(0, kBytes)) > bytes_max) return {Kind::kUseless, {}};
  const auto snapshot = pg::parse_snapshot(asked.text(0, kSnapshot));
  const auto position = pg::parse_lsn(asked.text(0, kPosition));
  if (!snapshot || !position) return {};
  cdc::TableRows rows{form_of(asked, table), *snapshot, *position, {}};
  std::string select;
  for (const cdc::StreamColumn& column : rows.form->columns) {
    select += (select.empty() ? "SELECT " : ", ") + quote_identifier(column.name);
  }
  const Reply read =
      link.query(select + " FROM ONLY " + name + " LIMIT " + std::to_string(kRowsMax + 1));
  if (!read.ok()) return {is_refusal(read.failure()) ? Kind::kUseless : Kind::kRetry, {}};
  if (read.rows() > kRowsMax) return {Kind::kUseless, {}};
  rows.rows.resize(static_cast<std::size_t>(read.rows()));
  for (int i = 0; i < read.rows(); ++i) {
    auto& row = rows.rows[static_cast<std::size_t>(i)];
    for (int j = 0; j < static_cast<int>(rows.form->columns.size()); ++j) {
      if (read.is_null(i, j)) {
        row.emplace_back();
      } else {
        row.emplace_back(read.text(i, j));
      }
    }
  }
  return {Kind::kRead, std::move(rows)};
}

}  // namespace

TableReading read_table(Link& link, const pg::Relation& table, std::uint64_t bytes_max) {
  TableReading reading = read_in_transaction(link, table, bytes_max);
  if (!link.lost()) {
    const Reply ended = link.query("ROLLBACK");
    if (!ended.ok()) link.mark_lost();
  }
  return reading;
}

}  // namespace pgcache::origin
