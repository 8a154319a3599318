// SPDX-License-Identifier: Apache-2.0

import static java.util.concurrent.TimeUnit.SECONDS;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.pgclient.PgBuilder;
import io.vertx.pgclient.PgConnectOptions;
import io.vertx.pgclient.PgConnection;
import io.vertx.pgclient.PgException;
import io.vertx.pgclient.data.Cidr;
import io.vertx.pgclient.data.Inet;
import io.vertx.sqlclient.Cursor;
import io.vertx.sqlclient.Pool;
import io.vertx.sqlclient.PoolOptions;
import io.vertx.sqlclient.PreparedStatement;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.SqlConnection;
import io.vertx.sqlclient.Transaction;
import io.vertx.sqlclient.Tuple;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;

/** The reactive client of Vert.x: its own protocol, binary both ways, statements in a pipeline without waiting. */
final class VertxClient {
  private static final String BY_ID = "SELECT id, name, price, added FROM items WHERE id = $1";
  private static final Vertx VERTX = Vertx.vertx();

  private VertxClient() {}

  interface Work {
    void run(PgConnection session, List<String> seen) throws Exception;
  }

  interface Settings {
    void apply(PgConnectOptions options);
  }

  static PgConnectOptions options(String url) {
    return PgConnectOptions.fromUri(url);
  }

  static <T> T await(Future<T> future) throws Exception {
    return future.toCompletionStage().toCompletableFuture().get(30, SECONDS);
  }

  static Contract.Chapter with(Settings settings, Work work) {
    return (url, seen) -> {
      PgConnectOptions options = options(url);
      settings.apply(options);
      PgConnection session = await(PgConnection.connect(VERTX, options));
      work.run(session, seen);
      await(session.close());
    };
  }

  static Contract.Chapter with(Work work) {
    return with(options -> {}, work);
  }

  static String shown(Object value) {
    if (value instanceof Buffer buffer) {
      return Arrays.toString(buffer.getBytes());
    }
    if (value instanceof Object[] array) {
      return Arrays.stream(array).map(VertxClient::shown).toList().toString();
    }
    if (value instanceof Inet inet) {
      return inet.getAddress() + "/" + inet.getNetmask();
    }
    if (value instanceof Cidr cidr) {
      return cidr.getAddress() + "/" + cidr.getNetmask();
    }
    return value == null ? "null" : value.getClass().getSimpleName() + " " + value;
  }

  static void keep(Future<RowSet<Row>> future, List<String> seen) throws Exception {
    try {
      for (RowSet<Row> rows = await(future); rows != null; rows = rows.next()) {
        seen.add("changed " + rows.rowCount() + ", " + rows.size() + " of " + rows.columnsNames());
        for (Row row : rows) {
          for (int i = 0; i < row.size(); i++) {
            seen.add(row.getColumnName(i) + " " + shown(row.getValue(i)));
          }
        }
      }
    } catch (ExecutionException error) {
      seen.add(told(error.getCause()));
    }
  }

  static String told(Throwable error) {
    if (error instanceof PgException of) {
      return String.join("|", Arrays.asList(of.getSqlState(), of.getSeverity(), of.getErrorMessage(), of.getDetail(),
          of.getHint(), of.getPosition(), of.getWhere(), of.getTable(), of.getColumn(), of.getConstraint()));
    }
    return error.getClass().getSimpleName() + " " + error.getMessage();
  }

  static String ended(Future<Void> future) throws Exception {
    try {
      await(future);
      return "ended";
    } catch (ExecutionException error) {
      return told(error.getCause());
    }
  }

  static void start(String url, List<String> seen) throws Exception {
    PgConnectOptions options = options(url).addProperty("application_name", "vertx").addProperty("TimeZone", "Asia/Tokyo");
    PgConnection session = await(PgConnection.connect(VERTX, options));
    seen.add(session.databaseMetadata().fullVersion() + " " + session.isSSL());
    keep(session.query("SHOW application_name").execute(), seen);
    keep(session.query("SELECT added::text FROM items WHERE id = 1").execute(), seen);
    await(session.close());
    for (PgConnectOptions wrong : List.of(options(url).setDatabase("absent"), options(url).setUser("nobody"),
        options(url).addProperty("DateStyle", "none"))) {
      try {
        await(PgConnection.connect(VERTX, wrong));
      } catch (ExecutionException error) {
        seen.add(told(error.getCause()));
      }
    }
  }

