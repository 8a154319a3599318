// SPDX-License-Identifier: Apache-2.0
//! sqlx: a cache of named statements, a pool that pings and greets its sessions, COPY, a listener.

mod contract;

use contract::{Contract, Seen, KINDS};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Column, Connection, Executor, PgConnection, Row, TypeInfo, ValueRef};
use std::future::Future;
use std::time::Duration;

const BY_ID: &str = "SELECT id, name, price, added FROM items WHERE id = $1";

fn keep(rows: &[PgRow]) -> Seen {
    let mut seen = Seen::new();
    for row in rows {
        for column in row.columns() {
            let value = row.try_get_raw(column.ordinal()).unwrap();
            let bytes = if value.is_null() { None } else { Some(value.as_bytes().map(<[u8]>::to_vec).unwrap()) };
            seen.push(format!("{} {} {:?} {bytes:?}", column.name(), column.type_info().name(), value.format()));
        }
    }
    seen
}

/// A chapter that has a pool of one session, and the other sort with a session of its own.
fn pooled<F: Future<Output = Seen>>(work: impl Fn(PgPool) -> F) -> impl Fn(&str) -> Seen {
    move |url| {
        runtime().block_on(async {
            let pool = PgPoolOptions::new().max_connections(1).connect(&plain(url)).await.unwrap();
            let seen = work(pool.clone()).await;
            pool.close().await;
            seen
        })
    }
}

