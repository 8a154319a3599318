// SPDX-License-Identifier: Apache-2.0

import io.netty.buffer.Unpooled;
import io.r2dbc.pool.ConnectionPool;
import io.r2dbc.pool.ConnectionPoolConfiguration;
import io.r2dbc.postgresql.PostgresqlConnectionConfiguration;
import io.r2dbc.postgresql.PostgresqlConnectionFactory;
import io.r2dbc.postgresql.api.ErrorDetails;
import io.r2dbc.postgresql.api.PostgresqlConnection;
import io.r2dbc.postgresql.api.PostgresqlException;
import io.r2dbc.postgresql.api.PostgresqlStatement;
import io.r2dbc.postgresql.codec.Json;
import io.r2dbc.spi.Connection;
import io.r2dbc.spi.IsolationLevel;
import io.r2dbc.spi.Readable;
import io.r2dbc.spi.Result;
import io.r2dbc.spi.RowMetadata;
import io.r2dbc.spi.Statement;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** R2DBC: its own protocol, a cache of named statements, an exchange with a Flush in front of the Sync, fetch sizes. */
final class R2dbc {
  private static final String BY_ID = "SELECT id, name, price, added FROM items WHERE id = $1";
  private static final Duration LIMIT = Duration.ofSeconds(30);

  private R2dbc() {}

  interface Work {
    void run(PostgresqlConnection session, List<String> seen) throws Exception;
  }

  interface Settings {
    void apply(PostgresqlConnectionConfiguration.Builder options);
  }

  static PostgresqlConnectionConfiguration.Builder options(String url) {
    URI parts = URI.create(url);
    return PostgresqlConnectionConfiguration.builder().host(parts.getHost()).port(parts.getPort()).username("postgres")
        .database("postgres");
  }

  static PostgresqlConnection connect(PostgresqlConnectionConfiguration.Builder options) {
    return new PostgresqlConnectionFactory(options.build()).create().block(LIMIT);
  }

  static Contract.Chapter with(Settings settings, Work work) {
    return (url, seen) -> {
      PostgresqlConnectionConfiguration.Builder options = options(url);
      settings.apply(options);
      PostgresqlConnection session = connect(options);
      work.run(session, seen);
      session.close().block(LIMIT);
    };
  }

  static Contract.Chapter with(Work work) {
    return with(options -> {}, work);
  }

  static String shown(Object value) {
    if (value instanceof byte[] bytes) {
      return Arrays.toString(bytes);
    }
    if (value instanceof ByteBuffer bytes) {
      byte[] copy = new byte[bytes.remaining()];
      bytes.duplicate().get(copy);
      return Arrays.toString(copy);
    }
    if (value instanceof Object[] array) {
      return Arrays.stream(array).map(R2dbc::shown).toList().toString();
    }
    if (value instanceof Json json) {
      return "Json " + json.asString();
    }
    return value == null ? "null" : value.getClass().getSimpleName() + " " + value;
  }

