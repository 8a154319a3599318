// SPDX-License-Identifier: Apache-2.0
// The contract of the client programs, for JavaScript; as python/contract.py. What a chapter saw is compared as
// JSON, with what JSON does not tell (buffers, dates, bigints, undefined) spelled out.
'use strict';

const fs = require('fs');

const [pgcache, origin, admin] = process.argv.slice(2, 5);
const PATIENCE_MS = 15000;
const kinds = (`bool int2 int4 int8 numeric float4 float8 money oid text varchar bpchar char name bytea date time
  timetz timestamp timestamptz interval uuid json jsonb jsonpath xml inet cidr macaddr macaddr8 bit varbit point line
  lseg box path polygon circle int4range int8range numrange tsrange tstzrange daterange int4multirange tsvector
  tsquery pg_lsn int4_array text_array numeric_array timestamptz_array matrix enum domain composite`)
  .split(/\s+/).map((name) => `k_${name}`);
const searched = 'bool int2 int4 int8 numeric text date timestamptz uuid enum bytea'.split(' ').map((n) => `k_${n}`);
let failures = 0;

function start(client, module) {
  const { version } = JSON.parse(fs.readFileSync(`${__dirname}/node_modules/${module}/package.json`));
  console.log(`client ${client} ${version}`);
}

async function routes() {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const counts = { local: 0 };
  for (const [, metric, , labels, value] of
    text.matchAll(/^(pgcache_queries_total|pgcache_blocks_local_total)(\{(.*)\})? (\S+)$/gm)) {
    const named = Object.fromEntries([...(labels || '').matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1], m[2]]));
    const name = metric.includes('local') ? 'local' : [named.route, named.reason].filter(Boolean).join(':');
    counts[name] = (counts[name] || 0) + Number(value);
  }
  return counts;
}

function shown(value) {
  if (value === undefined) return 'undefined';
  if (value === null) return 'null';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return String(value);
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return `<${Buffer.from(value).toString('hex')}>`;
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (Array.isArray(value)) return `[${Array.from(value, shown).join(', ')}]`;
  if (typeof value === 'object') {
    const type = value.constructor && value.constructor !== Object ? value.constructor.name : '';
    return `${type}{${Object.entries(value).map(([k, v]) => `${k}: ${shown(v)}`).join(', ')}}`;
  }
  return JSON.stringify(value) ?? String(value);
}

function compare(expected, seen) {
  for (let i = 0; i < Math.max(expected.length, seen.length); i++) {
    if (expected[i] !== seen[i]) throw new Error(`item ${i}: the origin gave ${expected[i]}, pgcache ${seen[i]}`);
  }
}

async function run(work, url) {
  return (await work(url)).map(shown);
}

async function attempt(work, expected, hits, local) {
  const before = await routes();
  compare(expected, await run(work, pgcache));
  const taken = {};
  for (const [name, n] of Object.entries(await routes())) {
    if (n !== (before[name] || 0)) taken[name] = n - (before[name] || 0);
  }
  const missed = Object.keys(taken).some((name) => name === 'miss' || name.startsWith('fallback'));
  const done = !hits || ((taken.hit || 0) >= hits && (taken.local || 0) >= local && !missed);
  return { taken, done };
}

async function chapter(name, work, { hits = 0, local = 0 } = {}) {
  try {
    const expected = await run(work, origin);
    const deadline = Date.now() + PATIENCE_MS;
    let result = await attempt(work, expected, hits, local);
    while (!result.done) {
      if (Date.now() > deadline) {
        throw new Error(`routes ${JSON.stringify(result.taken)}, wanted at least hit ${hits} local ${local}, no miss`);
      }
      await pause(100);
      result = await attempt(work, expected, hits, local);
    }
    const others = Object.entries(result.taken).filter(([route]) => route !== 'hit' && route !== 'local')
      .map(([route, n]) => ` ${route} ${n}`).sort().join('');
    console.log(`ok ${name} hits ${result.taken.hit || 0} local ${result.taken.local || 0}${others}`);
  } catch (error) {
    failures++;
    console.log(error.stack);
    console.log(`FAILED ${name}: ${error.message}`);
  }
}

function absent(name, why) {
  console.log(`none ${name}: ${why}`);
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

// What of an error must be the same.
function told(error) {
  const of = error.original || error.driverError || error.cause || error;
  return [of.message, of.code, of.severity, of.detail, of.hint, of.position, of.constraint, of.table || of.table_name];
}

async function refused(work) {
  try {
    await work();
  } catch (error) {
    return told(error);
  }
  return 'no error';
}

function finish() {
  process.exit(failures ? 1 : 0);
}

module.exports = { pgcache, origin, kinds, searched, start, chapter, absent, pause, refused, told, finish };
