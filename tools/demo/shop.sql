-- SPDX-License-Identifier: Apache-2.0
-- A small shop, about 100,000 rows, the same on every run. Beside pgbench's tables it is what
-- ./dev run has to show: lookups by key, joins, aggregates, and rows that change under them.
BEGIN;

CREATE TABLE users (
  id integer PRIMARY KEY,
  email text NOT NULL UNIQUE,
  name text NOT NULL,
  country char(2) NOT NULL,
  created_at timestamptz NOT NULL
);

CREATE TABLE products (
  id integer PRIMARY KEY,
  name text NOT NULL,
  category text NOT NULL,
  price numeric(10, 2) NOT NULL CHECK (price > 0),
  stock integer NOT NULL CHECK (stock >= 0)
);

CREATE TABLE orders (
  id integer PRIMARY KEY,
  user_id integer NOT NULL REFERENCES users,
  status text NOT NULL CHECK (status IN ('open', 'paid', 'shipped', 'cancelled')),
  placed_at timestamptz NOT NULL
);

CREATE TABLE order_items (
  order_id integer NOT NULL REFERENCES orders ON DELETE CASCADE,
  line integer NOT NULL,
  product_id integer NOT NULL REFERENCES products,
  quantity integer NOT NULL CHECK (quantity > 0),
  unit_price numeric(10, 2) NOT NULL,
  PRIMARY KEY (order_id, line)
);

INSERT INTO users
SELECT i, 'user' || i || '@example.com', 'User ' || i,
       (ARRAY['DE', 'FR', 'IT', 'JP', 'US'])[1 + i % 5],
       timestamptz '2024-01-01 00:00+00' + i * interval '7 minutes'
FROM generate_series(1, 5000) AS i;

INSERT INTO products
SELECT i, 'Product ' || i, (ARRAY['books', 'music', 'garden', 'tools'])[1 + i % 4],
       (1 + (i * 37) % 9900) / 100.0 + 0.99, (i * 13) % 500
FROM generate_series(1, 2000) AS i;

INSERT INTO orders
SELECT i, 1 + (i::bigint * 7919) % 5000,
       (ARRAY['open', 'paid', 'shipped', 'shipped', 'cancelled'])[1 + i % 5],
       timestamptz '2025-01-01 00:00+00' + i * interval '11 minutes'
FROM generate_series(1, 30000) AS i;

INSERT INTO order_items
SELECT o.id, l, p.id, 1 + (o.id + l) % 4, p.price
FROM orders AS o
CROSS JOIN LATERAL generate_series(1, 1 + o.id % 3) AS l
JOIN products AS p ON p.id = 1 + (o.id::bigint * 31 + l * 101) % 2000;

CREATE INDEX ON orders (user_id);
CREATE INDEX ON orders (status, placed_at);
CREATE INDEX ON order_items (product_id);
CREATE INDEX ON products (category, price);

COMMIT;

ANALYZE users, products, orders, order_items;
