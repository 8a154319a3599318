// SPDX-License-Identifier: Apache-2.0
//! tokio-postgres: a named statement for every query, binary, pipelined; simple queries; portals; COPY.

mod contract;

use contract::{Contract, Seen, KINDS};
use futures_util::{future, stream, SinkExt, StreamExt, TryStreamExt};
use std::future::Future;
use std::io::Cursor;
use std::time::Duration;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{AsyncMessage, CopyInSink, Client, IsolationLevel, NoTls, Row, SimpleQueryMessage};

const BY_ID: &str = "SELECT id, name, price, added FROM items WHERE id = $1";

/// The bytes of a value as they came.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn keep(rows: &[Row]) -> Seen {
    let mut seen = Seen::new();
    for row in rows {
        for (i, column) in row.columns().iter().enumerate() {
            seen.push(format!("{} {} {:?}", column.name(), column.type_(), row.get::<_, Option<Raw>>(i).map(|r| r.0)));
        }
    }
    seen
}

fn told(error: tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{db:?}"),
        None => format!("{error:?}"),
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A chapter that has one session.
fn with<F: Future<Output = Seen>>(work: impl Fn(Client) -> F) -> impl Fn(&str) -> Seen {
    move |url| runtime().block_on(async { work(connect(url).await).await })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

async fn types(client: Client) -> Seen {
    let mut seen = Seen::new();
    for kind in KINDS.split_whitespace() {
        let sql = format!("SELECT k_{kind} FROM kinds ORDER BY id");
        seen.extend(keep(&client.query(&sql, &[]).await.unwrap()));
        seen.push(format!("{:?}", client.simple_query(&sql).await.unwrap()));
    }
    seen
}

async fn prepared(client: Client) -> Seen {
    let statement = client.prepare(BY_ID).await.unwrap();
    let mut seen = vec![format!("{:?} {:?}", statement.params(), statement.columns())];
    for i in 1..=10 {
        seen.extend(keep(&client.query(&statement, &[&i]).await.unwrap()));
    }
    seen
}

/// Prepared for one execution and closed behind it.
async fn unprepared(client: Client) -> Seen {
    let mut seen = Seen::new();
    for i in 1..=10 {
        seen.extend(keep(&client.query(BY_ID, &[&i]).await.unwrap()));
    }
    seen
}

/// One exchange in which the statement is described as well.
async fn typed(client: Client) -> Seen {
    let mut seen = Seen::new();
    for i in 1..=10i32 {
        seen.extend(keep(&client.query_typed(BY_ID, &[(&i, Type::INT4)]).await.unwrap()));
    }
    seen
}

async fn pipelined(client: Client) -> Seen {
    let statement = client.prepare(BY_ID).await.unwrap();
    let ids: Vec<i32> = (1..=20).collect();
    let all = future::try_join_all(ids.iter().map(|id| {
        let (client, statement) = (&client, &statement);
        async move { client.query(statement, &[id]).await }
    }));
    all.await.unwrap().iter().flat_map(|rows| keep(rows)).collect()
}

async fn read_blocks(mut client: Client) -> Seen {
    let statement = client.prepare(BY_ID).await.unwrap();
    let mut seen = Seen::new();
    for i in 1..=6 {
        let block = client.transaction().await.unwrap();
        seen.extend(keep(&block.query(&statement, &[&i]).await.unwrap()));
        block.commit().await.unwrap();
    }
    seen
}

async fn transactions(mut client: Client) -> Seen {
    client.batch_execute("DELETE FROM written").await.unwrap();
    let mut seen = Seen::new();
    let mut block = client.transaction().await.unwrap();
    block.execute("INSERT INTO written VALUES ($1, $2)", &[&1, &"one"]).await.unwrap();
    let inner = block.savepoint("s").await.unwrap();
    seen.push(told(inner.execute("INSERT INTO written VALUES (1)", &[]).await.unwrap_err()));
    inner.rollback().await.unwrap();
    seen.extend(keep(&block.query("SELECT * FROM written", &[]).await.unwrap()));
    block.commit().await.unwrap();
    for level in [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        let block = client.build_transaction().isolation_level(level).read_only(true).start().await.unwrap();
        seen.extend(keep(&block.query("SELECT * FROM written", &[]).await.unwrap()));
        block.rollback().await.unwrap();
    }
    seen
}

/// A portal that is read in parts.
async fn cursors(mut client: Client) -> Seen {
    let block = client.transaction().await.unwrap();
    let portal = block.bind("SELECT id, name FROM items ORDER BY id", &[]).await.unwrap();
    let mut seen = Seen::new();
    for _ in 0..3 {
        seen.extend(keep(&block.query_portal(&portal, 7).await.unwrap()));
    }
    block.rollback().await.unwrap();
    seen
}

async fn copy(client: Client) -> Seen {
    client.batch_execute("TRUNCATE copied").await.unwrap();
    let sink: CopyInSink<Cursor<Vec<u8>>> = client.copy_in("COPY copied (id, v) FROM STDIN").await.unwrap();
    futures_util::pin_mut!(sink);
    let rows = (0..3000).map(|i| Ok(Cursor::new(format!("{i}\t{}\n", "x".repeat(i % 300)).into_bytes())));
    sink.send_all(&mut stream::iter(rows)).await.unwrap();
    let mut seen = vec![sink.finish().await.unwrap().to_string()];
    let out = client.copy_out("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT").await.unwrap();
    let parts: Vec<_> = out.try_collect().await.unwrap();
    seen.push(String::from_utf8(parts.concat()).unwrap());
    let sink = client.copy_in("COPY copied (id, v) FROM STDIN").await.unwrap();
    futures_util::pin_mut!(sink);
    sink.send(Cursor::new(b"1\tagain\n".to_vec())).await.unwrap();
    seen.push(told(sink.finish().await.unwrap_err()));
    seen.extend(keep(&client.query("SELECT count(*) FROM copied", &[]).await.unwrap()));
    seen
}

async fn errors(client: Client) -> Seen {
    let mut seen = Seen::new();
    for sql in ["SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC", "SELECT 'x'::mood",
        "INSERT INTO items SELECT * FROM items"] {
        seen.push(told(client.query(sql, &[]).await.unwrap_err()));
        seen.push(told(client.simple_query(sql).await.unwrap_err()));
    }
    for message in client.simple_query("SELECT 1; SELECT name FROM items WHERE id = 1").await.unwrap() {
        if let SimpleQueryMessage::Row(row) = message {
            seen.push(format!("{:?}", row.get(0)));
        }
    }
    seen
}

async fn cancel(client: Client) -> Seen {
    let token = client.cancel_token();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await.unwrap();
    });
    let mut seen = vec![told(client.batch_execute("SELECT pg_sleep(30)").await.unwrap_err())];
    seen.extend(keep(&client.query(BY_ID, &[&1]).await.unwrap()));
    seen
}

