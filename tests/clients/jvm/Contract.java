// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The contract of the client programs, for Java; as ../python/contract.py. */
final class Contract {
  static final String BY_ID = "SELECT id, name, price, added FROM items WHERE id = ?";
  static final List<String> KINDS = columns(
      """
      bool int2 int4 int8 numeric float4 float8 money oid text varchar bpchar char name bytea date time timetz
      timestamp timestamptz interval uuid json jsonb jsonpath xml inet cidr macaddr macaddr8 bit varbit point line
      lseg box path polygon circle int4range int8range numrange tsrange tstzrange daterange int4multirange tsvector
      tsquery pg_lsn int4_array text_array numeric_array timestamptz_array matrix enum domain composite""");
  static final List<String> SEARCHED = columns("int2 int4 int8 numeric text date time timestamp timestamptz uuid bytea");

  private static final Pattern SAMPLE =
      Pattern.compile("^pgcache_(?:queries_total\\{(.*)\\}|blocks_local_total) (\\S+)$", Pattern.MULTILINE);
  private static final Pattern LABEL = Pattern.compile("(\\w+)=\"([^\"]*)\"");
  private static final long PATIENCE_MS = 15_000;

  private final String pgcache;
  private final String origin;
  private final URI metrics;
  private final HttpClient http = HttpClient.newHttpClient();
  private boolean failed;

  Contract(String[] arguments, String client, String version) {
    pgcache = arguments[0];
    origin = arguments[1];
    metrics = URI.create(arguments[2] + "/metrics");
    System.out.println("client " + client + " " + version);
  }

  interface Chapter {
    void run(String url, List<String> seen) throws Exception;
  }

  static List<String> columns(String names) {
    return Arrays.stream(names.strip().split("\\s+")).map(name -> "k_" + name).toList();
  }

  static String jdbc(String url) {
    return url.replace("postgresql://postgres@", "jdbc:postgresql://") + "?user=postgres&sslmode=disable";
  }

  static Connection connect(String url, String parameters) throws SQLException {
    return DriverManager.getConnection(jdbc(url) + parameters);
  }

  static void discard(Connection session, String sql) throws SQLException {
    try (PreparedStatement statement = session.prepareStatement(sql)) {
      statement.execute();
    }
  }

  /** Executes one statement and keeps what it gave, or its error. */
  static void query(Connection session, List<String> seen, String sql, Object... values) throws SQLException {
    try (PreparedStatement statement = session.prepareStatement(sql)) {
      query(statement, seen, values);
    } catch (SQLException error) {
      seen.add(error.getSQLState() + " " + error.getMessage());
    }
  }

  static void query(PreparedStatement statement, List<String> seen, Object... values) throws SQLException {
    for (int i = 0; i < values.length; i++) {
      statement.setObject(i + 1, values[i]);
    }
    if (!statement.execute()) {
      seen.add("changed " + statement.getUpdateCount());
      return;
    }
    try (ResultSet rows = statement.getResultSet()) {
      keep(rows, seen);
    }
  }

  static void keep(ResultSet rows, List<String> seen) throws SQLException {
    while (rows.next()) {
      for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) {
        seen.add(rows.getMetaData().getColumnLabel(i) + " " + shown(rows.getObject(i)));
      }
    }
  }

  static String shown(Object value) throws SQLException {
    if (value instanceof byte[] bytes) {
      return Arrays.toString(bytes);
    }
    if (value instanceof Array array) {
      return Arrays.deepToString((Object[]) array.getArray());
    }
    if (value instanceof java.sql.SQLXML xml) {
      return xml.getString();
    }
    return value == null ? "null" : value.getClass().getSimpleName() + " " + value;
  }

  private Map<String, Long> routes() throws IOException, InterruptedException {
    String text = http.send(HttpRequest.newBuilder(metrics).build(), HttpResponse.BodyHandlers.ofString()).body();
    Map<String, Long> counts = new TreeMap<>();
    Matcher sample = SAMPLE.matcher(text);
    while (sample.find()) {
      String name = "local";
      if (sample.group(1) != null) {
        Map<String, String> labels = new TreeMap<>();
        Matcher label = LABEL.matcher(sample.group(1));
        while (label.find()) {
          labels.put(label.group(1), label.group(2));
        }
        String reason = labels.getOrDefault("reason", "");
        name = labels.get("route") + (reason.isEmpty() ? "" : ":" + reason);
      }
      counts.merge(name, (long) Double.parseDouble(sample.group(2)), Long::sum);
    }
    return counts;
  }

  private static List<String> run(Chapter work, String url) throws Exception {
    List<String> seen = new ArrayList<>();
    work.run(url, seen);
    return seen;
  }

  private Map<String, Long> attempt(Chapter work, List<String> expected) throws Exception {
    Map<String, Long> before = routes();
    List<String> seen = run(work, pgcache);
    for (int i = 0; i < Math.min(seen.size(), expected.size()); i++) {
      if (!seen.get(i).equals(expected.get(i))) {
        throw new AssertionError(
            "item " + i + ": the origin gave " + expected.get(i) + ", pgcache " + seen.get(i));
      }
    }
    if (seen.size() != expected.size()) {
      throw new AssertionError(expected.size() + " items from the origin, " + seen.size() + " through pgcache");
    }
    Map<String, Long> taken = new TreeMap<>();
    routes().forEach((name, n) -> taken.put(name, n - before.getOrDefault(name, 0L)));
    taken.values().removeIf(n -> n == 0);
    return taken;
  }

  private static boolean wanted(Map<String, Long> taken, int hits, int local) {
    boolean missed = taken.keySet().stream().anyMatch(name -> name.equals("miss") || name.startsWith("fallback"));
    return hits == 0
        || (taken.getOrDefault("hit", 0L) >= hits && taken.getOrDefault("local", 0L) >= local && !missed);
  }

  void chapter(String name, Chapter work) {
    chapter(name, 0, 0, work);
  }

  /** Runs it at the origin and through pgcache; hits and local as in the Python contract. */
  void chapter(String name, int hits, int local, Chapter work) {
    try {
      List<String> expected = run(work, origin);
      long deadline = System.currentTimeMillis() + PATIENCE_MS;
      Map<String, Long> taken = attempt(work, expected);
      while (!wanted(taken, hits, local)) {
        if (System.currentTimeMillis() > deadline) {
          throw new AssertionError(
              "routes " + taken + ", wanted at least hit " + hits + " local " + local + ", no miss");
        }
        Thread.sleep(100);
        taken = attempt(work, expected);
      }
      StringBuilder line = new StringBuilder("ok " + name);
      line.append(" hits ").append(taken.getOrDefault("hit", 0L));
      line.append(" local ").append(taken.getOrDefault("local", 0L));
      taken.remove("hit");
      taken.remove("local");
      taken.forEach((route, n) -> line.append(" ").append(route).append(" ").append(n));
      System.out.println(line);
    } catch (Exception | AssertionError error) {
      failed = true;
      error.printStackTrace(System.out);
      System.out.println("FAILED " + name + ": " + error);
    }
  }

  void finish() {
    System.out.flush();
    System.exit(failed ? 1 : 0);
  }
}
