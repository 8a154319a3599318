// SPDX-License-Identifier: Apache-2.0
// postgres.js: named statements for every query, pipelined on each connection of its pool. A new session reads the
// catalog for the types of arrays, which counts as a possible write.
'use strict';
const { Readable, Writable } = require('stream');
const { pipeline } = require('stream/promises');
const postgres = require('postgres');
const contract = require('./contract');

async function session(url, work, options = {}) {
  const sql = postgres(url, { max: 1, onnotice: () => {}, ...options });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

const byId = (sql, id) => sql`SELECT id, name, price, added FROM items WHERE id = ${id}`;

const connect = (url) => session(url, async (sql) => [
  await sql`SHOW application_name`, await sql`SELECT name FROM items WHERE id = 1`, sql.parameters.TimeZone,
], { connection: { application_name: 'postgres.js', TimeZone: 'Asia/Tokyo' } });

const types = (url) => session(url, async (sql) => {
  const seen = [];
  for (const column of contract.kinds) {
    for (let i = 0; i < 2; i++) {
      const rows = await sql`SELECT ${sql(column)} FROM kinds ORDER BY id`;
      seen.push([column, rows.columns, Array.from(rows)]);
    }
  }
  return seen;
});

const roundTrip = (url) => session(url, async (sql) => {
  const seen = [];
  await sql`TRUNCATE kinds_back`;
  await sql`INSERT INTO kinds_back (id) SELECT id FROM kinds`;
  for (const column of contract.kinds) {
    for (const row of [1, 2, 3]) {
      const [[value]] = await sql`SELECT ${sql(column)} FROM kinds WHERE id = ${row}`.values();
      seen.push(await contract.refused(async () => {
        await sql`UPDATE kinds_back SET ${sql(column)} = ${value} WHERE id = ${row}`;
      }));
      seen.push(Array.from(await sql`SELECT ${sql(column)}::text FROM kinds_back WHERE id = ${row}`));
    }
  }
  return seen;
});

const prepared = (url) => session(url, async (sql) => {
  const seen = [];
  for (let i = 1; i <= 10; i++) seen.push(Array.from(await byId(sql, i)));
  return seen;
});

const unprepared = (url) => session(url, async (sql) => {
  const seen = [];
  for (let i = 1; i <= 10; i++) seen.push(Array.from(await byId(sql, i)));
  return seen;
}, { prepare: false });

const simple = (url) => session(url, async (sql) => {
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(Array.from(await sql.unsafe(`SELECT name FROM items WHERE id = ${i}`)));
  seen.push(Array.from(await sql`SELECT 1 AS a; SELECT name FROM items WHERE id = 1`.simple()));
  return seen;
});

const readBlocks = (url) => session(url, async (sql) => {
  const seen = [Array.from(await byId(sql, 1)), Array.from(await byId(sql, 2))];
  for (let i = 1; i <= 5; i++) seen.push(await sql.begin(async (block) => Array.from(await byId(block, i))));
  return seen;
});

const transactions = (url) => session(url, async (sql) => {
  const seen = [];
  await sql`DELETE FROM written`;
  await sql.begin(async (block) => {
    await block`INSERT INTO written VALUES (1, 'one')`;
    seen.push(await contract.refused(() => block.savepoint((s) => s`INSERT INTO written VALUES (1, 'again')`)));
    seen.push(Array.from(await block`SELECT * FROM written`));
  });
  seen.push(await contract.refused(() => sql.begin(async (block) => {
    await block`INSERT INTO written VALUES (2, 'two')`;
    throw new Error('undo');
  })));
  seen.push(Array.from(await sql`SELECT * FROM written`));
  seen.push(Array.from(await sql.begin('ISOLATION LEVEL SERIALIZABLE READ ONLY', (block) => byId(block, 1))));
  return seen;
});

const pipelined = (url) => session(url, async (sql) => {
  const warm = await byId(sql, 1);
  const rows = await Promise.all(Array.from({ length: 20 }, (_, i) => byId(sql, i + 1)));
  return [Array.from(warm), ...rows.map((r) => Array.from(r))];
});

const pipelinedBlock = (url) => session(url, async (sql) => {
  const warm = await byId(sql, 1);
  const rows = await sql.begin((block) => [byId(block, 1), byId(block, 2), byId(block, 3)]);
  return [Array.from(warm), ...rows.map((r) => Array.from(r))];
});

const cursors = (url) => session(url, async (sql) => {
  const seen = [];
  await sql`SELECT id, name FROM items ORDER BY id`.cursor(7, (rows) => { seen.push(Array.from(rows)); });
  for await (const rows of sql`SELECT id FROM items ORDER BY id`.cursor(30)) {
    seen.push(Array.from(rows));
    break;
  }
  await sql`SELECT id FROM items ORDER BY id`.forEach((row) => { seen.push(row); });
  return seen;
});

const copies = (url) => session(url, async (sql) => {
  await sql`TRUNCATE copied`;
  const rows = Array.from({ length: 3000 }, (_, i) => `${i}\tv${'x'.repeat(i % 300)}\t${i / 2}\n`);
  await pipeline(Readable.from(rows), await sql`COPY copied FROM STDIN`.writable());
  const parts = [];
  await pipeline(await sql`COPY (SELECT * FROM copied ORDER BY id) TO STDOUT`.readable(),
    new Writable({ write(chunk, _, next) { parts.push(chunk); next(); } }));
  return [Buffer.concat(parts), Array.from(await sql`SELECT count(*) FROM copied`)];
});

const errors = (url) => session(url, async (sql) => {
  const seen = [];
  for (const text of ['SELECT nothing FROM items', 'SELECT 1 / (id - 5) FROM items WHERE id = 5', 'SELEC',
    'INSERT INTO items SELECT * FROM items', "SELECT 'x'::mood"]) {
    for (const prepare of [false, true, true]) seen.push(await contract.refused(() => sql.unsafe(text, [], { prepare })));
  }
  seen.push(await contract.refused(() => sql`SELECT ${'x'}::int`));
  seen.push(Array.from(await byId(sql, 1)));
  return seen;
});

const cancel = (url) => session(url, async (sql) => {
  const query = sql`SELECT pg_sleep(30)`;
  const running = contract.refused(() => query);
  await contract.pause(300);
  await query.cancel();
  return [await running, Array.from(await byId(sql, 1))];
});

const notify = (url) => session(url, async (sql) => {
  const seen = [];
  let done;
  const all = new Promise((resolve) => { done = resolve; });
  const { unlisten } = await sql.listen('news', (payload) => seen.push(payload) === 3 && done());
  for (let i = 0; i < 3; i++) await sql.notify('news', `number ${i}`);
  await all;
  await unlisten();
  return seen;
}, { max: 2 });

async function main() {
  contract.start('postgres.js', 'postgres');
  await contract.chapter('connect', connect);
  await contract.chapter('types', types, { hits: contract.kinds.length - 1 });
  await contract.chapter('round-trip', roundTrip);
  await contract.chapter('prepared', prepared, { hits: 8 });
  await contract.chapter('unprepared', unprepared, { hits: 8 });
  await contract.chapter('simple', simple, { hits: 4 });
  await contract.chapter('read-blocks', readBlocks, { hits: 5, local: 4 });
  await contract.chapter('transactions', transactions);
  await contract.chapter('pipelined', pipelined, { hits: 18 });
  await contract.chapter('pipelined-block', pipelinedBlock);
  await contract.chapter('cursors', cursors);
  await contract.chapter('copy', copies);
  await contract.chapter('errors', errors);
  await contract.chapter('cancel', cancel);
  await contract.chapter('notify', notify);
  contract.finish();
}

main();