async fn notify(url: &str) -> Seen {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(n) = message {
                let _ = sender.send(format!("{} {}", n.channel(), n.payload()));
            }
        }
    });
    let mut receiver = receiver;
    client.batch_execute("LISTEN news").await.unwrap();
    let other = connect(url).await;
    let mut seen = Seen::new();
    for i in 0..3 {
        other.batch_execute(&format!("NOTIFY news, 'number {i}'")).await.unwrap();
        seen.push(tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await.unwrap().unwrap());
    }
    seen
}

fn main() {
    let kinds = KINDS.split_whitespace().count() as i64;
    let mut contract = Contract::start("tokio-postgres", "0.7.18");
    contract.chapter("types", 2 * kinds - 4, 0, &with(types));
    contract.chapter("prepared", 10, 0, &with(prepared));
    contract.chapter("unprepared", 10, 0, &with(unprepared));
    contract.chapter("typed", 10, 0, &with(typed));
    contract.chapter("pipelined", 20, 0, &with(pipelined));
    contract.chapter("read-blocks", 6, 5, &with(read_blocks));
    contract.chapter("transactions", 0, 0, &with(transactions));
    contract.chapter("cursors", 0, 0, &with(cursors));
    contract.chapter("copy", 0, 0, &with(copy));
    contract.chapter("errors", 0, 0, &with(errors));
    contract.chapter("cancel", 0, 0, &with(cancel));
    contract.chapter("notify", 0, 0, &|url| runtime().block_on(notify(url)));
    contract.finish();
}
