// SPDX-License-Identifier: Apache-2.0
// node-postgres: text and binary results, unnamed and named statements, cursors, COPY streams, a pool.
'use strict';
const { Readable, Writable } = require('stream');
const { pipeline } = require('stream/promises');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const copy = require('pg-copy-streams');
const contract = require('./contract');

const BY_ID = 'SELECT id, name, price, added FROM items WHERE id = $1';

async function session(url, work, options = {}) {
  const client = new Client({ connectionString: url, ...options });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const connect = (url) => session(url, async (client) => [
  (await client.query('SHOW application_name')).rows, (await client.query('SHOW TimeZone')).rows,
  (await client.query('SELECT added::text FROM items WHERE id = 1')).rows,
], { application_name: 'node', options: '-c TimeZone=Asia/Tokyo', statement_timeout: 60000 });

const types = (url) => session(url, async (client) => {
  const seen = [];
  for (const binary of [false, true]) {
    for (const column of contract.kinds) {
      // It has no binary form of these.
      if (binary && /numrange|lsn|lseg|multirange|matrix|array/.test(column)) continue;
      const text = `SELECT ${column} FROM kinds ORDER BY id`;
      try {
        const result = await client.query({ text, binary });
        seen.push([column, result.fields, result.rows]);
      } catch (error) {
        seen.push([column, error.message]);
      }
    }
  }
  return seen;
});

const roundTrip = (url) => session(url, async (client) => {
  const seen = [];
  await client.query('TRUNCATE kinds_back; INSERT INTO kinds_back (id) SELECT id FROM kinds');
  for (const column of contract.kinds) {
    for (const row of [1, 2, 3]) {
      const [value] = (await client.query({ text: `SELECT ${column} FROM kinds WHERE id = $1`, values: [row],
        rowMode: 'array' })).rows[0];
      seen.push(await contract.refused(() => client.query(`UPDATE kinds_back SET ${column} = $1 WHERE id = $2`,
        [value, row])));
      seen.push((await client.query(`SELECT ${column}::text FROM kinds_back WHERE id = $1`, [row])).rows);
    }
  }
  return seen;
});

const searches = (url) => session(url, async (client) => {
  const seen = [];
  for (const column of contract.searched) {
    const [value] = (await client.query({ text: `SELECT ${column} FROM kinds WHERE id = 1`, rowMode: 'array' })).rows[0];
    seen.push([column, (await client.query(`SELECT id FROM kinds WHERE ${column} = $1`, [value])).rows]);
  }
  seen.push((await client.query('SELECT id FROM items WHERE id = ANY($1)', [[1, 2, 3]])).rows);
  return seen;
});

const prepared = (url) => session(url, async (client) => {
  const seen = [];
  for (let i = 1; i <= 10; i++) seen.push((await client.query({ name: 'by id', text: BY_ID, values: [i] })).rows);
  for (let i = 1; i <= 10; i++) seen.push((await client.query(BY_ID, [i])).rows);
  return seen;
});

const readBlocks = (url) => session(url, async (client) => {
  const seen = [];
  for (let i = 1; i <= 6; i++) {
    await client.query('BEGIN');
    seen.push((await client.query(BY_ID, [i])).rows);
    await client.query(i % 2 ? 'COMMIT' : 'ROLLBACK');
  }
  return seen;
});

const transactions = (url) => session(url, async (client) => {
  const seen = [];
  await client.query('DELETE FROM written');
  await client.query('BEGIN');
  await client.query('INSERT INTO written VALUES ($1, $2)', [1, 'one']);
  await client.query('SAVEPOINT s');
  seen.push(await contract.refused(() => client.query('INSERT INTO written VALUES ($1, $2)', [1, 'again'])));
  await client.query('ROLLBACK TO s');
  seen.push((await client.query('SELECT * FROM written')).rows);
  await client.query('COMMIT');
  for (const level of ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']) {
    await client.query(`BEGIN ISOLATION LEVEL ${level}`);
    seen.push((await client.query('SELECT * FROM written')).rows);
    await client.query('COMMIT');
  }
  return seen;
});

// Queued at once; the driver sends the next when the last is answered.
const batches = (url) => session(url, async (client) => {
  const seen = await Promise.all(Array.from({ length: 20 }, (_, i) => client.query(BY_ID, [i + 1])));
  return seen.map((result) => result.rows);
});

const severalStatements = (url) => session(url, async (client) => (
  await client.query('SELECT 1 AS a; SELECT name FROM items WHERE id = 1; SELECT 3 AS c')).map((result) => result.rows));

// All at once, without waiting for answers.
const pipelined = (url) => session(url, async (client) => {
  const seen = await Promise.all(Array.from({ length: 20 }, (_, i) => client.query(BY_ID, [i + 1])));
  return seen.map((result) => result.rows);
}, { pipelineMode: true });

const cursors = (url) => session(url, async (client) => {
  const seen = [];
  const cursor = client.query(new Cursor('SELECT id, name FROM items WHERE id > $1 ORDER BY id', [10]));
  for (let rows = await cursor.read(7); rows.length; rows = await cursor.read(7)) seen.push(rows);
  const ids = 'SELECT id FROM items ORDER BY id';
  const whole = client.query(new Cursor(ids));
  seen.push(await whole.read(1000), await whole.read(1));
  const half = client.query(new Cursor(ids));
  seen.push(await half.read(3));
  await half.close();
  seen.push((await client.query(BY_ID, [1])).rows);
  await client.query('BEGIN');
  const inBlock = client.query(new Cursor(ids));
  seen.push(await inBlock.read(3), await inBlock.read(4));
  await inBlock.close();
  await client.query('COMMIT');
  return seen;
});

// What goes on in the middle of a cursor goes on behind it; errors end it.
const cursorsAndOthers = (url) => session(url, async (client) => {
  const seen = [];
  await client.query('DELETE FROM written');
  const cursor = client.query(new Cursor('SELECT id FROM items ORDER BY id'));
  const other = client.query('INSERT INTO written VALUES (1, $1)', ['one']);
  seen.push(await cursor.read(5), await cursor.read(5));
  await cursor.close();
  await other;
  const failing = client.query(new Cursor('SELECT 10 / (3 - id) AS v FROM items WHERE id < 4 ORDER BY id'));
  seen.push(await contract.refused(() => failing.read(1)), await contract.refused(() => failing.read(5)));
  seen.push((await client.query('SELECT * FROM written')).rows);
  return seen;
});

const copies = (url) => session(url, async (client) => {
  await client.query('TRUNCATE copied');
  const rows = Array.from({ length: 3000 }, (_, i) => `${i}\tv${'x'.repeat(i % 300)}\t${i / 2}\n`);
  await pipeline(Readable.from(rows), client.query(copy.from('COPY copied FROM STDIN')));
  const parts = [];
  await pipeline(client.query(copy.to('COPY (SELECT * FROM copied ORDER BY id) TO STDOUT')),
    new Writable({ write(chunk, _, next) { parts.push(chunk); next(); } }));
  const seen = [Buffer.concat(parts)];
  seen.push(await contract.refused(() => pipeline(Readable.from(['1\tagain\t1\n']),
    client.query(copy.from('COPY copied FROM STDIN')))));
  seen.push((await client.query('SELECT count(*) FROM copied')).rows);
  return seen;
});

const errors = (url) => session(url, async (client) => {
  const seen = [];
  client.on('notice', (notice) => seen.push(notice.message));
  for (const [text, values] of [['SELECT nothing FROM items'], ['SELECT 1 / (id - $1) FROM items WHERE id = 5', [5]],
    ['INSERT INTO items SELECT * FROM items'], ['SELEC'], ["SELECT 'x'::mood"], ['SELECT $1::int', ['x']]]) {
    for (let i = 0; i < 2; i++) seen.push(await contract.refused(() => client.query(text, values)));
  }
  await client.query("DO $$ BEGIN RAISE WARNING 'careful'; END $$");
  await client.query('BEGIN');
  seen.push(await contract.refused(() => client.query('SELECT 1 / 0')));
  seen.push(await contract.refused(() => client.query(BY_ID, [1])));
  await client.query('ROLLBACK');
  seen.push((await client.query(BY_ID, [1])).rows);
  return seen;
});

// By a second connection of the driver's own, and by its time limit.
const cancel = (url) => session(url, async (client) => {
  const running = contract.refused(() => client.query('SELECT pg_sleep(30)'));
  await contract.pause(300);
  const other = new Client({ connectionString: url });
  other.connection.on('connect', () => other.connection.cancel(client.processID, client.secretKey));
  other.connection.on('error', () => {});
  other.connection.connect(client.port, client.host);
  const seen = [await running];
  seen.push((await client.query(BY_ID, [1])).rows);
  return seen;
});

const notify = (url) => session(url, (client) => session(url, async (other) => {
  const seen = [];
  const all = new Promise((resolve) => {
    client.on('notification', ({ channel, payload }) => seen.push([channel, payload]) === 3 && resolve());
  });
  await client.query('LISTEN news');
  for (let i = 0; i < 3; i++) await other.query("SELECT pg_notify('news', $1)", [`number ${i}`]);
  await all;
  return seen;
}));

async function pool(url) {
  const connections = new Pool({ connectionString: url, max: 2 });
  await connections.query(BY_ID, [1]);
  const results = await Promise.all(Array.from({ length: 20 }, (_, i) => connections.query(BY_ID, [i % 5 + 1])));
  await connections.end();
  return results.map((result) => result.rows);
}

async function main() {
  contract.start('node-postgres', 'pg');
  await contract.chapter('connect', connect);
  await contract.chapter('types', types, { hits: 2 * contract.kinds.length - 9 });
  await contract.chapter('round-trip', roundTrip);
  await contract.chapter('searches', searches, { hits: 2 * contract.searched.length + 1 });
  await contract.chapter('prepared', prepared, { hits: 20 });
  await contract.chapter('read-blocks', readBlocks, { hits: 6, local: 5 });
  await contract.chapter('transactions', transactions);
  await contract.chapter('batches', batches, { hits: 20 });
  await contract.chapter('several-statements', severalStatements);
  await contract.chapter('pipelined', pipelined);
  await contract.chapter('cursors', cursors, { hits: 10, local: 1 });
  await contract.chapter('cursors-and-others', cursorsAndOthers);
  await contract.chapter('copy', copies);
  await contract.chapter('errors', errors);
  await contract.chapter('cancel', cancel);
  await contract.chapter('notify', notify);
  await contract.chapter('pool', pool, { hits: 21 });
  contract.finish();
}

main();
