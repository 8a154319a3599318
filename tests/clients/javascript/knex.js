// SPDX-License-Identifier: Apache-2.0
// Knex over node-postgres: a pool, whose sessions it greets with version(), which counts as a possible write.
'use strict';
const knex = require('knex');
const contract = require('./contract');

async function session(url, work, options = {}) {
  const db = knex({ client: 'pg', connection: url, pool: { min: 1, max: 1 }, ...options });
  try {
    return await work(db);
  } finally {
    await db.destroy();
  }
}

const byId = (db, id) => db('items').select('id', 'name', 'price', 'added').where({ id });

const connect = (url) => session(url, async (db) => [
  (await db.raw('SHOW search_path')).rows, await byId(db, 1), await db('items').columnInfo(),
], { searchPath: ['public', 'elsewhere'] });

const reads = (url) => session(url, async (db) => {
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(await byId(db, i), await byId(db, i).first());
  seen.push(await db('items').join('owners', 'owners.id', 'items.owner_id').select('owners.name')
    .count('* as n').sum('price').groupBy('owners.name').having(db.raw('count(*) > ?', [5])).orderBy('owners.name'));
  seen.push(await db('items').whereIn('id', [1, 2, 3]).orderBy('id').pluck('name'));
  seen.push(await db.with('cheap', byId(db, 1)).select().from('cheap'));
  seen.push(await db('items').whereExists(db('owners').whereRaw('owners.id = items.owner_id').where('name', 'owner 3'))
    .orderBy('id').limit(2).offset(1));
  return seen;
});

const readBlocks = (url) => session(url, async (db) => {
  await byId(db, 1);
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(await db.transaction((block) => byId(block, i)));
  return seen;
});

const transactions = (url) => session(url, async (db) => {
  await db('written').del();
  const seen = [];
  await db.transaction(async (block) => {
    seen.push(await block('written').insert({ id: 1, name: 'one' }).returning('*'));
    seen.push(await contract.refused(() => block.transaction((inner) => inner('written').insert({ id: 1 }))));
    seen.push(await block('written').forUpdate().where({ id: 1 }));
  });
  seen.push(await contract.refused(() => db.transaction(async (block) => {
    await block('written').insert({ id: 2 });
    throw new Error('undo');
  })));
  seen.push(await db.transaction((block) => block('written'), { isolationLevel: 'repeatable read', readOnly: true }));
  return seen;
});

const batches = (url) => session(url, async (db) => {
  await db('written').del();
  await db.batchInsert('written', Array.from({ length: 500 }, (_, id) => ({ id, name: `${id}` })), 100);
  await db('written').insert({ id: 1, name: 'up' }).onConflict('id').merge();
  return [await db('written').count(), await db('written').max('name')];
});

const errors = (url) => session(url, async (db) => {
  const seen = [];
  for (const text of ['SELECT nothing FROM items', 'SELECT 1 / (id - 5) FROM items WHERE id = 5', 'SELEC']) {
    seen.push(await contract.refused(() => db.raw(text)));
  }
  return seen;
});

const cancel = (url) => session(url, async (db) => [
  await contract.refused(() => db.raw('SELECT pg_sleep(30)').timeout(300, { cancel: true })), await byId(db, 1),
], { pool: { min: 1, max: 2 } });

async function main() {
  contract.start('Knex', 'knex');
  await contract.chapter('connect', connect);
  await contract.chapter('reads', reads, { hits: 13 });
  await contract.chapter('read-blocks', readBlocks, { hits: 5, local: 5 });
  await contract.chapter('transactions', transactions);
  await contract.chapter('batches', batches);
  await contract.chapter('errors', errors);
  await contract.chapter('cancel', cancel);
  contract.finish();
}

main();
