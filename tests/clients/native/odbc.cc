// SPDX-License-Identifier: Apache-2.0
// psqlODBC over unixODBC, with the statements prepared at the server and not; cursors by DECLARE
// and FETCH. $CLIENT_ODBC_DRIVER is the driver's file.
#include <sql.h>
#include <sqlext.h>

#include <cstdlib>
#include <thread>

#include "contract.h"

namespace {

using contract::Seen;

std::string problems(SQLSMALLINT kind, SQLHANDLE handle) {
  std::string all;
  SQLCHAR state[6], message[1024];
  SQLINTEGER native = 0;
  SQLSMALLINT length = 0;
  for (SQLSMALLINT i = 1; SQLGetDiagRec(kind, handle, i, state, &native, message, sizeof message,
                                        &length) == SQL_SUCCESS;
       ++i) {
    all +=
        std::string(reinterpret_cast<char*>(state)) + " " + reinterpret_cast<char*>(message) + "\n";
  }
  return all;
}

SQLCHAR* text(const std::string& s) {
  return reinterpret_cast<SQLCHAR*>(const_cast<char*>(s.c_str()));
}

struct Session {
  explicit Session(const std::string& url, const std::string& options = {}) {
    const std::size_t at = url.find('@') + 1;
    const std::size_t colon = url.find(':', at);
    const std::size_t slash = url.find('/', colon);
    SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &env);
    SQLSetEnvAttr(env, SQL_ATTR_ODBC_VERSION, reinterpret_cast<SQLPOINTER>(SQL_OV_ODBC3), 0);
    SQLAllocHandle(SQL_HANDLE_DBC, env, &dbc);
    const std::string where = std::string("Driver=") + std::getenv("CLIENT_ODBC_DRIVER") +
                              ";Server=" + url.substr(at, colon - at) +
                              ";Port=" + url.substr(colon + 1, slash - colon - 1) +
                              ";Database=postgres;UID=postgres;SSLmode=disable;" + options;
    const SQLRETURN made = SQLDriverConnect(dbc, nullptr, text(where), SQL_NTS, nullptr, 0, nullptr,
                                            SQL_DRIVER_NOPROMPT);
    if (!SQL_SUCCEEDED(made)) throw std::runtime_error(problems(SQL_HANDLE_DBC, dbc));
  }
  ~Session() {
    SQLDisconnect(dbc);
    SQLFreeHandle(SQL_HANDLE_DBC, dbc);
    SQLFreeHandle(SQL_HANDLE_ENV, env);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void autocommit(bool on) {
    SQLSetConnectAttr(dbc, SQL_ATTR_AUTOCOMMIT,
                      reinterpret_cast<SQLPOINTER>(
                          static_cast<SQLULEN>(on ? SQL_AUTOCOMMIT_ON : SQL_AUTOCOMMIT_OFF)),
                      0);
  }
  void end(bool commit) { SQLEndTran(SQL_HANDLE_DBC, dbc, commit ? SQL_COMMIT : SQL_ROLLBACK); }

  SQLHENV env = nullptr;
  SQLHDBC dbc = nullptr;
};

struct Statement {
  explicit Statement(Session& session) { SQLAllocHandle(SQL_HANDLE_STMT, session.dbc, &handle); }
  ~Statement() { SQLFreeHandle(SQL_HANDLE_STMT, handle); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  SQLHSTMT handle = nullptr;
};

// What the statement just executed gave: the columns' types and sizes, and the rows as text.
void keep(SQLHSTMT handle, SQLRETURN outcome, Seen& seen) {
  if (outcome != SQL_SUCCESS && outcome != SQL_NO_DATA)
    seen.push_back(problems(SQL_HANDLE_STMT, handle));
  if (!SQL_SUCCEEDED(outcome)) return;
  SQLSMALLINT columns = 0;
  SQLNumResultCols(handle, &columns);
  std::string line;
  for (SQLSMALLINT c = 1; c <= columns; ++c) {
    SQLCHAR name[128];
    SQLSMALLINT length, type, digits, nullable;
    SQLULEN size;
    SQLDescribeCol(handle, c, name, sizeof name, &length, &type, &size, &digits, &nullable);
    line += std::string(reinterpret_cast<char*>(name)) + " " + std::to_string(type) + " " +
            std::to_string(size) + " ";
  }
  while (columns > 0 && SQL_SUCCEEDED(SQLFetch(handle))) {
    for (SQLSMALLINT c = 1; c <= columns; ++c) {
      char value[4096];
      SQLLEN length = 0;
      SQLGetData(handle, static_cast<SQLUSMALLINT>(c), SQL_C_CHAR, value, sizeof value, &length);
      line += length == SQL_NULL_DATA ? "NULL" : std::string(value);
      line += '|';
    }
  }
  SQLLEN rows = 0;
  SQLRowCount(handle, &rows);
  seen.push_back(line + std::to_string(rows));
}

void exec(Session& session, Seen& seen, const std::string& sql) {
  Statement statement(session);
  keep(statement.handle, SQLExecDirect(statement.handle, text(sql), SQL_NTS), seen);
}

// What the driver asks a new session, of the catalog, counts as possible writes.
void warm(Session& session) {
  Seen ignored;
  exec(session, ignored, "SELECT k_bytea, k_enum, k_matrix FROM kinds");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
}

Seen connects(const std::string& url) {
  Session session(url, "ConnSettings={SET TimeZone TO 'Asia/Tokyo'};");
  Seen seen;
  SQLCHAR version[64];
  SQLGetInfo(session.dbc, SQL_DBMS_VER, version, sizeof version, nullptr);
  seen.emplace_back(reinterpret_cast<char*>(version));
  exec(session, seen, "SELECT added::text FROM items WHERE id = 1");
  Statement statement(session);
  keep(statement.handle,
       SQLColumns(statement.handle, nullptr, 0, text("public"), SQL_NTS, text("kinds"), SQL_NTS,
                  nullptr, 0),
       seen);
  return seen;
}

Seen types(const std::string& url) {
  Session session(url);
  Seen seen;
  warm(session);
  for (const std::string& kind : contract::kKinds)
    exec(session, seen, "SELECT k_" + kind + " FROM kinds ORDER BY id");
  return seen;
}

// As text, which the column's own type is made of.
Seen round_trip(const std::string& url) {
  Session session(url);
  Seen seen;
  Seen ignored;
  exec(session, ignored, "TRUNCATE kinds_back");
  exec(session, ignored, "INSERT INTO kinds_back (id) SELECT id FROM kinds");
  for (const std::string& kind : contract::kKinds) {
    const std::string column = "k_" + kind;
    for (const char* row : {"1", "2", "3"}) {
      char value[4096];
      SQLLEN length = SQL_NULL_DATA;
      Statement read(session);
      SQLExecDirect(read.handle, text("SELECT " + column + "::text FROM kinds WHERE id = " + row),
                    SQL_NTS);
      SQLFetch(read.handle);
      SQLGetData(read.handle, 1, SQL_C_CHAR, value, sizeof value, &length);
      SQLCloseCursor(read.handle);
      Statement find(session);
      SQLPrepare(find.handle,
                 text("SELECT id FROM kinds WHERE " + column + "::text = ? ORDER BY id"), SQL_NTS);
      SQLBindParameter(find.handle, 1, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_VARCHAR, 4000, 0, value,
                       sizeof value, &length);
      keep(find.handle, SQLExecute(find.handle), seen);
      exec(session, seen,
           "UPDATE kinds_back b SET " + column + " = k." + column +
               " FROM kinds k WHERE k.id = b.id AND b.id = " + row);
      exec(session, seen, "SELECT " + column + " FROM kinds_back WHERE id = " + row);
    }
  }
  return seen;
}

// The same statement with other parameters, prepared at the server or written into the text.
Seen prepared_with(const std::string& url, const std::string& options) {
  Session session(url, options);
  warm(session);
  Statement statement(session);
  Seen seen;
  SQLINTEGER id = 0;
  SQLPrepare(statement.handle, text("SELECT id, name, price, added FROM items WHERE id = ?"),
             SQL_NTS);
  SQLBindParameter(statement.handle, 1, SQL_PARAM_INPUT, SQL_C_SLONG, SQL_INTEGER, 0, 0, &id, 0,
                   nullptr);
  for (id = 1; id <= 10; ++id) {
    keep(statement.handle, SQLExecute(statement.handle), seen);
    SQLCloseCursor(statement.handle);
  }
  return seen;
}

Seen prepared(const std::string& url) { return prepared_with(url, "UseServerSidePrepare=1;"); }
Seen unprepared(const std::string& url) { return prepared_with(url, "UseServerSidePrepare=0;"); }

// BEGIN and the first statement are one simple query, which is not served from memory.
Seen read_blocks(const std::string& url) {
  Session session(url);
  session.autocommit(false);
  Seen seen;
  for (int i = 1; i <= 8; ++i) {
    exec(session, seen, "SELECT name FROM items WHERE id = " + std::to_string(i));
    session.end(i % 2 == 0);
  }
  return seen;
}

Seen transactions(const std::string& url) {
  Session session(url);
  Seen seen;
  Seen ignored;
  exec(session, ignored, "DELETE FROM written");
  session.autocommit(false);
  for (const char* sql : {"INSERT INTO written VALUES (1, 'one')",
                          "INSERT INTO written VALUES (1, 'again')", "SELECT * FROM written"}) {
    exec(session, seen, sql);
  }
  session.end(true);
  exec(session, seen, "SELECT * FROM written");
  session.end(false);
  for (const SQLULEN level :
       {SQL_TXN_READ_COMMITTED, SQL_TXN_REPEATABLE_READ, SQL_TXN_SERIALIZABLE}) {
    SQLSetConnectAttr(session.dbc, SQL_ATTR_TXN_ISOLATION, reinterpret_cast<SQLPOINTER>(level), 0);
    exec(session, seen, "SHOW transaction_isolation");
    exec(session, seen, "SELECT * FROM written");
    session.end(true);
  }
  return seen;
}

// An array of parameters, and several statements in one.
Seen batches(const std::string& url) {
  Session session(url);
  Seen seen;
  Seen ignored;
  exec(session, ignored, "TRUNCATE copied");
  Statement statement(session);
  std::vector<SQLINTEGER> ids(200);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<SQLINTEGER>(i);
  SQLSetStmtAttr(statement.handle, SQL_ATTR_PARAMSET_SIZE, reinterpret_cast<SQLPOINTER>(ids.size()),
                 0);
  SQLPrepare(statement.handle, text("INSERT INTO copied (id, v) VALUES (?, 'x')"), SQL_NTS);
  SQLBindParameter(statement.handle, 1, SQL_PARAM_INPUT, SQL_C_SLONG, SQL_INTEGER, 0, 0, ids.data(),
                   0, nullptr);
  keep(statement.handle, SQLExecute(statement.handle), seen);
  Statement several(session);
  keep(
      several.handle,
      SQLExecDirect(several.handle, text("SELECT 1; SELECT name FROM items WHERE id = 1"), SQL_NTS),
      seen);
  keep(several.handle, SQLMoreResults(several.handle), seen);
  exec(session, seen, "SELECT count(*) FROM copied");
  return seen;
}

Seen cursors(const std::string& url) {
  Session session(url, "UseDeclareFetch=1;Fetch=7;");
  Seen seen;
  exec(session, seen, "SELECT id, name FROM items ORDER BY id");
  return seen;
}

Seen errors(const std::string& url) {
  Session session(url);
  Seen seen;
  for (const char* sql :
       {"SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC", "",
        "SELECT 'x'::mood", "INSERT INTO items SELECT * FROM items",
        "DO $$ BEGIN RAISE WARNING 'careful'; END $$"}) {
    exec(session, seen, sql);
  }
  return seen;
}

Seen cancel(const std::string& url) {
  Session session(url);
  Seen seen;
  {
    Statement statement(session);
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      SQLCancel(statement.handle);
    });
    const SQLRETURN outcome = SQLExecDirect(statement.handle, text("SELECT pg_sleep(30)"), SQL_NTS);
    later.join();
    keep(statement.handle, outcome, seen);
  }
  exec(session, seen, "SELECT name FROM items WHERE id = 1");
  return seen;
}

}  // namespace

int main(int, char** arguments) {
  contract::pgcache = arguments[1];
  contract::origin = arguments[2];
  contract::admin = arguments[3];
  SQLCHAR version[64];
  {
    Session session(contract::origin);
    SQLGetInfo(session.dbc, SQL_DRIVER_VER, version, sizeof version, nullptr);
  }
  contract::start(arguments, "psqlODBC", reinterpret_cast<char*>(version));
  contract::chapter("connect", connects);
  contract::chapter("types", types, static_cast<int>(contract::kKinds.size()) - 2);
  contract::chapter("round-trip", round_trip);
  contract::chapter("prepared", prepared, 9);
  contract::chapter("unprepared", unprepared, 9);
  contract::chapter("read-blocks", read_blocks, 6, 6);
  contract::chapter("transactions", transactions);
  contract::chapter("batches", batches);
  contract::chapter("cursors", cursors);
  contract::chapter("errors", errors);
  contract::chapter("cancel", cancel);
  std::printf("none copy: no part of ODBC\nnone notify: no part of ODBC\n");
  return contract::failed ? 1 : 0;
}
