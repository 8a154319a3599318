// SPDX-License-Identifier: Apache-2.0

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.util.List;

/** HikariCP over pgjdbc: what a pool does to a session when it gives it out and takes it back. */
final class Hikari {
  private Hikari() {}

  interface Settings {
    void apply(HikariConfig config);
  }

  static HikariDataSource pool(String url, Settings settings) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(Contract.jdbc(url));
    config.setMaximumPoolSize(1);
    settings.apply(config);
    return new HikariDataSource(config);
  }

  static Contract.Chapter reads(Settings settings) {
    return (url, seen) -> {
      try (HikariDataSource pool = pool(url, settings)) {
        for (int i = 1; i <= 8; i++) {
          try (Connection session = pool.getConnection()) {
            Contract.query(session, seen, "SELECT name FROM items WHERE id = " + i);
            if (!session.getAutoCommit() && i % 2 == 0) {
              session.commit();
            } // else the pool rolls back
          }
        }
      }
    };
  }

  /** Changes to the session that the pool undoes. */
  static void resets(String url, List<String> seen) throws Exception {
    try (HikariDataSource pool = pool(url, config -> {})) {
      for (int i = 1; i <= 4; i++) {
        try (Connection session = pool.getConnection()) {
          session.setAutoCommit(false);
          session.setReadOnly(i % 2 == 0);
          session.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
          Contract.query(session, seen, Contract.BY_ID, i);
          Contract.query(session, seen, "SHOW transaction_isolation");
          session.commit();
        }
        try (Connection session = pool.getConnection()) {
          Contract.query(session, seen, "SHOW transaction_isolation");
        }
      }
    }
  }

  static void writes(String url, List<String> seen) throws Exception {
    try (HikariDataSource pool = pool(url, config -> config.setMaximumPoolSize(4))) {
      try (Connection session = pool.getConnection()) {
        Contract.discard(session, "DELETE FROM written");
      }
      for (int i = 0; i < 20; i++) {
        try (Connection session = pool.getConnection()) {
          Contract.query(session, seen, "INSERT INTO written VALUES (?, ?)", i, "number " + i);
          Contract.query(session, seen, "SELECT count(*) FROM written");
        }
      }
    }
  }

  public static void main(String[] arguments) {
    String version = HikariDataSource.class.getPackage().getImplementationVersion();
    Contract contract = new Contract(arguments, "HikariCP", version == null ? "7.1.0" : version);
    contract.chapter("reads", 8, 0, reads(config -> {}));
    contract.chapter("read-blocks", 8, 6, reads(config -> config.setAutoCommit(false)));
    contract.chapter("test-query", 8, 0, reads(config -> config.setConnectionTestQuery("SELECT 1")));
    contract.chapter("schema", 8, 0, reads(config -> config.setSchema("public")));
    contract.chapter("resets", Hikari::resets);
    contract.chapter("writes", Hikari::writes);
    contract.finish();
  }
}