  static String shown(Readable row, RowMetadata of) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < of.getColumnMetadatas().size(); i++) {
      String value;
      try {
        value = shown(row.get(i));
      } catch (RuntimeException error) {
        value = error.getClass().getSimpleName(); // an unknown host's message is not always the same
      }
      text.append(of.getColumnMetadata(i).getName()).append(' ').append(value).append("; ");
    }
    return text.toString();
  }

  /** What each result of a statement or batch consists of, with the errors in their places. */
  static Flux<String> all(Publisher<? extends Result> results) {
    return Flux.from(results).concatMap(result -> result.flatMap(segment -> {
      if (segment instanceof Result.RowSegment row) {
        return Mono.just(shown(row.row(), row.row().getMetadata()));
      }
      if (segment instanceof Result.UpdateCount count) {
        return Mono.just("count " + count.value());
      }
      if (segment instanceof Result.Message message) {
        return Mono.just("message " + told(message.exception()));
      }
      return Mono.just(segment.getClass().getSimpleName());
    })).onErrorResume(error -> Mono.just(told(error)));
  }

  static void query(Connection session, List<String> seen, String sql, Object... values) {
    try {
      Statement statement = session.createStatement(sql);
      for (int i = 0; i < values.length; i++) {
        statement.bind(i, values[i]);
      }
      seen.addAll(all(statement.execute()).collectList().block(LIMIT));
    } catch (RuntimeException error) {
      seen.add(told(error));
    }
  }

  static String told(Throwable error) {
    if (error instanceof PostgresqlException of) {
      ErrorDetails details = of.getErrorDetails();
      return details.getSeverityLocalized() + "|" + details.getCode() + "|" + details.getMessage() + "|" + details.getDetail()
          + "|" + details.getHint() + "|" + details.getPosition() + "|" + details.getWhere() + "|" + details.getConstraintName()
          + "|" + details.getTableName() + "|" + details.getColumnName();
    }
    return error.getClass().getSimpleName() + " " + error.getMessage();
  }

  static void start(String url, List<String> seen) {
    PostgresqlConnection session = connect(options(url).applicationName("r2dbc").options(Map.of("TimeZone", "Asia/Tokyo")));
    seen.add(session.getMetadata().getDatabaseVersion() + " " + session.getTransactionIsolationLevel());
    query(session, seen, "SHOW application_name");
    query(session, seen, "SELECT added::text FROM items WHERE id = 1");
    session.close().block(LIMIT);
    for (PostgresqlConnectionConfiguration.Builder wrong : List.of(options(url).database("absent"),
        options(url).username("nobody"), options(url).options(Map.of("DateStyle", "none")))) {
      try {
        connect(wrong);
      } catch (RuntimeException error) {
        seen.add(told(error));
      }
    }
  }

  static void types(PostgresqlConnection session, List<String> seen) {
    for (String column : Contract.KINDS) {
      query(session, seen, "SELECT " + column + " FROM kinds ORDER BY id");
      query(session, seen, "SELECT " + column + " FROM kinds WHERE id < $1 ORDER BY id", 10);
    }
  }

  static void roundTrip(PostgresqlConnection session, List<String> seen) {
    query(session, seen, "TRUNCATE kinds_back");
    query(session, seen, "INSERT INTO kinds_back (id) SELECT id FROM kinds");
    for (String column : Contract.KINDS) {
      for (int row = 1; row <= 3; row++) {
        try {
          List<Object> value = Flux.from(session.createStatement("SELECT " + column + " FROM kinds WHERE id = $1 AND "
              + column + " IS NOT NULL").bind(0, row).execute()).flatMap(r -> r.map((line, of) -> line.get(0))).collectList()
              .block(LIMIT);
          if (!value.isEmpty()) {
            query(session, seen, "UPDATE kinds_back SET " + column + " = $1 WHERE id = $2", value.get(0), row);
          }
        } catch (RuntimeException error) {
          seen.add(column + " " + told(error));
        }
        query(session, seen, "SELECT " + column + "::text FROM kinds_back WHERE id = $1", row);
      }
    }
  }

  static void searches(PostgresqlConnection session, List<String> seen) {
    for (String column : Contract.SEARCHED) {
      Object value = Flux.from(session.createStatement("SELECT " + column + " FROM kinds WHERE id = 1").execute())
          .flatMap(result -> result.map((row, of) -> row.get(0))).blockFirst(LIMIT);
      query(session, seen, "SELECT id FROM kinds WHERE " + column + " = $1", value);
    }
    query(session, seen, "SELECT id FROM items WHERE id = ANY($1) ORDER BY id", (Object) new Integer[] {1, 2, 3});
  }

  static void parameters(PostgresqlConnection session, List<String> seen) {
    for (int i = 1; i <= 10; i++) {
      query(session, seen, BY_ID, i);
    }
  }

  static void simple(PostgresqlConnection session, List<String> seen) {
    for (int i = 1; i <= 10; i++) {
      query(session, seen, "SELECT name FROM items WHERE id = " + i);
    }
  }

  /** One statement with many values: each execution as it comes. */
  static void bindings(PostgresqlConnection session, List<String> seen) {
    PostgresqlStatement statement = session.createStatement(BY_ID);
    for (int i = 1; i <= 10; i++) {
      statement.bind("$1", i);
      if (i < 10) {
        statement.add();
      }
    }
    seen.addAll(all(statement.execute()).collectList().block(LIMIT));
  }

  static void fetchSizes(PostgresqlConnection session, List<String> seen) {
    for (int size : new int[] {0, 1, 7, 30, 1000}) {
      PostgresqlStatement statement = session.createStatement("SELECT id, name FROM items WHERE id > $1 ORDER BY id").bind(0, 5)
          .fetchSize(size);
      seen.addAll(all(statement.execute()).collectList().block(LIMIT));
      seen.addAll(all(session.createStatement(BY_ID).bind(0, 3).fetchSize(size).execute()).collectList().block(LIMIT));
      seen.addAll(Flux.from(statement.bind(0, 6).execute()).flatMap(r -> r.map((row, of) -> shown(row, of))).take(3).collectList()
          .block(LIMIT)); // the rest is given up
    }
  }

  static void readBlocks(PostgresqlConnection session, List<String> seen) {
    query(session, seen, BY_ID, 1);
    for (int i = 1; i <= 7; i++) {
      session.beginTransaction().block(LIMIT);
      query(session, seen, BY_ID, i);
      (i % 2 == 0 ? session.commitTransaction() : session.rollbackTransaction()).block(LIMIT);
    }
  }

  static void transactions(PostgresqlConnection session, List<String> seen) {
    query(session, seen, "TRUNCATE written");
    for (int round = 0; round < 2; round++) {
      session.beginTransaction().block(LIMIT);
      query(session, seen, "INSERT INTO written VALUES ($1, $2)", round, "one");
      session.createSavepoint("s").block(LIMIT);
      query(session, seen, "INSERT INTO written VALUES ($1, $2)", round, "two");
      query(session, seen, "SELECT name FROM items WHERE id = 1");
      session.rollbackTransactionToSavepoint("s").block(LIMIT);
      query(session, seen, "SELECT * FROM written ORDER BY id FOR UPDATE SKIP LOCKED");
      session.releaseSavepoint("s").block(LIMIT);
      (round == 0 ? session.commitTransaction() : session.rollbackTransaction()).block(LIMIT);
      query(session, seen, "SELECT * FROM written ORDER BY id");
    }
    for (IsolationLevel level : List.of(IsolationLevel.READ_COMMITTED, IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE)) {
      session.beginTransaction(level).block(LIMIT);
      query(session, seen, "SHOW transaction_isolation");
      query(session, seen, "SELECT * FROM written ORDER BY id");
      session.commitTransaction().block(LIMIT);
    }
    session.beginTransaction().block(LIMIT);
    query(session, seen, "SELECT 1 / 0");
    try {
      session.commitTransaction().block(LIMIT);
    } catch (RuntimeException error) {
      seen.add(told(error));
    }
    query(session, seen, BY_ID, 1);
  }

  static void batches(PostgresqlConnection session, List<String> seen) {
    query(session, seen, "TRUNCATE copied");
    PostgresqlStatement statement = session.createStatement("INSERT INTO copied (id, v) VALUES ($1, $2)");
    for (int i = 0; i < 300; i++) {
      statement.bind(0, i).bind(1, "v" + i);
      if (i < 299) {
        statement.add();
      }
    }
    seen.addAll(all(statement.execute()).collectList().block(LIMIT));
    query(session, seen, "SELECT count(*), sum(length(v)) FROM copied");
    seen.addAll(all(session.createBatch().add("SELECT name FROM items WHERE id = 1").add("DELETE FROM copied WHERE id < 10")
        .add("SELECT count(*) FROM copied").execute()).collectList().block(LIMIT));
    query(session, seen, "SELECT 1; SELECT name FROM items WHERE id = 1; SELECT 1 / 0");
    seen.addAll(all(session.createStatement("INSERT INTO copied (id) VALUES (5) ON CONFLICT DO NOTHING").returnGeneratedValues("id")
        .execute()).collectList().block(LIMIT));
  }

  static void copy(PostgresqlConnection session, List<String> seen) {
    query(session, seen, "TRUNCATE copied");
    for (int first : new int[] {0, 2000, 0}) {
      StringBuilder text = new StringBuilder();
      for (int i = first; i < first + 2000; i++) {
        text.append(i).append("\tv").append(i).append('\t').append(i).append(".5\n");
      }
      try {
        ByteBuffer bytes = ByteBuffer.wrap(text.toString().getBytes(StandardCharsets.UTF_8));
        seen.add("copied " + session.copyIn("COPY copied FROM STDIN",
            Mono.just(Unpooled.wrappedBuffer(bytes))).block(LIMIT));
      } catch (RuntimeException error) {
        seen.add(told(error));
      }
    }
    query(session, seen, "SELECT count(*), sum(n) FROM copied");
  }

  static void failures(PostgresqlConnection session, List<String> seen) {
    for (String text : List.of("SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
        "INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood", "SELECT * FROM absent", "",
        "INSERT INTO items VALUES (1000, 'x', 1, now(), 1000)", "INSERT INTO items (id) VALUES (1000)")) {
      query(session, seen, text);
      query(session, seen, text);
    }
    for (String text : List.of("SELECT nothing FROM items WHERE id = $1", "SELECT 1 / (id - $1) FROM items WHERE id = 5", BY_ID)) {
      query(session, seen, text, 5);
      query(session, seen, text, "five");
      query(session, seen, text, 5L);
      query(session, seen, text, 5);
    }
    query(session, seen, "DO $$ BEGIN RAISE NOTICE 'noted'; END $$");
  }

  static void cancel(PostgresqlConnection session, List<String> seen) throws InterruptedException {
    long began = System.nanoTime();
    CompletableFuture<List<String>> result =
        all(session.createStatement("SELECT pg_sleep(30)").execute()).collectList().toFuture();
    Thread.sleep(300);
    session.cancelRequest().block(LIMIT);
    seen.addAll(result.join());
    seen.add(String.valueOf(System.nanoTime() - began < 10_000_000_000L));
    session.setStatementTimeout(Duration.ofMillis(100)).block(LIMIT);
    query(session, seen, "SELECT pg_sleep($1)", 30.0);
    query(session, seen, BY_ID, 1);
    session.setStatementTimeout(Duration.ZERO).block(LIMIT);
    query(session, seen, BY_ID, 1);
  }

  static void notifications(PostgresqlConnection session, List<String> seen) {
    query(session, seen, "LISTEN news");
    CompletableFuture<List<String>> three = session.getNotifications()
        .map(notification -> notification.getName() + " " + notification.getParameter()).take(3).collectList().toFuture();
    for (int i = 0; i < 3; i++) {
      query(session, seen, "SELECT pg_notify('news', $1)", "number " + i);
    }
    seen.addAll(three.orTimeout(10, TimeUnit.SECONDS).join());
  }

  static void pool(String url, List<String> seen) {
    ConnectionPool pool = new ConnectionPool(ConnectionPoolConfiguration.builder(new PostgresqlConnectionFactory(options(url).build()))
        .maxSize(2).initialSize(1).validationQuery("SELECT 1").build());
    for (int i = 1; i <= 10; i++) {
      int id = i;
      seen.addAll(Flux.usingWhen(pool.create(), session -> all(session.createStatement(BY_ID).bind(0, id).execute()),
          Connection::close).collectList().block(LIMIT));
    }
    pool.disposeLater().block(LIMIT);
  }

  public static void main(String[] arguments) {
    Contract contract = new Contract(arguments, "R2DBC", "1.0.7");
    contract.chapter("connect", R2dbc::start);
    contract.chapter("types", 2 * Contract.KINDS.size(), 0, with(R2dbc::types));
    contract.chapter("types-binary", 2 * Contract.KINDS.size(), 0, with(options -> options.forceBinary(true), R2dbc::types));
    contract.chapter("round-trip", with(R2dbc::roundTrip));
    contract.chapter("searches", 2 * Contract.SEARCHED.size(), 0, with(R2dbc::searches));
    contract.chapter("parameters", 10, 0, with(R2dbc::parameters));
    contract.chapter("parameters-uncached", 10, 0, with(options -> options.preparedStatementCacheQueries(0), R2dbc::parameters));
    contract.chapter("simple", 10, 0, with(R2dbc::simple));
    contract.chapter("bindings", 10, 0, with(R2dbc::bindings));
    contract.chapter("fetch-sizes", with(R2dbc::fetchSizes));
    contract.chapter("read-blocks", 8, 6, with(R2dbc::readBlocks));
    contract.chapter("transactions", with(R2dbc::transactions));
    contract.chapter("batches", with(R2dbc::batches));
    contract.chapter("copy", with(R2dbc::copy));
    contract.chapter("errors", with(R2dbc::failures));
    contract.chapter("cancel", with(R2dbc::cancel));
    contract.chapter("notify", with(R2dbc::notifications));
    contract.chapter("pool", 10, 0, R2dbc::pool);
    contract.finish();
  }
}
