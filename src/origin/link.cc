// SPDX-License-Identifier: Apache-2.0
// One libpq connection of pgcache's own to the origin.
#include "origin/link.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "base/log.h"

namespace pgcache::origin {
namespace {

constexpr const char* kSessionSettings =
    "SELECT pg_catalog.set_config('search_path', '', false),"
    " pg_catalog.set_config('client_min_messages', 'warning', false),"
    " pg_catalog.set_config('DateStyle', 'ISO, MDY', false),"
    " pg_catalog.set_config('IntervalStyle', 'postgres', false),"
    " pg_catalog.set_config('TimeZone', 'UTC', false),"
    " pg_catalog.set_config('extra_float_digits', '1', false),"
    " pg_catalog.set_config('bytea_output', 'hex', false),"
    " pg_catalog.set_config('standard_conforming_strings', 'on', false),"
    " pg_catalog.set_config('lc_monetary', 'C', false),"
    " pg_catalog.set_config('xmloption', 'content', false),"
    // Whatever the role's or the database's defaults are, they are not meant for these connections.
    " pg_catalog.set_config('statement_timeout', '0', false),"
    " pg_catalog.set_config('lock_timeout', '0', false),"
    " pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),"
    " pg_catalog.set_config('idle_session_timeout', '0', false),"
    " pg_catalog.set_config('default_transaction_read_only', 'off', false),"
    " pg_catalog.set_config('default_transaction_isolation', 'read committed', false),"
    // Our own statements must never wait for a synchronous standby: that may be ourselves.
    " pg_catalog.set_config('synchronous_commit', 'local', false)";

int milliseconds_until(TimePoint deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  if (left <= Duration::zero()) return 0;
  // Rounded up, so that a wait never spins through its last millisecond.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::min<std::int64_t>(ms, 3600 * 1000));
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string field(const PGresult* result, int code) {
  const char* value = PQresultErrorField(result, code);
  return value == nullptr ? std::string() : std::string(value);
}

// libpq breaks its messages into lines.
std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != '\n' && c != '\t') {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '.')) out.pop_back();
  return out;
}

Failure failure_of(const PGresult* result) {
  Failure failure;
  failure.sqlstate = field(result, PG_DIAG_SQLSTATE);
  failure.message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (failure.message.empty()) failure.message = trimmed(PQresultErrorMessage(result));
  const std::string detail = field(result, PG_DIAG_MESSAGE_DETAIL);
  if (!detail.empty()) failure.message += " (" + detail + ")";
  return failure;
}

}  // namespace

Event::Event() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CHECK(fd_ >= 0); }
Event::~Event() { close(fd_); }

void Event::raise() {
  const std::uint64_t one = 1;
  // A full counter (EAGAIN) is raised already.
  [[maybe_unused]] const ssize_t n = write(fd_, &one, sizeof one);
}

void Event::clear() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = read(fd_, &count, sizeof count);
}

bool Event::raised() const { return wait_for(Duration::zero()); }

bool Event::wait_for(Duration timeout) const {
  const TimePoint deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    pollfd p{fd_, POLLIN, 0};
    const int n = poll(&p, 1, milliseconds_until(deadline));
    if (n > 0) return true;
    if (n == 0 && std::chrono::steady_clock::now() >= deadline) return false;
  }
}

std::string_view Reply::text(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

char Reply::letter(int row, int column) const {
  const std::string_view t = text(row, column);
  return t.empty() ? '\0' : t[0];
}

std::uint32_t Reply::number(int row, int column) const {
  const std::string_view t = text(row, column);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
  return error == std::errc() && end == t.data() + t.size() ? value : 0;
}

std::variant<std::unique_ptr<Link>, Failure> Link::open(const LinkOptions& options) {
  // Later keywords win: what the connection string says about these is ours to decide.
  std::vector<const char*> keys{"dbname"};
  std::vector<const char*> values{options.conninfo.c_str()};
  const auto add = [&](const char* key, const char* value) {
    keys.push_back(key);
    values.push_back(value);
  };
  add("application_name", options.application_name.c_str());
  add("client_encoding", "UTF8");
  add("keepalives", "1");
  add("keepalives_idle", "10");
  add("keepalives_interval", "3");
  add("keepalives_count", "3");
  add("tcp_user_timeout", "15000");
  if (options.replication) add("replication", "database");
  keys.push_back(nullptr);
  values.push_back(nullptr);
  // It has an owner before anything else asks for memory.
  std::unique_ptr<PGconn, void (*)(PGconn*)> opened(
      PQconnectStartParams(keys.data(), values.data(), 1), &PQfinish);
  if (opened == nullptr) return Failure{"", "out of memory", false};
  std::unique_ptr<Link> link(new Link(opened.get(), options.stop));
  PGconn* const connection = opened.release();
  Failure why;
  if (!link->connect(std::chrono::steady_clock::now() + options.connect_timeout, &why)) return why;
  PQsetNoticeProcessor(
      connection, [](void*, const char* text) { log_debug("origin: {}", trimmed(text)); }, nullptr);
  const Reply settings = link->query(kSessionSettings);
  if (!settings.ok()) return settings.failure();
  return link;
}

bool Link::connect(TimePoint deadline, Failure* why) {
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (PQstatus(connection_) != CONNECTION_BAD) {
    if (next == PGRES_POLLING_OK) return true;
    if (next == PGRES_POLLING_FAILED) break;
    switch (wait(next == PGRES_POLLING_WRITING, deadline)) {
      case Ready::kSocket:
        break;
      case Ready::kTimeout:
        *why = {"", "the origin did not answer in time", false};
        return false;
      case Ready::kStopped:
        *why = {"", "stopped", true};
        return false;
    }
    next = PQconnectPoll(connection_);
  }
  *why = last_failure();
  return false;
}

Link::~Link() { PQfinish(connection_); }

Link::Ready Link::wait(bool for_write, TimePoint deadline) const {
  while (true) {
    // Reading is always of interest: libpq must be able to read while it writes.
    std::array<pollfd, 2> p{
        pollfd{PQsocket(connection_), static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN), 0},
        pollfd{stop_ != nullptr ? stop_->fd() : -1, POLLIN, 0}};
    const int n = poll(p.data(), p.size(), milliseconds_until(deadline));
    if (n > 0 && p[1].revents != 0) return Ready::kStopped;
    if (n > 0) return Ready::kSocket;
    if (n == 0 && std::chrono::steady_clock::now() >= deadline) return Ready::kTimeout;
  }
}

