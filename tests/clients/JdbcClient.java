// SPDX-License-Identifier: Apache-2.0
// The JDBC driver: unnamed statements first, named and binary ones from the fifth use on, BEGIN in the
// same exchange as the first query, cursors by fetch size, batches, COPY, large objects by function
// call messages.
//
// Usage: java -cp postgresql.jar JdbcClient.java PORT ADMIN_PORT ORIGIN_PORT

import java.math.BigDecimal;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.*;
import java.util.*;
import java.util.regex.*;

public class JdbcClient {
  static final Pattern SAMPLE =
      Pattern.compile("^pgcache_queries_total\\{reason=\"(.*)\",route=\"(.*)\"\\} (\\S+)$"
                      + "|^pgcache_queries_total\\{route=\"(.*)\",reason=\"(.*)\"\\} (\\S+)$",
                      Pattern.MULTILINE);
  static String admin;

  interface Work { void run() throws Exception; }

  static Map<String, Long> routes() throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(admin + "/metrics")).build();
    String text = HttpClient.newHttpClient()
        .send(request, HttpResponse.BodyHandlers.ofString()).body();
    Map<String, Long> counts = new TreeMap<>();
    Matcher m = SAMPLE.matcher(text);
    while (m.find()) {
      boolean reasonFirst = m.group(2) != null;
      String route = reasonFirst ? m.group(2) : m.group(4);
      String reason = reasonFirst ? m.group(1) : m.group(5);
      long count = (long) Double.parseDouble(reasonFirst ? m.group(3) : m.group(6));
      counts.merge(reason.isEmpty() ? route : route + ":" + reason, count, Long::sum);
    }
    return counts;
  }

  static String taken(Work work) throws Exception {
    Map<String, Long> before = routes();
    work.run();
    StringBuilder text = new StringBuilder();
    for (Map.Entry<String, Long> e : routes().entrySet()) {
      long count = e.getValue() - before.getOrDefault(e.getKey(), 0L);
      if (count != 0) text.append(text.isEmpty() ? "" : " ").append(e.getKey()).append('*').append(count);
    }
    return text.toString();
  }

  static void expect(String wanted, Work work) throws Exception {
    String got = taken(work);
    check(got.equals(wanted), "routes " + got + ", expected " + wanted);
  }

  static void check(boolean fact, String otherwise) {
    if (!fact) throw new AssertionError(otherwise);
  }

  static String ask(PreparedStatement statement, int id) throws SQLException {
    statement.setInt(1, id);
    try (ResultSet rows = statement.executeQuery()) {
      return rows.next() ? rows.getString(1) : null;
    }
  }

  static void untilHit(Work work) throws Exception {
    String last = "";
    for (int i = 0; i < 500; ++i) {
      last = taken(work);
      if (last.equals("hit*1")) return;
      Thread.sleep(20);
    }
    throw new AssertionError("never a hit, last " + last);
  }

  static void reads(Connection session) throws Exception {
    try (PreparedStatement read =
             session.prepareStatement("SELECT name FROM items WHERE id = ?")) {
      untilHit(() -> ask(read, 20));
      // From the unnamed statement to a named one: its Parse goes to the origin once.
      for (int i = 0; i < 10; ++i) check(ask(read, 20).equals("item 20"), "item 20");
      untilHit(() -> ask(read, 20));
      expect("hit*20", () -> {
        for (int i = 0; i < 20; ++i) check(ask(read, 20).equals("item 20"), "item 20");
      });
      check(ask(read, 999) == null, "no row");
    }
  }

  static void types(Connection session) throws Exception {
    String sql = "SELECT n, b, u, at, d, flag, big, a, nothing FROM kinds WHERE id = ?";
    try (PreparedStatement read = session.prepareStatement(sql)) {
      for (int i = 0; i < 10; ++i) {
        read.setInt(1, 1);
        try (ResultSet row = read.executeQuery()) {
          row.next();
          check(row.getBigDecimal(1).equals(new BigDecimal("12.50")), "numeric");
          check(Arrays.equals(row.getBytes(2), new byte[] {0, -1}), "bytea");
          check(row.getObject(3).equals(UUID.fromString("5e0c3b1e-4a7e-4b68-9d2d-0a4f1b2c3d4e")), "uuid");
          check(row.getTimestamp(4).toInstant().toString().equals("2024-02-29T12:00:00Z"), "timestamptz");
          check(row.getDate(5).toString().equals("2024-02-29"), "date");
          check(row.getBoolean(6), "bool");
          check(row.getLong(7) == 1L << 40, "bigint");
          check(Arrays.equals((Integer[]) row.getArray(8).getArray(), new Integer[] {1, null, 3}), "array");
          check(row.getString(9) == null && row.wasNull(), "null");
        }
      }
      untilHit(() -> read.executeQuery().close());
    }
  }

  static void transactions(Connection session) throws Exception {
    session.setAutoCommit(false);
    try (PreparedStatement read = session.prepareStatement("SELECT name FROM items WHERE id = ?");
         Statement statement = session.createStatement()) {
      check(ask(read, 21).equals("item 21"), "item 21");
      statement.executeUpdate("UPDATE items SET name = 'mine' WHERE id = 21");
      check(ask(read, 21).equals("mine"), "own write in the block");
      Savepoint point = session.setSavepoint();
      statement.executeUpdate("DELETE FROM items WHERE id = 21");
      session.rollback(point);
      check(ask(read, 21).equals("mine"), "after the savepoint");
      session.rollback();
      check(ask(read, 21).equals("item 21"), "after the rollback");
      session.commit();
      // A cursor: a portal fetched in parts.
      try (PreparedStatement all = session.prepareStatement("SELECT id FROM items ORDER BY id")) {
        all.setFetchSize(7);
        Work fetch = () -> {
          int rows = 0;
          try (ResultSet set = all.executeQuery()) {
            while (set.next()) check(set.getInt(1) == ++rows, "order of the cursor");
          }
          check(rows == 100, "rows of the cursor: " + rows);
        };
        fetch.run();
        session.commit();
        // From memory, part by part, once the write before is applied. The fifth execution names its
        // statement, which the server learns.
        int served = 0;
        StringBuilder routes = new StringBuilder();
        for (int i = 0; i < 100 && served < 8; ++i) {
          String route = taken(fetch);
          if (route.equals("hit*15")) ++served;
          else routes.append(route).append("; ");
          session.commit();
          if (served == 0) Thread.sleep(20);
        }
        check(served == 8, "cursors not from memory: " + routes);
      }
      session.commit();
    } finally {
      session.setAutoCommit(true);
    }
  }

  static void cleanBlock(Connection session) throws Exception {
    try (PreparedStatement read = session.prepareStatement("SELECT name FROM items WHERE id = ?")) {
      untilHit(() -> ask(read, 24));
      session.setAutoCommit(false);
      for (int i = 0; i < 6; ++i) ask(read, 24);
      Map<String, Long> before = routes();
      for (int i = 0; i < 10; ++i) check(ask(read, 24).equals("item 24"), "in the block");
      check(routes().get("hit") - before.get("hit") == 10, "hits in a clean block: " + routes());
      session.commit();
    } finally {
      session.setAutoCommit(true);
    }
  }

  static void writes(Connection session) throws Exception {
    try (PreparedStatement write = session.prepareStatement("UPDATE counters SET n = ? WHERE id = 1");
         PreparedStatement read = session.prepareStatement("SELECT n FROM counters WHERE id = ?")) {
      for (int i = 0; i < 100; ++i) {
        write.setInt(1, i);
        check(write.executeUpdate() == 1, "one row");
        check(ask(read, 1).equals(String.valueOf(i)), "own write " + i);
      }
    }
    session.createStatement().execute("TRUNCATE copied");
    try (PreparedStatement insert = session.prepareStatement("INSERT INTO copied VALUES (?, ?)")) {
      for (int i = 0; i < 500; ++i) {
        insert.setInt(1, i);
        insert.setString(2, "batch");
        insert.addBatch();
      }
      check(insert.executeBatch().length == 500, "batch");
    }
    try (PreparedStatement keys = session.prepareStatement(
             "INSERT INTO copied VALUES (1000, 'k')", Statement.RETURN_GENERATED_KEYS)) {
      keys.executeUpdate();
      ResultSet made = keys.getGeneratedKeys();
      check(made.next() && made.getInt(1) == 1000, "generated keys");
    }
    try (PreparedStatement count = session.prepareStatement("SELECT count(*) FROM copied WHERE id >= ?")) {
      check(ask(count, 0).equals("501"), "rows of the batch");
    }
    try (PreparedStatement limited = session.prepareStatement("SELECT id FROM copied ORDER BY id")) {
      limited.setMaxRows(3);
      Work three = () -> {
        int rows = 0;
        for (ResultSet set = limited.executeQuery(); set.next();) ++rows;
        check(rows == 3, "max rows");
      };
      three.run();
      untilHit(three);
    }
  }

  static void errors(Connection session) throws Exception {
    for (int i = 0; i < 8; ++i) {
      try (PreparedStatement bad = session.prepareStatement("SELECT 1 / (id - ?) FROM items WHERE id = 25")) {
        ask(bad, 25);
        check(false, "no error");
      } catch (SQLException e) {
        check(e.getSQLState().equals("22012"), e.getSQLState());
      }
    }
    try (Statement slow = session.createStatement()) {
      slow.setQueryTimeout(1);
      slow.execute("SELECT pg_sleep(20)");
      check(false, "no time-out");
    } catch (SQLException e) {
      check(e.getSQLState().equals("57014"), e.getSQLState());
    }
    try (Statement several = session.createStatement()) {
      several.execute("SELECT 1; SELECT 2");
      check(several.getMoreResults(), "a second result");
    }
  }

  static void largeObject(Connection session) throws Exception {
    session.setAutoCommit(false);
    org.postgresql.largeobject.LargeObjectManager manager =
        session.unwrap(org.postgresql.PGConnection.class).getLargeObjectAPI();
    long oid = manager.createLO();
    org.postgresql.largeobject.LargeObject object = manager.open(oid);
    byte[] bytes = new byte[300000];
    new Random(1).nextBytes(bytes);
    object.write(bytes);
    object.seek(0);
    check(Arrays.equals(object.read(bytes.length), bytes), "large object");
    object.close();
    session.rollback();
    session.setAutoCommit(true);
  }

  public static void main(String[] args) throws Exception {
    admin = "http://127.0.0.1:" + args[1];
    String url = "jdbc:postgresql://127.0.0.1:" + args[0]
        + "/postgres?user=postgres&sslmode=disable&gssEncMode=disable";
    try (Connection session = DriverManager.getConnection(url)) {
      reads(session);
      types(session);
      cleanBlock(session);
      transactions(session);
      writes(session);
      errors(session);
      largeObject(session);
    }
    try (Connection simple = DriverManager.getConnection(url + "&preferQueryMode=simple")) {
      PreparedStatement read = simple.prepareStatement("SELECT name FROM items WHERE id = ?");
      untilHit(() -> ask(read, 30));
    }
    System.out.println("jdbc ok");
  }
}
