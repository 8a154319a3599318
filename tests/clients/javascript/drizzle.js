// SPDX-License-Identifier: Apache-2.0
// Drizzle over node-postgres and over postgres.js: queries, relations, prepared statements, transactions.
'use strict';
const { drizzle: overPg } = require('drizzle-orm/node-postgres');
const { drizzle: overPostgres } = require('drizzle-orm/postgres-js');
const { pgTable, integer, text, numeric, timestamp } = require('drizzle-orm/pg-core');
const { asc, count, eq, inArray, like, relations, sql, sum } = require('drizzle-orm');
const { Pool } = require('pg');
const postgres = require('postgres');
const contract = require('./contract');

const owners = pgTable('owners', { id: integer('id').primaryKey(), name: text('name') });
const items = pgTable('items', { id: integer('id').primaryKey(), name: text('name'), price: numeric('price'),
  added: timestamp('added', { withTimezone: true }), ownerId: integer('owner_id').references(() => owners.id) });
const written = pgTable('written', { id: integer('id').primaryKey(), name: text('name') });
const schema = { owners, items, written,
  ofItems: relations(items, ({ one }) => ({ owner: one(owners, { fields: [items.ownerId], references: [owners.id] }) })),
  ofOwners: relations(owners, ({ many }) => ({ items: many(items) })) };

const drivers = {
  'node-postgres': async (url, work) => {
    const pool = new Pool({ connectionString: url, max: 1 });
    try {
      return await work(overPg(pool, { schema }));
    } finally {
      await pool.end();
    }
  },
  'postgres.js': async (url, work) => {
    const client = postgres(url, { max: 1, onnotice: () => {} });
    try {
      return await work(overPostgres(client, { schema }));
    } finally {
      await client.end();
    }
  },
};

const byId = (db, id) => db.select().from(items).where(eq(items.id, id));

async function reads(db) {
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(await byId(db, i));
  const prepared = db.select().from(items).where(eq(items.id, sql.placeholder('id'))).prepare('by_id');
  for (let i = 1; i <= 5; i++) seen.push(await prepared.execute({ id: i }));
  seen.push(await db.select({ owner: owners.name, n: count(), total: sum(items.price) }).from(items)
    .innerJoin(owners, eq(owners.id, items.ownerId)).groupBy(owners.name).orderBy(asc(owners.name)));
  seen.push(await db.select().from(items).where(inArray(items.id, [1, 2, 3])).orderBy(items.id));
  seen.push(await db.select().from(items).where(like(items.name, 'item 1%')).orderBy(items.id).limit(3));
  return seen;
}

const lateral = async (db) => [
  await db.query.items.findFirst({ where: eq(items.id, 3), with: { owner: true } }),
  await db.query.owners.findMany({ limit: 2, orderBy: owners.id, with: { items: { orderBy: items.id, limit: 2 } } })];

async function readBlocks(db) {
  const seen = [await byId(db, 1), await byId(db, 1)];
  for (let i = 1; i <= 5; i++) seen.push(await db.transaction((block) => byId(block, i)));
  return seen;
}

async function transactions(db) {
  const seen = [];
  await db.delete(written);
  await db.transaction(async (block) => {
    seen.push(await block.insert(written).values({ id: 1, name: 'one' }).returning());
    seen.push(await contract.refused(() => block.transaction((inner) => inner.insert(written).values({ id: 1 }))));
    seen.push(await block.select().from(written).for('update'));
  });
  seen.push(await db.transaction((block) => block.select().from(written),
    { isolationLevel: 'repeatable read', accessMode: 'read only' }));
  seen.push(await contract.refused(() => db.transaction(async (block) => {
    await block.insert(written).values({ id: 2 });
    block.rollback();
  })));
  seen.push(await db.select().from(written));
  return seen;
}

async function batches(db) {
  await db.delete(written);
  await db.insert(written).values(Array.from({ length: 300 }, (_, id) => ({ id, name: `${id}` })));
  await db.insert(written).values({ id: 1, name: 'up' }).onConflictDoUpdate({ target: written.id, set: { name: 'up' } });
  return [await db.$count(written), await db.select().from(written).where(eq(written.id, 1))];
}

async function errors(db) {
  const seen = [];
  for (const text of ['SELECT nothing FROM items', 'SELECT 1 / (id - 5) FROM items WHERE id = 5', 'SELEC']) {
    seen.push(await contract.refused(() => db.execute(sql.raw(text))));
  }
  return seen;
}

async function main() {
  contract.start('Drizzle', 'drizzle-orm');
  for (const [driver, session] of Object.entries(drivers)) {
    const chapter = (name, work, wanted) =>
      contract.chapter(`${name}-${driver}`, (url) => session(url, work), wanted);
    // Over postgres.js every query is prepared anew, in front of a Flush, by which a block comes to the origin.
    await chapter('reads', reads, { hits: 11 });
    await chapter('lateral', lateral, { hits: driver === 'postgres.js' ? 0 : 2 });
    await chapter('read-blocks', readBlocks, { hits: 5, local: driver === 'postgres.js' ? 0 : 5 });
    await chapter('transactions', transactions);
    await chapter('batches', batches);
    await chapter('errors', errors);
  }
  contract.finish();
}

main();
