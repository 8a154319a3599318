// SPDX-License-Identifier: Apache-2.0
// Prisma, its query compiler over node-postgres.
'use strict';
const { PrismaClient } = require('@prisma/client');
const { PrismaPg } = require('@prisma/adapter-pg');
const contract = require('./contract');

async function session(url, work) {
  const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 1 }), log: [] });
  try {
    return await work(db);
  } finally {
    await db.$disconnect();
  }
}

const byId = (db, id) => db.items.findUnique({ where: { id } });

const connect = (url) => session(url, async (db) => [await db.$queryRaw`SHOW search_path`, await byId(db, 1)]);

const reads = (url) => session(url, async (db) => {
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(await byId(db, i));
  seen.push(await db.items.findMany({ where: { id: { lte: 3 } }, include: { owner: true }, orderBy: { id: 'asc' } }));
  seen.push(await db.owners.findMany({ include: { items: { orderBy: { id: 'asc' }, take: 2 } },
    orderBy: { id: 'asc' }, take: 2 }));
  seen.push(await db.items.groupBy({ by: ['owner_id'], _count: true, _sum: { price: true },
    orderBy: { owner_id: 'asc' } }));
  seen.push(await db.items.aggregate({ _avg: { price: true }, _count: true, where: { name: { startsWith: 'item 1' } } }));
  seen.push(await db.items.findMany({ where: { id: { in: [1, 2, 3] }, owner: { name: 'owner 2' } } }));
  seen.push(await db.$queryRaw`SELECT name FROM items WHERE id = ${7}`);
  return seen;
});

const readBlocks = (url) => session(url, async (db) => {
  const seen = [await byId(db, 1)];
  for (let i = 1; i <= 3; i++) seen.push(await db.$transaction((block) => byId(block, i)));
  // Of these it makes one statement without a block.
  for (let i = 1; i <= 2; i++) seen.push(await db.$transaction([byId(db, i), byId(db, i + 1)]));
  return seen;
});

const transactions = (url) => session(url, async (db) => {
  const seen = [];
  await db.written.deleteMany();
  seen.push(await db.$transaction(async (block) => {
    await block.written.create({ data: { id: 1, name: 'one' } });
    return block.written.findMany();
  }));
  seen.push(await contract.refused(() => db.$transaction(async (block) => {
    await block.written.create({ data: { id: 2 } });
    throw new Error('undo');
  })));
  seen.push(await db.$transaction((block) => block.written.findMany(), { isolationLevel: 'Serializable' }));
  seen.push(await db.written.upsert({ where: { id: 1 }, create: { id: 1 }, update: { name: 'up' } }));
  seen.push(await db.written.findMany());
  return seen;
});

const batches = (url) => session(url, async (db) => {
  await db.written.deleteMany();
  await db.written.createMany({ data: Array.from({ length: 300 }, (_, id) => ({ id, name: `${id}` })) });
  await db.written.updateMany({ where: { id: { lt: 10 } }, data: { name: 'changed' } });
  return [await db.written.count(), await db.written.findMany({ where: { name: 'changed' }, orderBy: { id: 'asc' } })];
});

const errors = (url) => session(url, async (db) => {
  const seen = [];
  const code = async (work) => seen.push((await contract.refused(work)).slice(0, 2));
  await code(() => db.$queryRawUnsafe('SELECT nothing FROM items'));
  await code(() => db.$queryRawUnsafe('SELECT 1 / (id - 5) FROM items WHERE id = 5'));
  await db.written.upsert({ where: { id: 1 }, create: { id: 1 }, update: {} });
  await code(() => db.written.create({ data: { id: 1 } }));
  return seen;
});

async function main() {
  contract.start('Prisma', '@prisma/client');
  await contract.chapter('connect', connect);
  await contract.chapter('reads', reads, { hits: 13 });
  await contract.chapter('read-blocks', readBlocks, { hits: 6, local: 3 });
  await contract.chapter('transactions', transactions);
  await contract.chapter('batches', batches);
  await contract.chapter('errors', errors);
  contract.finish();
}

main();