  static void types(PgConnection session, List<String> seen) throws Exception {
    for (String column : Contract.KINDS) {
      keep(session.query("SELECT " + column + " FROM kinds ORDER BY id").execute(), seen);
      keep(session.preparedQuery("SELECT " + column + " FROM kinds WHERE id < $1 ORDER BY id").execute(Tuple.of(10)), seen);
    }
  }

  static void roundTrip(PgConnection session, List<String> seen) throws Exception {
    keep(session.query("TRUNCATE kinds_back; INSERT INTO kinds_back (id) SELECT id FROM kinds").execute(), seen);
    for (String column : Contract.KINDS) {
      for (int row = 1; row <= 3; row++) {
        try {
          Object value = await(session.preparedQuery("SELECT " + column + " FROM kinds WHERE id = $1")
              .execute(Tuple.of(row))).iterator().next().getValue(0);
          keep(session.preparedQuery("UPDATE kinds_back SET " + column + " = $1 WHERE id = $2")
              .execute(Tuple.of(value, row)), seen);
        } catch (ExecutionException error) {
          seen.add(column + " " + told(error.getCause()));
        }
        keep(session.preparedQuery("SELECT " + column + "::text FROM kinds_back WHERE id = $1").execute(Tuple.of(row)), seen);
      }
    }
  }

  static void searches(PgConnection session, List<String> seen) throws Exception {
    for (String column : Contract.SEARCHED) {
      Object value = await(session.query("SELECT " + column + " FROM kinds WHERE id = 1").execute()).iterator().next()
          .getValue(0);
      keep(session.preparedQuery("SELECT id FROM kinds WHERE " + column + " = $1").execute(Tuple.of(value)), seen);
    }
    keep(session.preparedQuery("SELECT id FROM items WHERE id = ANY($1) ORDER BY id")
        .execute(Tuple.of(new Integer[] {1, 2, 3})), seen);
  }

  static void parameters(PgConnection session, List<String> seen) throws Exception {
    for (int i = 1; i <= 10; i++) {
      keep(session.preparedQuery(BY_ID).execute(Tuple.of(i)), seen);
    }
  }

  static void simple(PgConnection session, List<String> seen) throws Exception {
    for (int i = 1; i <= 10; i++) {
      keep(session.query("SELECT name FROM items WHERE id = " + i).execute(), seen);
    }
  }

  static void prepared(PgConnection session, List<String> seen) throws Exception {
    PreparedStatement statement = await(session.prepare(BY_ID));
    for (int i = 1; i <= 10; i++) {
      keep(statement.query().execute(Tuple.of(i)), seen);
    }
    await(statement.close());
  }

  /** Twenty statements on their way at once, some of them wrong. */
  static void pipeline(PgConnection session, List<String> seen) throws Exception {
    for (int round = 0; round < 3; round++) {
      List<Future<RowSet<Row>>> futures = new ArrayList<>();
      for (int i = 1; i <= 20; i++) {
        futures.add(i % 7 == 0 ? session.preparedQuery("SELECT 1 / (id - $1::int) FROM items WHERE id = 5").execute(Tuple.of(5))
            : i % 3 == 0 ? session.query("SELECT name FROM items WHERE id = " + i).execute()
            : session.preparedQuery(BY_ID).execute(Tuple.of(i)));
      }
      for (Future<RowSet<Row>> future : futures) {
        keep(future, seen);
      }
    }
  }

  static void readBlocks(PgConnection session, List<String> seen) throws Exception {
    keep(session.preparedQuery(BY_ID).execute(Tuple.of(1)), seen);
    for (int i = 1; i <= 7; i++) {
      Transaction block = await(session.begin());
      keep(session.preparedQuery(BY_ID).execute(Tuple.of(i)), seen);
      await(i % 2 == 0 ? block.commit() : block.rollback());
    }
  }

