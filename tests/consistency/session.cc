// SPDX-License-Identifier: Apache-2.0
#include "consistency/session.h"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace pgcache::consistency {

namespace {

constexpr std::int64_t kPatience = 8'000'000'000;  // for one answer, in ns
std::atomic<std::uint32_t> last_number{0};

Answer answer_of(PGresult* result) {
  Answer answer;
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    answer.sqlstate = sqlstate != nullptr ? sqlstate : "08006";
    answer.error = PQresultErrorMessage(result);
    return answer;
  }
  answer.tag = PQcmdStatus(result);
  for (int r = 0; r < PQntuples(result); ++r) {
    auto& row = answer.rows.emplace_back();
    for (int c = 0; c < PQnfields(result); ++c) {
      const bool null = PQgetisnull(result, r, c) != 0;
      row.push_back(null ? std::nullopt : std::optional<std::string>(PQgetvalue(result, r, c)));
    }
  }
  return answer;
}

}  // namespace

bool Session::ready() {
  if (connection_ != nullptr) return true;
  number_ = ++last_number;
  application_name_ = name_ + "-" + std::to_string(number_);
  if (way_.relay != nullptr) forwarded_ = way_.relay->counter_of(application_name_);
  const char separator = way_.dsn.find('?') == std::string::npos ? '?' : '&';
  connection_ = PQconnectdb(
      (way_.dsn + separator + "connect_timeout=3&application_name=" + application_name_).c_str());
  if (PQstatus(connection_) == CONNECTION_OK) {
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    return true;
  }
  close();
  return false;
}

void Session::close() {
  if (connection_ == nullptr) return;
  PQfinish(connection_);
  connection_ = nullptr;
  if (way_.relay != nullptr) way_.relay->forget(application_name_);
}

bool Session::wait(bool for_writing, std::int64_t deadline) {
  const std::int64_t left_ms = (deadline - now_ns()) / 1'000'000;
  if (left_ms <= 0) return false;
  pollfd p{PQsocket(connection_), static_cast<short>(POLLIN | (for_writing ? POLLOUT : 0)), 0};
  return poll(&p, 1, static_cast<int>(left_ms)) > 0;
}

// Null: the time is over or the connection broke before anything came.
PGresult* Session::last_result(std::int64_t deadline) {
  PGresult* last = nullptr;
  while (true) {
    while (PQisBusy(connection_) != 0) {
      if (!wait(false, deadline) || PQconsumeInput(connection_) == 0) {
        PQclear(last);
        return nullptr;
      }
    }
    PGresult* next = PQgetResult(connection_);
    if (next == nullptr) return last;
    // The first error is what happened.
    if (last != nullptr && PQresultStatus(last) == PGRES_FATAL_ERROR) {
      PQclear(next);
    } else {
      PQclear(last);
      last = next;
    }
  }
}

Answer Session::lost(Answer answer, const std::string& why) {
  answer.lost = true;
  if (answer.error.empty()) answer.error = why;
  answer.end = now_ns();
  close();
  return answer;
}

Answer Session::run(const std::string& sql, const std::optional<std::string>& parameter) {
  Answer answer;
  const std::uint64_t before = forwarded_ ? forwarded_->load() : 0;
  const std::int64_t start = answer.start = now_ns();
  const std::int64_t deadline = start + kPatience;
  int sent = 0;
  if (parameter) {
    const char* values[] = {parameter->c_str()};
    sent = PQsendQueryParams(connection_, sql.c_str(), 1, nullptr, values, nullptr, nullptr, 0);
  } else {
    sent = PQsendQuery(connection_, sql.c_str());
  }
  if (sent == 0) return lost(answer, PQerrorMessage(connection_));
  PGresult* result = last_result(deadline);
  if (result == nullptr) return lost(answer, "no answer in time");
  answer = answer_of(result);
  PQclear(result);
  answer.start = start;
  answer.end = now_ns();
  if (forwarded_) {
    answer.route = forwarded_->load() == before ? Route::kCached : Route::kForwarded;
  }
  // Errors of class 57 and 08 end the connection, or may have come after the statement's effect.
  if (PQstatus(connection_) != CONNECTION_OK || answer.sqlstate.starts_with("57") ||
      answer.sqlstate.starts_with("08")) {
    return lost(answer, "the connection broke");
  }
  return answer;
}

}  // namespace pgcache::consistency