Failure Link::last_failure() const {
  return Failure{"", without_secrets(on_one_line(PQerrorMessage(connection_))), false};
}

Reply Link::query(const std::string& sql, Duration timeout) {
  const TimePoint deadline = std::chrono::steady_clock::now() + timeout;
  if (!send(sql)) return Reply(last_failure());
  return collect(deadline);
}

bool Link::send(const std::string& sql) {
  if (!lost() && PQsendQuery(connection_, sql.c_str()) != 0) return true;
  lost_ = true;
  return false;
}

bool Link::consume() {
  if (PQconsumeInput(connection_) != 0) return true;
  lost_ = true;
  return false;
}

bool Link::answer_ready(Duration timeout) {
  const TimePoint deadline = std::chrono::steady_clock::now() + timeout;
  while (!lost() && PQisBusy(connection_) != 0) {
    if (wait(false, deadline) != Ready::kSocket) return false;
    if (!consume()) return true;
  }
  return true;
}

Reply Link::take_answer() {
  return collect(std::chrono::steady_clock::now() + std::chrono::seconds(60));
}

Reply Link::take_result() {
  const TimePoint deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  if (std::optional<Failure> failure = await_result(deadline)) return Reply(std::move(*failure));
  PGresult* result = PQgetResult(connection_);
  if (result == nullptr) return Reply(Failure{"", "the origin sent no result", false});
  Reply reply(result);
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE) return reply;
  return Reply(failure_of(result));
}

bool Link::put_copy(std::string_view bytes) {
  return PQputCopyData(connection_, bytes.data(), static_cast<int>(bytes.size())) >= 0 &&
         PQflush(connection_) >= 0;
}

void Link::cancel() {
  PGcancel* request = PQgetCancel(connection_);
  if (request == nullptr) return;
  std::array<char, 256> why{};
  PQcancel(request, why.data(), static_cast<int>(why.size()));
  PQfreeCancel(request);
}

// Until a result is there. A wait that is cut short leaves the connection in the midst of an
// answer: it is lost then.
std::optional<Failure> Link::await_result(TimePoint deadline) {
  while (PQisBusy(connection_) != 0) {
    const Ready ready = wait(false, deadline);
    if (ready != Ready::kSocket) {
      lost_ = true;
      const bool stopped = ready == Ready::kStopped;
      return Failure{"", stopped ? "stopped" : "the origin did not answer in time", stopped};
    }
    if (!consume()) return last_failure();
  }
  return std::nullopt;
}

// Reads results until the server is ready for the next statement (or has begun a COPY).
Reply Link::collect(TimePoint deadline) {
  Reply last(Failure{"", "the origin sent no result", false});
  bool failed = false;
  while (true) {
    if (std::optional<Failure> failure = await_result(deadline)) {
      const bool waited = failure->interrupted || PQstatus(connection_) == CONNECTION_OK;
      return failed && !waited ? std::move(last) : Reply(std::move(*failure));
    }
    PGresult* result = PQgetResult(connection_);
    if (result == nullptr) return last;
    Reply reply(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
      if (!failed) last = Reply(failure_of(result));
      failed = true;
      continue;
    }
    const bool copying =
        status == PGRES_COPY_BOTH || status == PGRES_COPY_IN || status == PGRES_COPY_OUT;
    if (!failed) last = std::move(reply);
    if (copying) return last;
  }
}

std::string quote_identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

// With standard_conforming_strings on, as both links have set it.
std::string quote_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::string without_secrets(std::string message) {
  if (message.find('@') == std::string::npos && message.find("password=") == std::string::npos) {
    return message;
  }
  const std::size_t quote = message.find('"');
  return quote == std::string::npos ? "the connection string is not valid"
                                    : message.substr(0, quote) + "(the connection string)";
}

std::vector<pg::Oid> parse_oids(std::string_view text) {
  std::vector<pg::Oid> out;
  const char* p = text.data();
  const char* end = p + text.size();
  while (p < end) {
    std::uint32_t value = 0;
    const auto parsed = std::from_chars(p, end, value);
    if (parsed.ec != std::errc()) break;
    out.push_back(pg::Oid{value});
    p = parsed.ptr + 1;
  }
  return out;
}

}  // namespace pgcache::origin
