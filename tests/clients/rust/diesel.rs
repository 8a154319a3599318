// SPDX-License-Identifier: Apache-2.0
//! Diesel over libpq: its query builder, a cache of named statements, a pool that asks SELECT 1.

mod contract;

use contract::{Contract, Seen};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::sql_types::{Integer, Text};

diesel::table! {
    items (id) {
        id -> Integer,
        name -> Text,
        owner_id -> Integer,
    }
}

diesel::table! {
    owners (id) {
        id -> Integer,
        name -> Text,
    }
}

diesel::table! {
    written (id) {
        id -> Integer,
        name -> Nullable<Text>,
    }
}

diesel::joinable!(items -> owners (owner_id));
diesel::allow_tables_to_appear_in_same_query!(items, owners);

#[derive(QueryableByName, Debug)]
struct Found {
    #[diesel(sql_type = Integer)]
    #[allow(dead_code)] // it is printed
    id: i32,
    #[diesel(sql_type = Text)]
    #[allow(dead_code)]
    name: String,
}

fn session(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap()
}

fn by_id(session: &mut PgConnection, id: i32) -> String {
    let row: (i32, String, i32) = items::table.find(id).get_result(session).unwrap();
    format!("{row:?}")
}

fn reads(url: &str) -> Seen {
    let session = &mut session(url);
    let mut seen: Seen = (1..=8).map(|i| by_id(session, i)).collect();
    let joined: Vec<(String, String)> = items::table.inner_join(owners::table).filter(items::id.lt(5)).order(items::id)
        .select((items::name, owners::name)).load(session).unwrap();
    let some: Vec<String> = items::table.filter(items::id.eq_any([1, 2, 3])).order(items::id).select(items::name)
        .load(session).unwrap();
    let n: i64 = items::table.filter(items::name.like("item 1%")).count().get_result(session).unwrap();
    let found: Vec<Found> = diesel::sql_query("SELECT id, name FROM items WHERE id = $1").bind::<Integer, _>(7)
        .load(session).unwrap();
    seen.push(format!("{joined:?} {some:?} {n} {found:?}"));
    seen
}

fn read_blocks(url: &str) -> Seen {
    let session = &mut session(url);
    let mut seen = vec![by_id(session, 1)];
    for i in 1..=6 {
        seen.push(session.transaction(|block| QueryResult::Ok(by_id(block, i))).unwrap());
    }
    seen
}

fn all_written(session: &mut PgConnection) -> String {
    let rows: Vec<(i32, Option<String>)> = written::table.order(written::id).load(session).unwrap();
    format!("{rows:?}")
}

fn insert(session: &mut PgConnection, id: i32, name: &str) -> QueryResult<usize> {
    diesel::insert_into(written::table).values((written::id.eq(id), written::name.eq(name))).execute(session)
}

fn transactions(url: &str) -> Seen {
    let session = &mut session(url);
    diesel::delete(written::table).execute(session).unwrap();
    let mut seen = session.transaction(|block| {
        insert(block, 1, "one")?;
        let again = block.transaction(|inner| insert(inner, 1, "again"));
        QueryResult::Ok(vec![format!("{again:?}"), all_written(block)])
    }).unwrap();
    let serializable = session.build_transaction().serializable().read_only().run(|b| QueryResult::Ok(all_written(b)));
    seen.push(format!("{serializable:?}"));
    let undone: QueryResult<()> = session.transaction(|block| {
        insert(block, 2, "two")?;
        Err(diesel::result::Error::RollbackTransaction)
    });
    seen.push(format!("{undone:?} {}", all_written(session)));
    seen
}

fn batches(url: &str) -> Seen {
    let session = &mut session(url);
    diesel::delete(written::table).execute(session).unwrap();
    let rows: Vec<_> = (0..500).map(|i| (written::id.eq(i), written::name.eq(format!("number {i}")))).collect();
    let n = diesel::insert_into(written::table).values(&rows).execute(session).unwrap();
    diesel::insert_into(written::table).values((written::id.eq(1), written::name.eq("up")))
        .on_conflict(written::id).do_update().set(written::name.eq("up")).execute(session).unwrap();
    session.batch_execute("UPDATE written SET name = 'a' WHERE id = 2; DELETE FROM written WHERE id = 3").unwrap();
    vec![n.to_string(), all_written(session)]
}

fn errors(url: &str) -> Seen {
    let session = &mut session(url);
    ["SELECT nothing FROM items", "SELECT 1 / (id - 5) AS id, name FROM items WHERE id = 5", "SELEC"].iter()
        .map(|sql| format!("{:?}", diesel::sql_query(*sql).load::<Found>(session))).collect()
}

fn pool(url: &str) -> Seen {
    let pool = Pool::builder().max_size(2).build(ConnectionManager::<PgConnection>::new(url)).unwrap();
    (1..=10).map(|i| by_id(&mut pool.get().unwrap(), i)).collect()
}

fn main() {
    let mut contract = Contract::start("Diesel", "2.3.14");
    contract.chapter("reads", 12, 0, &reads);
    contract.chapter("read-blocks", 7, 5, &read_blocks);
    contract.chapter("transactions", 0, 0, &transactions);
    contract.chapter("batches", 0, 0, &batches);
    contract.chapter("errors", 0, 0, &errors);
    contract.chapter("pool", 10, 0, &pool);
    contract.finish();
}
