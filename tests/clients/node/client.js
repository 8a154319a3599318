// SPDX-License-Identifier: Apache-2.0
// node-postgres, which speaks the protocol by itself: plain and parametrised queries, named statements,
// a pool, notifications, many queries queued at once.
//
// Usage: node client.js PORT ADMIN_PORT ORIGIN_PORT, with the modules in $NODE_PATH
'use strict';
const assert = require('assert');
const { Client, Pool } = require('pg');

const [port, admin, origin] = process.argv.slice(2, 5).map(Number);
const where = { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' };
const byId = 'SELECT name FROM items WHERE id = $1';

async function routes() {
  const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  const counts = {};
  for (const [, labels, value] of text.matchAll(/^pgcache_queries_total\{(.*)\} (\S+)$/gm)) {
    const named = Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1], m[2]]));
    const name = named.reason ? `${named.route}:${named.reason}` : named.route;
    counts[name] = (counts[name] || 0) + Number(value);
  }
  return counts;
}

async function taken(work) {
  const before = await routes();
  await work();
  const difference = {};
  for (const [name, count] of Object.entries(await routes())) {
    if (count !== (before[name] || 0)) difference[name] = count - (before[name] || 0);
  }
  return difference;
}

async function untilHit(work) {
  let last;
  for (let i = 0; i < 500; i++) {
    last = await taken(work);
    if (last.hit === 1 && Object.keys(last).length === 1) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never a hit, last ${JSON.stringify(last)}`);
}

async function main() {
  const client = new Client(where);
  await client.connect();
  const read = async (id) => (await client.query(byId, [id])).rows[0].name;
  await untilHit(() => read(80));
  assert.deepStrictEqual(await taken(async () => {
    for (let i = 0; i < 20; i++) assert.strictEqual(await read(80), 'item 80');
  }), { hit: 20 });

  await untilHit(() => client.query('SELECT name FROM items WHERE id = 81'));
  const named = () => client.query({ name: 'by id', text: byId, values: [82] });
  await untilHit(named);
  assert.deepStrictEqual(await taken(async () => {
    for (let i = 0; i < 20; i++) assert.strictEqual((await named()).rows[0].name, 'item 82');
  }), { hit: 20 });

  // Queued at once; the library sends one after the other.
  const many = await Promise.all(Array.from({ length: 100 }, (_, i) => read(80 + (i % 5))));
  many.forEach((name, i) => assert.strictEqual(name, `item ${80 + (i % 5)}`));

  const direct = new Client({ ...where, port: origin });
  await direct.connect();
  await direct.query("UPDATE items SET name = 'node' WHERE id = 83");
  for (let i = 0; (await read(83)) !== 'node'; i++) {
    assert.ok(i < 500, 'the change never came');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }

  await client.query('BEGIN');
  await client.query("UPDATE items SET name = 'block' WHERE id = 84");
  assert.strictEqual(await read(84), 'block');
  await client.query('ROLLBACK');
  assert.strictEqual(await read(84), 'item 84');

  for (let i = 0; i < 50; i++) {
    await client.query('UPDATE counters SET n = $1 WHERE id = 2', [i]);
    assert.strictEqual((await client.query('SELECT n FROM counters WHERE id = $1', [2])).rows[0].n, i);
  }
  await assert.rejects(client.query('SELECT nothing FROM items WHERE id = $1', [1]), { code: '42703' });
  await assert.rejects(client.query(byId, ['no number']), { code: '22P02' });

  const heard = new Promise((resolve) => client.once('notification', resolve));
  await client.query('LISTEN node');
  await direct.query("NOTIFY node, 'hello'");
  assert.strictEqual((await heard).payload, 'hello');

  const pool = new Pool({ ...where, max: 5 });
  const before = await routes();
  const all = await Promise.all(Array.from({ length: 200 }, (_, i) => pool.query(byId, [85 + (i % 7)])));
  all.forEach((result, i) => assert.strictEqual(result.rows[0].name, `item ${85 + (i % 7)}`));
  assert.ok((await routes()).hit - before.hit >= 150);
  await pool.end();
  await direct.end();
  await client.end();
  console.log('node-postgres ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
