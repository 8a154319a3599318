// SPDX-License-Identifier: Apache-2.0
// Kysely over node-postgres: its query builder, transactions and savepoints, rows as a stream from a cursor.
'use strict';
const { Kysely, PostgresDialect, sql } = require('kysely');
const { Pool } = require('pg');
const Cursor = require('pg-cursor');
const contract = require('./contract');

async function session(url, work, options = {}) {
  const db = new Kysely({ dialect: new PostgresDialect({ cursor: Cursor, pool: new Pool({ connectionString: url, max: 1, ...options }) }) });
  try {
    return await work(db);
  } finally {
    await db.destroy();
  }
}

const byId = (db, id) => db.selectFrom('items').select(['id', 'name', 'price', 'added']).where('id', '=', id);

const connect = (url) => session(url, async (db) => [
  (await sql`SHOW application_name`.execute(db)).rows, await byId(db, 1).execute(),
  (await db.introspection.getTables()).filter((table) => table.schema === 'public').map((table) => [table.name, table.columns]),
], { application_name: 'kysely' });

const types = (url) => session(url, async (db) => {
  const seen = [];
  for (const column of contract.kinds) {
    seen.push(await db.selectFrom('kinds').select(column).where('id', '<', 10).orderBy('id').execute());
  }
  return seen;
});

const searches = (url) => session(url, async (db) => {
  const seen = [];
  for (const column of contract.searched) {
    const { [column]: value } = await db.selectFrom('kinds').select(column).where('id', '=', 1).executeTakeFirst();
    seen.push(await db.selectFrom('kinds').select('id').where(column, '=', value).execute());
  }
  return seen;
});

const reads = (url) => session(url, async (db) => {
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(await byId(db, i).execute(), await byId(db, i).executeTakeFirst());
  seen.push(await db.selectFrom('items').innerJoin('owners', 'owners.id', 'items.owner_id')
    .select((eb) => ['owners.name', eb.fn.countAll().as('n'), eb.fn.sum('price').as('total')])
    .groupBy('owners.name').having((eb) => eb.fn.countAll(), '>', 5).orderBy('owners.name').execute());
  seen.push(await db.selectFrom('items').select('name').where('id', 'in', [1, 2, 3]).orderBy('id').execute());
  seen.push(await db.with('cheap', (with_) => byId(with_, 1)).selectFrom('cheap').selectAll().execute());
  seen.push(await db.selectFrom('items').selectAll().where((eb) => eb.exists(eb.selectFrom('owners').select('owners.id')
    .whereRef('owners.id', '=', 'items.owner_id').where('owners.name', '=', 'owner 3')))
    .orderBy('id').limit(2).offset(1).execute());
  seen.push((await sql`SELECT name FROM items WHERE id = ${7} OR name = ${'item 8'} ORDER BY id`.execute(db)).rows);
  return seen;
});

const readBlocks = (url) => session(url, async (db) => {
  await byId(db, 1).execute();
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(await db.transaction().execute((block) => byId(block, i).execute()));
  return seen;
});

const transactions = (url) => session(url, async (db) => {
  await db.deleteFrom('written').execute();
  const seen = [];
  await db.transaction().execute(async (block) => {
    seen.push(await block.insertInto('written').values({ id: 1, name: 'one' }).returningAll().execute());
    seen.push(await block.selectFrom('written').selectAll().forUpdate().skipLocked().execute());
  });
  seen.push(await contract.refused(() => db.transaction().execute(async (block) => {
    await block.insertInto('written').values({ id: 2 }).execute();
    throw new Error('undo');
  })));
  const block = await db.startTransaction().execute();
  await block.insertInto('written').values({ id: 3 }).execute();
  const saved = await block.savepoint('s').execute();
  seen.push(await contract.refused(() => saved.insertInto('written').values({ id: 3 }).execute()));
  await saved.rollbackToSavepoint('s').execute();
  seen.push(await block.selectFrom('written').selectAll().orderBy('id').execute());
  await block.commit().execute();
  seen.push(await db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
    .execute((tx) => tx.selectFrom('written').selectAll().orderBy('id').execute()));
  return seen;
});

const batches = (url) => session(url, async (db) => {
  await db.deleteFrom('written').execute();
  const rows = Array.from({ length: 500 }, (_, id) => ({ id, name: `${id}` }));
  const seen = [await db.insertInto('written').values(rows).executeTakeFirst()];
  seen.push(await db.insertInto('written').values({ id: 1, name: 'up' })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ name: 'up' })).executeTakeFirst());
  seen.push(await db.updateTable('written').set({ name: 'many' }).where('id', '<', 10).executeTakeFirst());
  seen.push(await db.selectFrom('written').select((eb) => [eb.fn.countAll().as('n'), eb.fn.max('name').as('m')]).execute());
  return seen;
});

const stream = (url) => session(url, async (db) => {
  const seen = [];
  for await (const row of db.selectFrom('items').select(['id', 'name']).orderBy('id').stream(30)) seen.push(row);
  for await (const row of byId(db, 3).stream(30)) seen.push(row);
  return seen;
});

const errors = (url) => session(url, async (db) => {
  const seen = [];
  for (const text of ['SELECT nothing FROM items', 'SELECT 1 / (id - 5) FROM items WHERE id = 5', 'SELEC',
    "INSERT INTO items VALUES (1000, 'x', 1, now(), 1000)"]) {
    seen.push(await contract.refused(() => sql.raw(text).execute(db)));
  }
  seen.push(await contract.refused(() => byId(db, 'five').execute()), await contract.refused(() => byId(db, 2 ** 40).execute()));
  seen.push(await contract.refused(() => byId(db, 1000).executeTakeFirstOrThrow()));
  return seen;
});

async function main() {
  contract.start('Kysely', 'kysely');
  await contract.chapter('connect', connect);
  await contract.chapter('types', types, { hits: contract.kinds.length });
  await contract.chapter('searches', searches, { hits: 2 * contract.searched.length });
  await contract.chapter('reads', reads, { hits: 15 });
  await contract.chapter('read-blocks', readBlocks, { hits: 6, local: 5 });
  await contract.chapter('transactions', transactions);
  await contract.chapter('batches', batches);
  await contract.chapter('stream', stream);
  await contract.chapter('errors', errors);
  contract.finish();
}

main();