fn plain(url: &str) -> String {
    format!("{url}?sslmode=disable")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// Without multiranges, which it does not know.
async fn types(pool: PgPool) -> Seen {
    let mut seen = Seen::new();
    for _ in 0..2 {
        for kind in KINDS.split_whitespace().filter(|kind| !kind.contains("multirange")) {
            let sql = format!("SELECT k_{kind} FROM kinds ORDER BY id");
            seen.extend(keep(&sqlx::query(AssertSqlSafe(sql.clone())).fetch_all(&pool).await.unwrap()));
            seen.extend(keep(&sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap()));
        }
    }
    seen
}

async fn prepared(pool: PgPool) -> Seen {
    let mut seen = Seen::new();
    for i in 1..=10 {
        seen.extend(keep(&sqlx::query(BY_ID).bind(i).fetch_all(&pool).await.unwrap()));
    }
    seen
}

async fn not_persistent(pool: PgPool) -> Seen {
    let mut seen = Seen::new();
    for i in 1..=10 {
        seen.extend(keep(&sqlx::query(BY_ID).bind(i).persistent(false).fetch_all(&pool).await.unwrap()));
    }
    seen
}

/// It asks for one row or two of a portal: a limit.
async fn single_rows(pool: PgPool) -> Seen {
    let one = sqlx::query(BY_ID).bind(1).fetch_one(&pool).await.unwrap();
    let two = sqlx::query(BY_ID).bind(200).fetch_optional(&pool).await.unwrap();
    let mut seen = keep(&[one]);
    seen.push(two.is_none().to_string());
    let (name,): (String,) = sqlx::query_as("SELECT name FROM items WHERE id = $1").bind(1).fetch_one(&pool).await.unwrap();
    seen.push(name);
    seen
}

async fn read_blocks(pool: PgPool) -> Seen {
    let mut seen = keep(&sqlx::query(BY_ID).bind(1).fetch_all(&pool).await.unwrap());
    for i in 1..=6 {
        let mut block = pool.begin().await.unwrap();
        seen.extend(keep(&sqlx::query(BY_ID).bind(i).fetch_all(&mut *block).await.unwrap()));
        block.commit().await.unwrap();
    }
    seen
}

async fn transactions(pool: PgPool) -> Seen {
    pool.execute("DELETE FROM written").await.unwrap();
    let mut block = pool.begin().await.unwrap();
    sqlx::query("INSERT INTO written VALUES ($1, $2)").bind(1).bind("one").execute(&mut *block).await.unwrap();
    let mut inner = block.begin().await.unwrap();
    let mut seen = vec![inner.execute("INSERT INTO written VALUES (1)").await.unwrap_err().to_string()];
    inner.rollback().await.unwrap();
    seen.extend(keep(&block.fetch_all("SELECT * FROM written").await.unwrap()));
    block.commit().await.unwrap();
    let mut serializable = pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    seen.extend(keep(&serializable.fetch_all("SELECT * FROM written").await.unwrap()));
    drop(serializable); // rolled back when the session is used next
    seen.extend(keep(&pool.fetch_all("SELECT * FROM written").await.unwrap()));
    seen
}

async fn streams(pool: PgPool) -> Seen {
    let rows: Vec<PgRow> = sqlx::query("SELECT id, name FROM items ORDER BY id").fetch(&pool).try_collect().await.unwrap();
    keep(&rows)
}

async fn copy(pool: PgPool) -> Seen {
    pool.execute("TRUNCATE copied").await.unwrap();
    let mut session = pool.acquire().await.unwrap();
    let mut to = session.copy_in_raw("COPY copied (id, v) FROM STDIN").await.unwrap();
    let rows: String = (0..3000).map(|i| format!("{i}\t{}\n", "x".repeat(i % 300))).collect();
    to.send(rows.as_bytes()).await.unwrap();
    let mut seen = vec![to.finish().await.unwrap().to_string()];
    let out = session.copy_out_raw("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT").await.unwrap();
    let parts: Vec<_> = out.try_collect().await.unwrap();
    seen.push(String::from_utf8(parts.concat()).unwrap());
    let mut to = session.copy_in_raw("COPY copied (id, v) FROM STDIN").await.unwrap();
    to.send("1\tagain\n".as_bytes()).await.unwrap();
    seen.push(to.finish().await.unwrap_err().to_string());
    seen
}

async fn errors(pool: PgPool) -> Seen {
    let mut seen = Seen::new();
    for sql in ["SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC", "SELECT 'x'::mood"] {
        for persistent in [false, true, true] {
            let error = sqlx::query(sql).persistent(persistent).fetch_all(&pool).await.unwrap_err();
            seen.push(format!("{:?}", error.as_database_error()));
        }
    }
    seen
}

async fn notify(url: &str) -> Seen {
    let mut listener = PgListener::connect(&plain(url)).await.unwrap();
    listener.listen("news").await.unwrap();
    let mut other = PgConnection::connect(&plain(url)).await.unwrap();
    let mut seen = Seen::new();
    for i in 0..3 {
        let payload = format!("number {i}");
        sqlx::query("SELECT pg_notify('news', $1)").bind(payload).execute(&mut other).await.unwrap();
        let got = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await.unwrap().unwrap();
        seen.push(format!("{} {}", got.channel(), got.payload()));
    }
    seen
}

async fn connect(url: &str) -> Seen {
    let options: PgConnectOptions = plain(url).parse().unwrap();
    let options = options.application_name("sqlx").options([("timezone", "Asia/Tokyo")]);
    let mut session = PgConnection::connect_with(&options).await.unwrap();
    session.ping().await.unwrap();
    let mut seen = keep(&session.fetch_all("SHOW application_name").await.unwrap());
    seen.extend(keep(&session.fetch_all("SELECT added::text FROM items WHERE id = 1").await.unwrap()));
    session.close().await.unwrap();
    seen
}

fn main() {
    let kinds = KINDS.split_whitespace().count() as i64;
    let mut contract = Contract::start("sqlx", "0.9.0");
    contract.chapter("connect", 0, 0, &|url| runtime().block_on(connect(url)));
    contract.chapter("types", 3 * (kinds - 1), 0, &pooled(types));
    contract.chapter("prepared", 10, 0, &pooled(prepared));
    contract.chapter("not-persistent", 10, 0, &pooled(not_persistent));
    contract.chapter("single-rows", 0, 0, &pooled(single_rows));
    contract.chapter("read-blocks", 7, 5, &pooled(read_blocks));
    contract.chapter("transactions", 0, 0, &pooled(transactions));
    contract.chapter("streams", 0, 0, &pooled(streams));
    contract.chapter("copy", 0, 0, &pooled(copy));
    contract.chapter("errors", 0, 0, &pooled(errors));
    contract.chapter("notify", 0, 0, &|url| runtime().block_on(notify(url)));
    contract.finish();
}
