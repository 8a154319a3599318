// SPDX-License-Identifier: Apache-2.0

import static java.util.Collections.nCopies;

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Timer;
import java.util.TimerTask;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

/**
 * pgjdbc: the extended protocol in each of its query modes, statements that become named at the fifth execution, BEGIN
 * in front of the first statement in one exchange. A fetch size or a row limit is a portal with a limit.
 */
final class Jdbc {
  private Jdbc() {}

  static void connect(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "&ApplicationName=jdbc&options=-c%20statement_timeout=60s")) {
      seen.add(session.getMetaData().getDatabaseProductVersion() + session.isValid(5) + session.getSchema());
      Contract.query(session, seen, "SHOW application_name");
      Contract.query(session, seen, "SHOW statement_timeout");
      Contract.query(session, seen, "SELECT added::text FROM items WHERE id = 1");
      try (ResultSet columns = session.getMetaData().getColumns(null, "public", "kinds", "%")) {
        Contract.keep(columns, seen);
      }
    }
  }

  static Contract.Chapter types(String parameters) {
    return (url, seen) -> {
      try (Connection session = Contract.connect(url, parameters)) {
        for (String column : Contract.KINDS) {
          Contract.query(session, new ArrayList<>(), "SELECT " + column + " FROM kinds WHERE id = 1");
        }
        Thread.sleep(500); // what it asks for to learn of the types counts as possible writes
        for (String column : Contract.KINDS) {
          Contract.query(session, seen, "SELECT " + column + " FROM kinds ORDER BY id");
        }
      }
    };
  }

  static void roundTrip(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "&prepareThreshold=1&stringtype=unspecified")) {
      Contract.query(session, seen, "TRUNCATE kinds_back");
      Contract.query(session, seen, "INSERT INTO kinds_back (id) SELECT id FROM kinds");
      for (String column : Contract.KINDS) {
        for (int row = 1; row <= 3; row++) {
          Object value;
          try (Statement statement = session.createStatement();
              ResultSet rows = statement.executeQuery("SELECT " + column + " FROM kinds WHERE id = " + row)) {
            rows.next();
            value = rows.getObject(1);
          } catch (SQLException error) {
            seen.add(error.getMessage());
            continue;
          }
          Contract.query(session, seen, "UPDATE kinds_back SET " + column + " = ? WHERE id = " + row, value);
          Contract.query(session, seen, "SELECT " + column + "::text FROM kinds_back WHERE id = ?", row);
        }
      }
    }
  }

  static void searches(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "")) {
      for (String column : Contract.SEARCHED) {
        Object value;
        try (Statement statement = session.createStatement();
            ResultSet rows = statement.executeQuery("SELECT " + column + " FROM kinds WHERE id = 1")) {
          rows.next();
          value = rows.getObject(1);
        }
        Contract.query(session, seen, "SELECT id FROM kinds WHERE " + column + " = ?", value);
      }
      Contract.query(session, seen, "SELECT id FROM items WHERE id = ANY(?)",
          session.createArrayOf("int4", new Integer[] {1, 2, 3}));
    }
  }

  /** The same statement again and again, over the threshold from which it has a name. */
  static Contract.Chapter prepared(String parameters) {
    return (url, seen) -> {
      try (Connection session = Contract.connect(url, parameters);
          PreparedStatement statement = session.prepareStatement(Contract.BY_ID)) {
        for (int i = 1; i <= 12; i++) {
          Contract.query(statement, seen, i);
        }
      }
    };
  }

  static void readBlocks(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "")) {
      session.setAutoCommit(false);
      for (int i = 1; i <= 7; i++) {
        Contract.query(session, seen, "SELECT name FROM items WHERE id = " + i);
        if (i % 2 == 0) {
          session.commit();
        } else {
          session.rollback();
        }
      }
    }
  }

  static void readOnlyBlocks(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "")) {
      session.setReadOnly(true);
      session.setAutoCommit(false);
      for (int i = 1; i <= 7; i++) {
        Contract.query(session, seen, "SELECT name FROM items WHERE id = " + i);
        session.commit();
      }
    }
  }

  static void transactions(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "")) {
      session.setAutoCommit(false);
      Contract.discard(session, "DELETE FROM written");
      Contract.query(session, seen, "INSERT INTO written VALUES (?, ?)", 1, "one");
      Savepoint savepoint = session.setSavepoint("s");
      Contract.query(session, seen, "INSERT INTO written VALUES (?, ?)", 1, "again");
      session.rollback(savepoint);
      Contract.query(session, seen, "SELECT * FROM written");
      session.commit();
      for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ,
          Connection.TRANSACTION_SERIALIZABLE}) {
        session.setTransactionIsolation(level);
        Contract.query(session, seen, "SELECT * FROM written");
        session.commit();
      }
      session.setAutoCommit(true);
      Contract.query(session, seen, "SELECT * FROM written");
    }
    try (Connection session = Contract.connect(url, "&autosave=always")) {
      session.setAutoCommit(false);
      Contract.query(session, seen, "SELECT 1 / 0");
      Contract.query(session, seen, Contract.BY_ID, 1);
      session.commit();
    }
  }

  static Contract.Chapter batches(String parameters) {
    return (url, seen) -> {
      try (Connection session = Contract.connect(url, parameters)) {
        Contract.query(session, seen, "TRUNCATE copied");
        try (PreparedStatement batch = session.prepareStatement("INSERT INTO copied (id, v) VALUES (?, ?)")) {
          for (int i = 0; i < 1000; i++) {
            batch.setInt(1, i);
            batch.setString(2, "x".repeat(i % 100));
            batch.addBatch();
          }
          seen.add("" + batch.executeBatch().length);
          for (int i : new int[] {2000, 2001, 1, 2002}) {
            batch.setInt(1, i);
            batch.setString(2, "again");
            batch.addBatch();
          }
          seen.add("" + batch.executeBatch().length);
        } catch (BatchUpdateException error) {
          seen.add(error.getSQLState() + error.getUpdateCounts().length + error.getNextException());
        }
        try (Statement statement = session.createStatement()) {
          statement.addBatch("UPDATE copied SET v = 'a' WHERE id = 1");
          statement.addBatch("UPDATE copied SET v = 'b' WHERE id = 2");
          seen.add(statement.executeBatch().length + "");
          boolean more = statement.execute("SELECT 1; SELECT name FROM items WHERE id = 1; SELECT 3");
          for (; more; more = statement.getMoreResults()) {
            Contract.keep(statement.getResultSet(), seen);
          }
        }
        Contract.query(session, seen, "SELECT count(*), sum(length(v)) FROM copied");
      }
    };
  }

  static void cursors(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "")) {
      session.setAutoCommit(false);
      try (PreparedStatement statement = session.prepareStatement("SELECT id, name FROM items WHERE id > ? ORDER BY id")) {
        statement.setFetchSize(7);
        Contract.query(statement, seen, 10);
        statement.setFetchSize(0);
        statement.setMaxRows(5);
        Contract.query(statement, seen, 10);
      }
      session.commit();
      try (Statement statement =
              session.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
          ResultSet rows = statement.executeQuery("SELECT id, name FROM owners ORDER BY id")) {
        rows.absolute(3);
        seen.add(rows.getString(2));
        rows.updateString(2, rows.getString(2));
        rows.updateRow();
      }
      session.rollback();
    }
  }

  static void copy(String url, List<String> seen) throws Exception {
    try (Connection session = Contract.connect(url, "")) {
      Contract.query(session, seen, "TRUNCATE copied");
      CopyManager copies = session.unwrap(PGConnection.class).getCopyAPI();
      StringBuilder rows = new StringBuilder();
      for (int i = 0; i < 3000; i++) {
        rows.append(i).append('\t').append("x".repeat(i % 300)).append("\t0.5\n");
      }
      seen.add("" + copies.copyIn("COPY copied FROM STDIN", new StringReader(rows.toString())));
      for (String form : List.of("TEXT", "BINARY")) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        seen.add("" + copies.copyOut("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT (FORMAT " + form + ")", out));
        seen.add(out.toString("ISO-8859-1"));
      }
      try {
        copies.copyIn("COPY copied FROM STDIN", new StringReader("1\tagain\t2\n"));
      } catch (SQLException error) {
        seen.add(error.getSQLState() + error.getMessage());
      }
      Contract.query(session, seen, "SELECT count(*) FROM copied");
    }
  }

  static void errors(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "&logServerErrorDetail=true")) {
      for (String sql : List.of("SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
          "INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood", "SELECT * FROM absent")) {
        for (String text : nCopies(2, sql)) {
          Contract.query(session, seen, text);
        }
      }
      try (Statement statement = session.createStatement()) {
        statement.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$");
        seen.add("" + statement.getWarnings());
      }
      session.setAutoCommit(false);
      Contract.query(session, seen, "SELECT 1 / 0");
      Contract.query(session, seen, Contract.BY_ID, 1);
      session.rollback();
      Contract.query(session, seen, Contract.BY_ID, 1);
    }
  }

  static void cancel(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "");
        Statement statement = session.createStatement()) {
      new Timer(true).schedule(new TimerTask() {
        @Override
        public void run() {
          try {
            statement.cancel();
          } catch (SQLException error) {
            throw new IllegalStateException(error);
          }
        }
      }, 300);
      try {
        statement.execute("SELECT pg_sleep(30)");
      } catch (SQLException error) {
        seen.add(error.getMessage());
      }
      statement.setQueryTimeout(1);
      try {
        statement.execute("SELECT pg_sleep(30)");
      } catch (SQLException error) {
        seen.add(error.getMessage());
      }
      Contract.query(session, seen, Contract.BY_ID, 1);
    }
  }

  static void listen(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "");
        Connection other = Contract.connect(url, "")) {
      Contract.query(session, seen, "LISTEN news");
      for (int i = 0; i < 3; i++) {
        Contract.query(other, seen, "NOTIFY news, 'number " + i + "'");
      }
      for (int n = 0; n < 3;) {
        PGNotification[] got = session.unwrap(PGConnection.class).getNotifications(10_000);
        for (PGNotification notification : got == null ? new PGNotification[0] : got) {
          seen.add(notification.getName() + notification.getParameter());
        }
        n += got == null ? 3 : got.length;
      }
    }
  }

  static void largeObjects(String url, List<String> seen) throws SQLException {
    try (Connection session = Contract.connect(url, "")) {
      session.setAutoCommit(false);
      var objects = session.unwrap(PGConnection.class).getLargeObjectAPI();
      long oid = objects.createLO();
      try (var object = objects.open(oid)) {
        object.write(new byte[30_000]);
        object.seek(10_000);
        seen.add("" + object.read(50_000).length);
      }
      objects.delete(oid);
      session.commit();
    }
  }

  public static void main(String[] arguments) {
    Contract contract = new Contract(arguments, "pgjdbc", org.postgresql.util.DriverInfo.DRIVER_VERSION);
    contract.chapter("connect", Jdbc::connect);
    int kinds = Contract.KINDS.size();
    contract.chapter("types", kinds, 0, types(""));
    contract.chapter("types-simple", kinds, 0, types("&preferQueryMode=simple"));
    contract.chapter("types-binary", types("&prepareThreshold=-1"));
    contract.chapter("round-trip", Jdbc::roundTrip);
    contract.chapter("searches", 2 * Contract.SEARCHED.size() + 1, 0, Jdbc::searches);
    contract.chapter("prepared", 11, 0, prepared(""));
    contract.chapter("prepared-extended", 11, 0, prepared("&preferQueryMode=extendedForPrepared"));
    contract.chapter("prepared-simple", 12, 0, prepared("&preferQueryMode=simple"));
    contract.chapter("prepared-never", 12, 0, prepared("&prepareThreshold=0"));
    contract.chapter("read-blocks", 7, 5, Jdbc::readBlocks);
    contract.chapter("read-only-blocks", 7, 5, Jdbc::readOnlyBlocks);
    contract.chapter("transactions", Jdbc::transactions);
    contract.chapter("batches", batches(""));
    contract.chapter("batches-rewritten", batches("&reWriteBatchedInserts=true"));
    contract.chapter("cursors", Jdbc::cursors);
    contract.chapter("copy", Jdbc::copy);
    contract.chapter("errors", Jdbc::errors);
    contract.chapter("cancel", Jdbc::cancel);
    contract.chapter("notify", Jdbc::listen);
    contract.chapter("large-objects", Jdbc::largeObjects);
    contract.finish();
  }
}
