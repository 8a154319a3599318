// SPDX-License-Identifier: Apache-2.0
#include "oracle/answer.h"

#include <algorithm>

namespace pgcache::oracle {
namespace {

constexpr std::size_t kRowsShown = 30;
constexpr std::size_t kStatementsMax = 200;

std::string row_bytes(const PGresult* result, int row) {
  std::string out;
  for (int c = 0; c < PQnfields(result); ++c) {
    if (c > 0) out += " | ";
    if (PQgetisnull(result, row, c)) {
      out += "NULL";
      continue;
    }
    const auto length = static_cast<std::size_t>(PQgetlength(result, row, c));
    out += std::to_string(length) + ":" + std::string(PQgetvalue(result, row, c), length);
  }
  return out;
}

// Takes over the result.
Answer to_answer(PGresult* result) {
  Answer answer;
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || result == nullptr) {
    const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    answer.sqlstate = sqlstate != nullptr ? sqlstate : "(connection)";
    PQclear(result);
    return answer;
  }
  answer.tag = PQcmdStatus(result);
  for (int c = 0; c < PQnfields(result); ++c) {
    answer.columns += std::string(c > 0 ? ", " : "") + PQfname(result, c) + " " +
                      std::to_string(PQftype(result, c)) + "/" + std::to_string(PQfmod(result, c)) +
                      (PQfformat(result, c) == 1 ? " binary" : "");
  }
  for (int r = 0; r < PQntuples(result); ++r) answer.rows.push_back(row_bytes(result, r));
  PQclear(result);
  return answer;
}

struct WireParameters {
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
  explicit WireParameters(const std::vector<Parameter>& parameters) {
    for (const Parameter& p : parameters) {
      types.push_back(p.type);
      values.push_back(p.bytes ? p.bytes->c_str() : nullptr);
      lengths.push_back(p.bytes ? static_cast<int>(p.bytes->size()) : 0);
      formats.push_back(p.binary ? 1 : 0);
    }
  }
  int count() const { return static_cast<int>(types.size()); }
};

}  // namespace

std::string Answer::text() const {
  if (!sqlstate.empty()) return "  error " + sqlstate + "\n";
  std::string out = "  " + tag + "  (" + columns + ")\n";
  std::vector<std::string> shown = rows;
  for (std::size_t i = 0; i < shown.size() && i < kRowsShown; ++i) {
    out += "  " + shown[i].substr(0, 300) + "\n";
  }
  if (shown.size() > kRowsShown) out += "  ...\n";
  return out;
}

std::string difference(const Answer& one, const Answer& other, bool ordered) {
  if (one.sqlstate != other.sqlstate) return "one failed, or with another error";
  if (one.columns != other.columns) return "the columns differ";
  if (one.tag != other.tag) return "the command tags differ";
  if (one.rows == other.rows) return "";
  if (ordered) return "the rows or their order differ";
  std::vector<std::string> a = one.rows;
  std::vector<std::string> b = other.rows;
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b ? "" : "the rows differ";
}

Answer Client::run(const std::string& sql) {
  return to_answer(PQexec(connection_.raw(), sql.c_str()));
}

Answer Client::run(const Query& query) {
  switch (query.protocol) {
    case Query::Protocol::kSimple:
      return run(query.sql);
    case Query::Protocol::kPrepared:
      return run_prepared(query);
    case Query::Protocol::kExtended:
      break;
  }
  const WireParameters p(query.parameters);
  return to_answer(PQexecParams(connection_.raw(), query.sql.c_str(), p.count(), p.types.data(),
                                p.values.data(), p.lengths.data(), p.formats.data(),
                                query.binary_results ? 1 : 0));
}

Answer Client::run_prepared(const Query& query) {
  const WireParameters p(query.parameters);
  std::string key = query.sql;
  for (const Oid type : p.types) key += " " + std::to_string(type);
  auto found = statements_.find(key);
  if (found == statements_.end()) {
    if (statements_.size() >= kStatementsMax) forget_statements();
    const std::string name = "s" + std::to_string(statements_.size());
    Answer prepared = to_answer(
        PQprepare(connection_.raw(), name.c_str(), query.sql.c_str(), p.count(), p.types.data()));
    if (!prepared.sqlstate.empty()) return prepared;
    found = statements_.emplace(key, name).first;
  }
  return to_answer(PQexecPrepared(connection_.raw(), found->second.c_str(), p.count(),
                                  p.values.data(), p.lengths.data(), p.formats.data(),
                                  query.binary_results ? 1 : 0));
}

Answer Client::copy(const std::string& sql, const std::string& copy_data) {
  PGconn* connection = connection_.raw();
  PGresult* result = PQexec(connection, sql.c_str());
  if (PQresultStatus(result) != PGRES_COPY_IN) return to_answer(result);
  PQclear(result);
  PQputCopyData(connection, copy_data.data(), static_cast<int>(copy_data.size()));
  PQputCopyEnd(connection, nullptr);
  Answer answer = to_answer(PQgetResult(connection));
  while (PGresult* more = PQgetResult(connection)) PQclear(more);
  return answer;
}

void Client::forget_statements() {
  statements_.clear();
  run("DEALLOCATE ALL");
}

}  // namespace pgcache::oracle
