// SPDX-License-Identifier: Apache-2.0
// libpq for tests.
#include "support/pq.h"

#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

namespace pgcache::testing {
namespace {

QueryResult to_query_result(PGconn* connection, PGresult* result) {
  QueryResult out;
  if (result == nullptr) {
    out.error = PQerrorMessage(connection);
    out.sqlstate = "08006";
    return out;
  }
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
    const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    out.sqlstate = sqlstate != nullptr ? sqlstate : "08006";
    out.error = message != nullptr ? message : PQresultErrorMessage(result);
  } else {
    out.command_tag = PQcmdStatus(result);
    for (int c = 0; c < PQnfields(result); ++c) out.columns.emplace_back(PQfname(result, c));
    for (int r = 0; r < PQntuples(result); ++r) {
      Row& row = out.rows.emplace_back();
      for (int c = 0; c < PQnfields(result); ++c) {
        if (PQgetisnull(result, r, c)) {
          row.emplace_back(std::nullopt);
        } else {
          row.emplace_back(std::string(PQgetvalue(result, r, c),
                                       static_cast<std::size_t>(PQgetlength(result, r, c))));
        }
      }
    }
  }
  PQclear(result);
  return out;
}

}  // namespace

std::string QueryResult::value() const {
  if (!ok()) throw std::runtime_error(sqlstate + ": " + error);
  if (rows.size() != 1 || rows[0].size() != 1 || !rows[0][0]) {
    throw std::runtime_error("the query did not yield one value");
  }
  return *rows[0][0];
}

Connection::Connection(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str())) {
  if (PQstatus(connection_) != CONNECTION_OK) {
    const std::string message = PQerrorMessage(connection_);
    PQfinish(connection_);
    connection_ = nullptr;
    throw std::runtime_error(message);
  }
  PQsetNoticeProcessor(
      connection_, [](void*, const char*) {}, nullptr);
}

Connection::~Connection() {
  if (connection_ != nullptr) PQfinish(connection_);
}

Connection::Connection(Connection&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  std::swap(connection_, other.connection_);
  return *this;
}

QueryResult Connection::query(const std::string& sql) {
  return to_query_result(connection_, PQexec(connection_, sql.c_str()));
}

QueryResult Connection::exec_params(const std::string& sql,
                                    const std::vector<std::optional<std::string>>& parameters,
                                    bool binary_results) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const auto& p : parameters) values.push_back(p ? p->c_str() : nullptr);
  return to_query_result(
      connection_, PQexecParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr,
                                values.empty() ? nullptr : values.data(), nullptr, nullptr,
                                binary_results ? 1 : 0));
}

QueryResult Connection::must(const std::string& sql) {
  QueryResult result = query(sql);
  if (!result.ok()) throw std::runtime_error(result.sqlstate + ": " + result.error + "\n" + sql);
  return result;
}

Connection connect_within(const std::string& conninfo, int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (true) {
    try {
      return Connection(conninfo);
    } catch (const std::runtime_error&) {
      if (std::chrono::steady_clock::now() >= deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace pgcache::testing
