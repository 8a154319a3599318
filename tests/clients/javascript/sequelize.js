// SPDX-License-Identifier: Apache-2.0
// Sequelize over node-postgres: models, transactions that say their isolation level.
'use strict';
const { Sequelize, DataTypes, Op, QueryTypes, Transaction } = require('sequelize');
const contract = require('./contract');

async function session(url, work) {
  const db = new Sequelize(url, { logging: false, pool: { max: 1 }, define: { timestamps: false } });
  const key = { type: DataTypes.INTEGER, primaryKey: true };
  const Owner = db.define('owners', { id: key, name: DataTypes.TEXT });
  const Item = db.define('items', { id: key, name: DataTypes.TEXT, price: DataTypes.DECIMAL(10, 2),
    added: DataTypes.DATE });
  const Written = db.define('written', { id: key, name: DataTypes.TEXT }, { tableName: 'written' });
  Item.belongsTo(Owner, { foreignKey: 'owner_id', as: 'owner' });
  Owner.hasMany(Item, { foreignKey: 'owner_id', as: 'items' });
  try {
    return plain(await work({ db, Owner, Item, Written }));
  } finally {
    await db.close();
  }
}

const plain = (value) => JSON.parse(JSON.stringify(value));

const connect = (url) => session(url, async ({ db }) => {
  await db.authenticate();
  return [await db.getQueryInterface().describeTable('items'), await db.databaseVersion()];
});

const reads = (url) => session(url, async ({ db, Owner, Item }) => {
  const seen = [];
  for (let i = 1; i <= 5; i++) seen.push(await Item.findByPk(i));
  seen.push(await Item.findAll({ include: 'owner', where: { id: { [Op.lte]: 3 } }, order: ['id'] }));
  seen.push(await Owner.findAll({ include: 'items', limit: 2, order: ['id', ['items', 'id']] }));
  seen.push(await Item.findAndCountAll({ where: { name: { [Op.like]: 'item 1%' } }, limit: 2, order: ['id'] }));
  seen.push(await Item.findAll({ attributes: ['owner_id', [db.fn('sum', db.col('price')), 'total']],
    group: ['owner_id'], order: ['owner_id'] }));
  seen.push(await Item.count(), await Item.max('price'));
  seen.push(await db.query('SELECT name FROM items WHERE id = $1', { bind: [7], type: QueryTypes.SELECT }));
  seen.push(await db.query('SELECT name FROM items WHERE id = :id',
    { replacements: { id: 8 }, type: QueryTypes.SELECT }));
  return seen;
});

const readBlocks = (url) => session(url, async ({ db, Item }) => {
  const seen = [await Item.findByPk(1)];
  for (let i = 1; i <= 5; i++) {
    seen.push(await db.transaction((transaction) => Item.findByPk(i, { transaction })));
  }
  return seen;
});

const transactions = (url) => session(url, async ({ db, Written }) => {
  const seen = [];
  await Written.destroy({ where: {} });
  await db.transaction(async (transaction) => {
    await Written.create({ id: 1, name: 'one' }, { transaction });
    seen.push(await contract.refused(() => db.transaction({ transaction },
      (inner) => Written.create({ id: 1 }, { transaction: inner }))));
    seen.push(await Written.findAll({ transaction, lock: true }));
  });
  for (const isolationLevel of Object.values(Transaction.ISOLATION_LEVELS)) {
    seen.push(await db.transaction({ isolationLevel }, (transaction) => Written.findAll({ transaction })));
  }
  seen.push(await Written.findOrCreate({ where: { id: 2 }, defaults: { name: 'two' } }));
  return seen;
});

const batches = (url) => session(url, async ({ Written }) => {
  await Written.destroy({ truncate: true });
  await Written.bulkCreate(Array.from({ length: 500 }, (_, id) => ({ id, name: `${id}` })));
  await Written.bulkCreate([{ id: 1, name: 'up' }], { updateOnDuplicate: ['name'] });
  await Written.increment('id', { by: 1000, where: { id: 3 } });
  return [await Written.count(), await Written.max('id')];
});

const errors = (url) => session(url, async ({ db, Written }) => {
  const seen = [];
  for (const text of ['SELECT nothing FROM items', 'SELECT 1 / (id - 5) FROM items WHERE id = 5', 'SELEC']) {
    seen.push(await contract.refused(() => db.query(text)));
  }
  await Written.upsert({ id: 1, name: 'one' });
  seen.push(await contract.refused(() => Written.create({ id: 1 })));
  return seen;
});

async function main() {
  contract.start('Sequelize', 'sequelize');
  await contract.chapter('connect', connect);
  await contract.chapter('reads', reads, { hits: 14 });
  await contract.chapter('read-blocks', readBlocks, { hits: 6, local: 5 });
  await contract.chapter('transactions', transactions);
  await contract.chapter('batches', batches);
  await contract.chapter('errors', errors);
  contract.finish();
}

main();