  static void transactions(PgConnection session, List<String> seen) throws Exception {
    keep(session.query("DELETE FROM written").execute().map(rows -> null), seen);
    for (int round = 0; round < 2; round++) {
      Transaction block = await(session.begin());
      keep(session.preparedQuery("INSERT INTO written VALUES ($1, $2)").execute(Tuple.of(round, "one")), seen);
      keep(session.query("SAVEPOINT s").execute(), seen);
      keep(session.preparedQuery("INSERT INTO written VALUES ($1, $2)").execute(Tuple.of(round, "two")), seen);
      keep(session.query("ROLLBACK TO s").execute(), seen);
      keep(session.query("SELECT * FROM written ORDER BY id").execute(), seen);
      // It has given up the block at the error, and only sends ROLLBACK at its end.
      seen.add(ended(round == 0 ? block.commit() : block.rollback()));
      keep(session.query("SELECT * FROM written ORDER BY id").execute(), seen);
    }
    await(session.begin());
    keep(session.query("SELECT 1 / 0").execute(), seen);
    keep(session.query("SELECT name FROM items WHERE id = 1").execute(), seen);
    keep(session.query("ROLLBACK").execute(), seen);
    keep(session.query("SELECT name FROM items WHERE id = 1").execute(), seen);
  }

  static void batches(PgConnection session, List<String> seen) throws Exception {
    keep(session.query("TRUNCATE copied").execute(), seen);
    List<Tuple> rows = new ArrayList<>();
    List<Tuple> reads = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      rows.add(Tuple.of(i, "v" + i));
      reads.add(Tuple.of(i % 20 + 1));
    }
    keep(session.preparedQuery("INSERT INTO copied (id, v) VALUES ($1, $2)").executeBatch(rows).map(r -> null), seen);
    keep(session.preparedQuery(BY_ID).executeBatch(reads), seen);
    keep(session.query("SELECT count(*), sum(length(v)) FROM copied").execute(), seen);
    keep(session.preparedQuery("INSERT INTO copied (id, v) VALUES ($1, $2)").executeBatch(rows), seen);
    keep(session.query("SELECT 1; SELECT name FROM items WHERE id = 1; SELECT 1 / 0").execute(), seen);
  }

  static void batchesOfReads(PgConnection session, List<String> seen) throws Exception {
    List<Tuple> reads = new ArrayList<>();
    for (int i = 1; i <= 20; i++) {
      reads.add(Tuple.of(i));
    }
    keep(session.preparedQuery(BY_ID).executeBatch(reads), seen);
  }

  static void cursors(PgConnection session, List<String> seen) throws Exception {
    Transaction block = await(session.begin());
    PreparedStatement statement = await(session.prepare("SELECT id, name FROM items WHERE id > $1 ORDER BY id"));
    Cursor cursor = statement.cursor(Tuple.of(5));
    do {
      keep(cursor.read(30), seen);
    } while (cursor.hasMore());
    await(cursor.close());
    CountDownLatch end = new CountDownLatch(1);
    List<String> streamed = new ArrayList<>();
    statement.createStream(7, Tuple.of(50)).endHandler(v -> end.countDown()).exceptionHandler(error -> seen.add(told(error)))
        .handler(row -> streamed.add(row.getString(1)));
    seen.add(end.await(20, SECONDS) + " " + streamed);
    await(block.commit());
  }

  static void failures(PgConnection session, List<String> seen) throws Exception {
    for (String text : List.of("SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
        "INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood", "SELECT * FROM absent",
        "INSERT INTO items VALUES (1000, 'x', 1, now(), 1000)", "INSERT INTO items (id) VALUES (1000)")) {
      for (int i = 0; i < 2; i++) {
        keep(session.query(text).execute(), seen);
        keep(session.preparedQuery(text).execute(), seen);
      }
    }
    keep(session.preparedQuery(BY_ID).execute(Tuple.of("five")), seen);
    keep(session.preparedQuery(BY_ID).execute(), seen);
    keep(session.preparedQuery(BY_ID).execute(Tuple.of(5)), seen);
    List<String> notices = new ArrayList<>();
    session.noticeHandler(notice -> notices.add(notice.getSeverity() + " " + notice.getMessage()));
    keep(session.query("DO $$ BEGIN RAISE NOTICE 'noted'; END $$").execute(), seen);
    seen.addAll(notices);
  }

  static void cancel(PgConnection session, List<String> seen) throws Exception {
    long began = System.nanoTime();
    Future<RowSet<Row>> sleep = session.query("SELECT pg_sleep(30)").execute();
    Thread.sleep(300);
    await(session.cancelRequest());
    keep(sleep, seen);
    seen.add(String.valueOf(System.nanoTime() - began < 10_000_000_000L));
    keep(session.query("SET statement_timeout = 100").execute(), seen);
    keep(session.preparedQuery("SELECT pg_sleep($1)").execute(Tuple.of(30.0)), seen);
    keep(session.preparedQuery(BY_ID).execute(Tuple.of(1)), seen);
  }

  static void notifications(PgConnection session, List<String> seen) throws Exception {
    CountDownLatch three = new CountDownLatch(3);
    List<String> got = new ArrayList<>();
    session.notificationHandler(notification -> {
      got.add(notification.getChannel() + " " + notification.getPayload());
      three.countDown();
    });
    keep(session.query("LISTEN news").execute(), seen);
    for (int i = 0; i < 3; i++) {
      keep(session.preparedQuery("SELECT pg_notify('news', $1)").execute(Tuple.of("number " + i)), seen);
    }
    seen.add(three.await(10, SECONDS) + " " + got);
  }

  static void pool(String url, List<String> seen) throws Exception {
    Pool pool = PgBuilder.pool().with(new PoolOptions().setMaxSize(2)).connectingTo(options(url).setCachePreparedStatements(true))
        .using(VERTX).build();
    List<Future<RowSet<Row>>> futures = new ArrayList<>();
    for (int i = 1; i <= 10; i++) {
      futures.add(pool.preparedQuery(BY_ID).execute(Tuple.of(i)));
    }
    for (Future<RowSet<Row>> future : futures) {
      keep(future, seen);
    }
    for (int i = 1; i <= 10; i++) {
      int id = i;
      keep(pool.withTransaction(session -> session.preparedQuery(BY_ID).execute(Tuple.of(id))), seen);
    }
    await(pool.close());
  }

  /** Two workers, each with what the other has not. */
  static void queue(String url, List<String> seen) throws Exception {
    SqlConnection one = await(PgConnection.connect(VERTX, options(url)));
    SqlConnection two = await(PgConnection.connect(VERTX, options(url)));
    await(one.query("TRUNCATE written").execute());
    await(one.query("INSERT INTO written SELECT i, 'job' FROM generate_series(1, 10) i").execute());
    for (int round = 0; round < 2; round++) {
      Transaction first = await(one.begin());
      Transaction second = await(two.begin());
      for (SqlConnection session : List.of(one, two)) {
        keep(session.preparedQuery("SELECT id FROM written ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED").execute(Tuple.of(2)), seen);
        keep(session.query("SELECT count(*) FROM written").execute(), seen);
      }
      keep(one.query("DELETE FROM written WHERE id = " + (round + 1)).execute(), seen);
      await(first.commit());
      await(second.commit());
      keep(two.query("SELECT count(*) FROM written").execute(), seen);
    }
    await(one.close());
    await(two.close());
  }

  public static void main(String[] arguments) {
    Contract contract = new Contract(arguments, "Vert.x", "4.5.14");
    contract.chapter("connect", VertxClient::start);
    contract.chapter("types", 2 * Contract.KINDS.size(), 0, with(VertxClient::types));
    contract.chapter("round-trip", with(VertxClient::roundTrip));
    contract.chapter("searches", 2 * Contract.SEARCHED.size(), 0, with(VertxClient::searches));
    contract.chapter("parameters", 10, 0, with(VertxClient::parameters));
    contract.chapter("parameters-cached", 10, 0, with(options -> options.setCachePreparedStatements(true), VertxClient::parameters));
    contract.chapter("simple", 10, 0, with(VertxClient::simple));
    contract.chapter("prepared", 10, 0, with(VertxClient::prepared));
    contract.chapter("pipeline", with(options -> options.setPipeliningLimit(64), VertxClient::pipeline));
    contract.chapter("pipeline-cached", with(options -> options.setPipeliningLimit(64).setCachePreparedStatements(true), VertxClient::pipeline));
    contract.chapter("read-blocks", 8, 0, with(VertxClient::readBlocks));
    contract.chapter("read-blocks-cached", 8, 6, with(options -> options.setCachePreparedStatements(true), VertxClient::readBlocks));
    contract.chapter("transactions", with(VertxClient::transactions));
    contract.chapter("batches", with(VertxClient::batches));
    contract.chapter("batches-of-reads", 20, 0, with(VertxClient::batchesOfReads));
    contract.chapter("cursors", with(VertxClient::cursors));
    contract.chapter("errors", with(VertxClient::failures));
    contract.chapter("cancel", with(VertxClient::cancel));
    contract.chapter("notify", with(VertxClient::notifications));
    contract.chapter("pool", 20, 0, VertxClient::pool);
    contract.chapter("queue", VertxClient::queue);
    contract.finish();
  }
}
