// SPDX-License-Identifier: Apache-2.0
// TypeORM over node-postgres: repositories, relations, transactions, streams.
'use strict';
require('reflect-metadata');
const { DataSource, EntitySchema, In, LessThan } = require('typeorm');
const contract = require('./contract');

const id = { type: 'int', primary: true };
const Owner = new EntitySchema({ name: 'owners', columns: { id, name: { type: 'text' } },
  relations: { items: { type: 'one-to-many', target: 'items', inverseSide: 'owner' } } });
const Item = new EntitySchema({ name: 'items',
  columns: { id, name: { type: 'text' }, price: { type: 'numeric' }, added: { type: 'timestamptz' } },
  relations: { owner: { type: 'many-to-one', target: 'owners', inverseSide: 'items',
    joinColumn: { name: 'owner_id' } } } });
const Written = new EntitySchema({ name: 'written', columns: { id, name: { type: 'text', nullable: true } } });

async function session(url, work) {
  const db = new DataSource({ type: 'postgres', url, entities: [Owner, Item, Written], extra: { max: 1 } });
  await db.initialize();
  try {
    return await work(db, db.getRepository(Item));
  } finally {
    await db.destroy();
  }
}

const connect = (url) => session(url, async (db, items) => [db.driver.version, await items.findOneBy({ id: 1 })]);

const reads = (url) => session(url, async (db, items) => {
  await items.count();
  await contract.pause(300); // what it asks for at its start counts as a possible write
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(await items.findOneBy({ id: i }));
  seen.push(await items.find({ relations: { owner: true }, where: { id: LessThan(4) }, order: { id: 'ASC' } }));
  seen.push(await db.getRepository(Owner).find({ relations: { items: true }, where: { id: In([1, 2]) },
    order: { id: 'ASC', items: { id: 'ASC' } } }));
  seen.push(await items.createQueryBuilder('i').innerJoin('i.owner', 'o').select('o.name', 'owner')
    .addSelect('sum(i.price)', 'total').groupBy('o.name').orderBy('o.name').getRawMany());
  seen.push(await items.findAndCount({ order: { id: 'DESC' }, take: 3 }));
  seen.push(await items.exists({ where: { name: 'item 5' } }));
  return seen;
});

const readBlocks = (url) => session(url, async (db, items) => {
  await items.count();
  await contract.pause(300);
  const seen = [await items.findOneBy({ id: 1 })];
  for (let i = 1; i <= 5; i++) seen.push(await db.transaction((block) => block.findOneBy(Item, { id: i })));
  return seen;
});

const transactions = (url) => session(url, async (db) => {
  const seen = [];
  await db.getRepository(Written).deleteAll();
  await db.transaction(async (block) => {
    await block.save(Written, { id: 1, name: 'one' });
    seen.push(await contract.refused(() => block.transaction((inner) => inner.insert(Written, { id: 1 }))));
    seen.push(await block.find(Written, { lock: { mode: 'pessimistic_write' } }));
  });
  seen.push(await db.transaction('SERIALIZABLE', (block) => block.find(Written)));
  seen.push(await db.getRepository(Written).find());
  return seen;
});

const batches = (url) => session(url, async (db) => {
  const written = db.getRepository(Written);
  await written.clear();
  await written.save(Array.from({ length: 200 }, (_, n) => ({ id: n, name: `${n}` })), { chunk: 50 });
  await written.upsert([{ id: 1, name: 'up' }], ['id']);
  return [await written.count(), await written.findOneBy({ id: 1 })];
});

const errors = (url) => session(url, async (db) => {
  const seen = [];
  for (const text of ['SELECT nothing FROM items', 'SELECT 1 / (id - 5) FROM items WHERE id = 5', 'SELEC']) {
    seen.push(await contract.refused(() => db.query(text)));
  }
  return seen;
});

async function main() {
  contract.start('TypeORM', 'typeorm');
  await contract.chapter('connect', connect);
  await contract.chapter('reads', reads, { hits: 11 });
  await contract.chapter('read-blocks', readBlocks, { hits: 6, local: 5 });
  await contract.chapter('transactions', transactions);
  await contract.chapter('batches', batches);
  await contract.chapter('errors', errors);
  contract.finish();
}

main();
