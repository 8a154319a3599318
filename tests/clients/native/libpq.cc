// SPDX-License-Identifier: Apache-2.0
// libpq: every way to send a query, pipeline mode, single rows, COPY, cancelling, notifications,
// large objects.
#include <libpq-fe.h>
#include <libpq/libpq-fs.h>

#include <cstring>
#include <memory>
#include <thread>

#include "contract.h"

namespace {

using contract::Seen;

constexpr const char* kById = "SELECT id, name, price, added FROM items WHERE id = $1";

struct Session {
  explicit Session(const std::string& url) : conn(PQconnectdb(url.c_str())) {
    if (PQstatus(conn) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(conn));
    PQsetNoticeReceiver(
        conn,
        [](void* to, const PGresult* notice) {
          static_cast<Session*>(to)->notices.push_back(
              PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY));
        },
        this);
  }
  ~Session() { PQfinish(conn); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  operator PGconn*() const { return conn; }

  PGconn* conn;
  Seen notices;
};

// All that a result says.
void keep(PGresult* result, Seen& seen) {
  if (result == nullptr) {
    seen.push_back("none");
    return;
  }
  std::string line = std::string(PQresStatus(PQresultStatus(result))) + " " + PQcmdStatus(result);
  for (const int field : {PG_DIAG_SEVERITY, PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY,
                          PG_DIAG_MESSAGE_DETAIL, PG_DIAG_MESSAGE_HINT, PG_DIAG_STATEMENT_POSITION,
                          PG_DIAG_CONTEXT, PG_DIAG_TABLE_NAME, PG_DIAG_CONSTRAINT_NAME}) {
    if (const char* value = PQresultErrorField(result, field)) line += std::string("|") + value;
  }
  const bool rows =
      PQresultStatus(result) != PGRES_COPY_IN && PQresultStatus(result) != PGRES_COPY_OUT;
  for (int c = 0; rows && c < PQnfields(result); ++c) {
    line += std::string("\n") + PQfname(result, c) + " " + std::to_string(PQftype(result, c)) +
            " " + std::to_string(PQftable(result, c)) + " " + std::to_string(PQfmod(result, c)) +
            " " + std::to_string(PQfformat(result, c));
  }
  for (int r = 0; r < PQntuples(result); ++r) {
    for (int c = 0; c < PQnfields(result); ++c) {
      line += '\n';
      if (PQgetisnull(result, r, c)) line += "NULL";
      line.append(PQgetvalue(result, r, c), PQgetlength(result, r, c));
    }
  }
  for (int p = 0; p < PQnparams(result); ++p) line += " $" + std::to_string(PQparamtype(result, p));
  seen.push_back(line);
  PQclear(result);
}

void keep_all(PGconn* conn, Seen& seen) {
  while (PGresult* result = PQgetResult(conn)) keep(result, seen);
}

void exec(PGconn* conn, Seen& seen, const std::string& sql) {
  keep(PQexec(conn, sql.c_str()), seen);
}

void run(PGconn* conn, const std::string& sql) { PQclear(PQexec(conn, sql.c_str())); }

void exec_params(PGconn* conn, Seen& seen, const char* sql, const std::string& value,
                 int format = 0) {
  const char* values[] = {value.c_str()};
  keep(PQexecParams(conn, sql, 1, nullptr, values, nullptr, nullptr, format), seen);
}

Seen connects(const std::string& url) {
  Session session(url + "?application_name=libpq&options=-c%20timezone%3DAsia/Tokyo");
  Seen seen = {PQdb(session),
               PQuser(session),
               PQparameterStatus(session, "TimeZone"),
               PQparameterStatus(session, "application_name"),
               std::to_string(PQserverVersion(session)),
               std::to_string(PQprotocolVersion(session))};
  exec(session, seen, "SELECT added FROM items WHERE id = 1");
  seen.push_back(std::to_string(PQping(url.c_str())));
  PQreset(session);
  exec(session, seen, "SELECT added FROM items WHERE id = 1");
  return seen;
}

Seen types(const std::string& url) {
  Session session(url);
  Seen seen;
  for (const std::string& kind : contract::kKinds) {
    const std::string sql = "SELECT k_" + kind + " FROM kinds WHERE id < $1 ORDER BY id";
    exec_params(session, seen, sql.c_str(), "10", 0);
    exec_params(session, seen, sql.c_str(), "10", 1);
    exec(session, seen, "SELECT k_" + kind + " FROM kinds ORDER BY id");
  }
  return seen;
}

// What was read in a format is written back in it.
Seen round_trip(const std::string& url) {
  Session session(url);
  Seen seen;
  run(session, "TRUNCATE kinds_back; INSERT INTO kinds_back (id) SELECT id FROM kinds");
  for (const std::string& kind : contract::kKinds) {
    for (const int format : {0, 1}) {
      const std::string sql = "SELECT k_" + kind + " FROM kinds ORDER BY id";
      PGresult* read =
          PQexecParams(session, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, format);
      for (int r = 0; r < PQntuples(read); ++r) {
        const std::string row = std::to_string(r + 1);
        const char* values[] = {PQgetisnull(read, r, 0) ? nullptr : PQgetvalue(read, r, 0),
                                row.c_str()};
        const int lengths[] = {PQgetlength(read, r, 0), 0};
        const int formats[] = {format, 0};
        const Oid given[] = {PQftype(read, 0), 23};
        const std::string update = "UPDATE kinds_back SET k_" + kind + " = $1 WHERE id = $2";
        keep(PQexecParams(session, update.c_str(), 2, given, values, lengths, formats, 0), seen);
        const std::string again = "SELECT k_" + kind + " FROM kinds_back WHERE id = $1";
        exec_params(session, seen, again.c_str(), row, format);
        const std::string same = "SELECT id FROM kinds WHERE k_" + kind + "::text = $1::text";
        keep(PQexecParams(session, same.c_str(), 1, format == 0 ? nullptr : given, values, lengths,
                          formats, 0),
             seen);
      }
      PQclear(read);
    }
  }
  return seen;
}

Seen prepared(const std::string& url) {
  Session session(url);
  Seen seen;
  keep(PQprepare(session, "by id", kById, 0, nullptr), seen);
  keep(PQdescribePrepared(session, "by id"), seen);
  for (int i = 1; i <= 10; ++i) {
    const std::string id = std::to_string(i);
    const char* values[] = {id.c_str()};
    keep(PQexecPrepared(session, "by id", 1, values, nullptr, nullptr, i % 2), seen);
  }
  keep(PQprepare(session, "by id", "SELECT 1", 0, nullptr), seen);
  exec(session, seen, "DEALLOCATE \"by id\"");
  keep(PQdescribePrepared(session, "by id"), seen);
  return seen;
}

Seen read_blocks(const std::string& url) {
  Session session(url);
  Seen seen;
  for (int i = 1; i <= 8; ++i) {
    exec(session, seen, "BEGIN");
    exec_params(session, seen, kById, std::to_string(i));
    seen.push_back(std::to_string(PQtransactionStatus(session)));
    exec(session, seen, i % 2 ? "COMMIT" : "ROLLBACK");
  }
  return seen;
}

Seen transactions(const std::string& url) {
  Session session(url);
  Seen seen;
  run(session, "DELETE FROM written");
  for (const char* sql :
       {"BEGIN", "INSERT INTO written VALUES (1, 'one')", "SAVEPOINT s",
        "INSERT INTO written VALUES (1)", "SELECT 1", "ROLLBACK TO s", "SELECT * FROM written",
        "COMMIT", "SELECT * FROM written", "COMMIT", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
        "SELECT * FROM written", "DELETE FROM written", "COMMIT",
        "SELECT 1; SELECT * FROM written; SELECT 1 / 0; SELECT 2"}) {
    PQsendQuery(session, sql);
    keep_all(session, seen);
    seen.push_back(std::to_string(PQtransactionStatus(session)));
  }
  return seen;
}

void enter_pipeline(PGconn* conn) {
  if (PQenterPipelineMode(conn) != 1) throw std::runtime_error("no pipeline mode");
}

// The results of so many queries, with the ends between them.
void keep_queries(PGconn* conn, Seen& seen, int queries) {
  for (int i = 0; i < queries; ++i) {
    while (PGresult* result = PQgetResult(conn)) {
      const bool sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
      keep(result, seen);
      if (sync) break;
    }
  }
}

void send(PGconn* conn, const char* sql, const std::string& value) {
  const char* values[] = {value.c_str()};
  if (PQsendQueryParams(conn, sql, 1, nullptr, values, nullptr, nullptr, 0) != 1) {
    throw std::runtime_error(PQerrorMessage(conn));
  }
}

Seen pipeline_of_reads(const std::string& url) {
  Session session(url);
  Seen seen;
  enter_pipeline(session);
  for (int i = 1; i <= 20; ++i) {
    send(session, kById, std::to_string(i));
    PQpipelineSync(session);
  }
  keep_queries(session, seen, 40);
  PQexitPipelineMode(session);
  return seen;
}

// Twenty reads in one transaction: an exchange of many Executes.
Seen pipeline_with_one_sync(const std::string& url) {
  Session session(url);
  Seen seen;
  enter_pipeline(session);
  for (int i = 1; i <= 20; ++i) send(session, kById, std::to_string(i));
  PQpipelineSync(session);
  keep_queries(session, seen, 21);
  PQexitPipelineMode(session);
  return seen;
}

// Reads and writes, prepared here and used here, an error in the middle and what it makes fail,
// flushes.
Seen pipeline_of_everything(const std::string& url) {
  Session session(url);
  Seen seen;
  run(session, "DELETE FROM written");
  enter_pipeline(session);
  PQsendPrepare(session, "insert", "INSERT INTO written VALUES ($1, 'x')", 0, nullptr);
  const char* one[] = {"1"};
  PQsendQueryPrepared(session, "insert", 1, one, nullptr, nullptr, 0);
  send(session, "SELECT name FROM written WHERE id = $1", "1");
  PQsendFlushRequest(session);
  PQflush(session);
  keep_queries(session, seen, 3);
  PQpipelineSync(session);
  send(session, kById, "1");
  PQsendQueryPrepared(session, "insert", 1, one, nullptr, nullptr, 0);
  send(session, kById, "2");
  PQpipelineSync(session);
  send(session, kById, "3");
  PQsendDescribePrepared(session, "insert");
  PQpipelineSync(session);
  keep_queries(session, seen, 1 + 3 + 1 + 2 + 1);
  for (const char* sql : {"BEGIN", "INSERT INTO written VALUES (2, 'two')",
                          "SELECT count(*) FROM written", "COMMIT"}) {
    PQsendQueryParams(session, sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
    PQpipelineSync(session);
  }
  keep_queries(session, seen, 8);
  PQexitPipelineMode(session);
  exec(session, seen, "SELECT * FROM written ORDER BY id");
  return seen;
}

Seen single_rows(const std::string& url) {
  Session session(url);
  Seen seen;
  PQsendQuery(session, "SELECT id, name FROM items WHERE id < 20 ORDER BY id");
  PQsetSingleRowMode(session);
  keep_all(session, seen);
  return seen;
}

Seen cursors(const std::string& url) {
  Session session(url);
  Seen seen;
  for (const char* sql :
       {"BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT id, name FROM items ORDER BY id",
        "FETCH 3 FROM c", "MOVE 10 FROM c", "FETCH BACKWARD 2 FROM c", "CLOSE c", "COMMIT",
        "DECLARE h CURSOR WITH HOLD FOR SELECT id FROM items ORDER BY id", "FETCH 2 FROM h",
        "CLOSE h"}) {
    exec(session, seen, sql);
  }
  keep(PQdescribePortal(session, "h"), seen);
  return seen;
}

Seen copy(const std::string& url) {
  Session session(url);
  Seen seen;
  run(session, "TRUNCATE copied");
  exec(session, seen, "COPY copied FROM STDIN");
  for (int i = 0; i < 3000; ++i) {
    const std::string row = std::to_string(i) + "\t" + std::string(i % 300, 'x') + "\t0.5\n";
    PQputCopyData(session, row.data(), static_cast<int>(row.size()));
  }
  PQputCopyEnd(session, nullptr);
  keep_all(session, seen);
  exec(session, seen, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT (FORMAT BINARY)");
  char* row = nullptr;
  for (int n; (n = PQgetCopyData(session, &row, 0)) > 0; PQfreemem(row)) seen.emplace_back(row, n);
  keep_all(session, seen);
  for (const char* end : {static_cast<const char*>(nullptr), "of its own will"}) {
    exec(session, seen, "COPY copied FROM STDIN");
    PQputCopyData(session, "1\tagain\t1\n", 10);
    PQputCopyEnd(session, end);
    keep_all(session, seen);
  }
  exec(session, seen, "SELECT count(*) FROM copied");
  return seen;
}

Seen errors(const std::string& url) {
  Session session(url);
  Seen seen;
  for (const char* sql :
       {"SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC", "",
        "SELECT 'x'::mood", "INSERT INTO items SELECT * FROM items", "SELECT * FROM absent",
        "DO $$ BEGIN RAISE WARNING 'careful'; END $$"}) {
    exec(session, seen, sql);
    keep(PQexecParams(session, sql, 0, nullptr, nullptr, nullptr, nullptr, 1), seen);
  }
  exec_params(session, seen, "SELECT $1::int", "x");
  exec_params(session, seen, "SELECT 1 / (id - $1) FROM items WHERE id = 5", "5");
  seen.insert(seen.end(), session.notices.begin(), session.notices.end());
  return seen;
}

Seen cancel(const std::string& url) {
  Session session(url);
  Seen seen;
  PGcancel* handle = PQgetCancel(session);
  std::thread later([handle] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    char error[256];
    PQcancel(handle, error, sizeof error);
  });
  exec(session, seen, "SELECT pg_sleep(30)");
  later.join();
  PQfreeCancel(handle);
  exec(session, seen, "SELECT name FROM items WHERE id = 1");
  return seen;
}

Seen notify(const std::string& url) {
  Session session(url);
  Session other(url);
  Seen seen;
  exec(session, seen, "LISTEN news");
  for (int i = 0; i < 3; ++i) exec(other, seen, "NOTIFY news, 'number " + std::to_string(i) + "'");
  for (int n = 0, tries = 0; n < 3 && tries < 1000; ++tries) {
    PQconsumeInput(session);
    while (PGnotify* got = PQnotifies(session)) {
      seen.push_back(std::string(got->relname) + " " + got->extra);
      PQfreemem(got);
      ++n;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return seen;
}

Seen large_objects(const std::string& url) {
  Session session(url);
  Seen seen;
  run(session, "BEGIN");
  const Oid oid = lo_create(session, 0);
  const int fd = lo_open(session, oid, INV_READ | INV_WRITE);
  const std::string data(30000, 'x');
  seen.push_back(std::to_string(lo_write(session, fd, data.data(), data.size())));
  seen.push_back(std::to_string(lo_lseek64(session, fd, 10000, SEEK_SET)));
  std::string back(50000, ' ');
  seen.push_back(std::to_string(lo_read(session, fd, back.data(), back.size())));
  lo_close(session, fd);
  lo_unlink(session, oid);
  exec(session, seen, "COMMIT");
  return seen;
}

}  // namespace

int main(int, char** arguments) {
  const int version = PQlibVersion();
  contract::start(arguments, "libpq",
                  std::to_string(version / 10000) + "." + std::to_string(version % 10000));
  contract::chapter("connect", connects);
  contract::chapter("types", types, 3 * static_cast<int>(contract::kKinds.size()));
  contract::chapter("round-trip", round_trip);
  contract::chapter("prepared", prepared, 10);
  contract::chapter("read-blocks", read_blocks, 8, 7);
  contract::chapter("transactions", transactions);
  contract::chapter("pipeline-of-reads", pipeline_of_reads, 20);
  contract::chapter("pipeline-with-one-sync", pipeline_with_one_sync, 20);
  contract::chapter("pipeline-of-everything", pipeline_of_everything);
  contract::chapter("single-rows", single_rows, 1);
  contract::chapter("cursors", cursors);
  contract::chapter("copy", copy);
  contract::chapter("errors", errors);
  contract::chapter("cancel", cancel);
  contract::chapter("notify", notify);
  contract::chapter("large-objects", large_objects);
  return contract::failed ? 1 : 0;
}
