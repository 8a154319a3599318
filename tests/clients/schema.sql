-- SPDX-License-Identifier: Apache-2.0
-- What every client program finds at the origin: a table to read, one with a column of each built-in type
-- (k_TYPE: a usual row, one at the edges, one of NULLs) and its copy to write back to, and tables to write.
CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL,
                    added timestamptz NOT NULL, owner_id int NOT NULL);
INSERT INTO items SELECT i, 'item ' || i, i * 1.25, '2024-01-01 12:00:00+00'::timestamptz + i * interval '1 hour', i % 10
  FROM generate_series(1, 100) i;
CREATE TABLE owners (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO owners SELECT i, 'owner ' || i FROM generate_series(0, 9) i;
ALTER TABLE items ADD FOREIGN KEY (owner_id) REFERENCES owners;

CREATE TABLE written (id int PRIMARY KEY, name text);
CREATE TABLE copied (id int PRIMARY KEY, v text, n numeric);

CREATE TYPE mood AS ENUM ('sad', 'content', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE kinds (
  id int PRIMARY KEY,
  k_bool bool, k_int2 int2, k_int4 int4, k_int8 int8, k_numeric numeric, k_float4 float4, k_float8 float8,
  k_money money, k_oid oid, k_text text, k_varchar varchar(20), k_bpchar char(5), k_char "char", k_name name,
  k_bytea bytea, k_date date, k_time time, k_timetz timetz, k_timestamp timestamp, k_timestamptz timestamptz,
  k_interval interval, k_uuid uuid, k_json json, k_jsonb jsonb, k_jsonpath jsonpath, k_xml xml, k_inet inet,
  k_cidr cidr, k_macaddr macaddr, k_macaddr8 macaddr8, k_bit bit(4), k_varbit varbit, k_point point, k_line line,
  k_lseg lseg, k_box box, k_path path, k_polygon polygon, k_circle circle, k_int4range int4range,
  k_int8range int8range, k_numrange numrange, k_tsrange tsrange, k_tstzrange tstzrange, k_daterange daterange,
  k_int4multirange int4multirange, k_tsvector tsvector, k_tsquery tsquery, k_pg_lsn pg_lsn, k_int4_array int4[],
  k_text_array text[], k_numeric_array numeric[], k_timestamptz_array timestamptz[], k_matrix int4[], k_enum mood,
  k_domain positive, k_composite pair);
INSERT INTO kinds VALUES (
  1, true, 1, 2, 3, 12.50, 1.5, 2.25, '12.34', 42, 'text', 'varchar', 'char', 'c', 'name',
  '\x0001ff', '2024-02-29', '12:34:56.789', '12:34:56+02', '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56.123456+00',
  '1 year 2 mons 3 days 04:05:06.789', '5e0c3b1e-4a7e-4b68-9d2d-0a4f1b2c3d4e', '{"a": [1, null]}', '{"b": {"c": 1.50}}',
  '$.a[*]', '<a>1</a>', '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'1010', B'101',
  '(1,2)', '{1,2,3}', '[(1,2),(3,4)]', '(3,4),(1,2)', '[(1,2),(3,4)]', '((0,0),(1,0),(1,1))', '<(1,2),3>', '[1,5)',
  '[1,5)', '[1.5,2.5]', '[2024-01-01 00:00:00,2024-01-02 00:00:00)',
  '[2024-01-01 00:00:00+00,2024-01-02 00:00:00+00)', '[2024-01-01,2024-01-08)', '{[1,3),[5,8)}', '''a'':1 ''b'':2',
  '''a'' & ''b''', '16/B374D848', '{1,NULL,3}', '{"a b",NULL,"c,d","\"e\""}', '{1.50,2}',
  '{"2024-01-01 00:00:00+00"}', '{{1,2},{3,4}}', 'content', 7, '(1,"a b")');
INSERT INTO kinds VALUES (
  2, false, -32768, -2147483648, 9223372036854775807, '-12345678901234567890.0123456789', -1e-30, 1.7976931348623157e308,
  '-92233720368547758.08', 4294967295, E'\u00e4\u20ac\U0001F600 ''\\ end', '', 'ab', 'z', 'Name "x"',
  '\x', '0044-03-15', '00:00:00', '23:59:59.999999-12', '0099-01-01 00:00:00', '9999-12-31 23:59:59.999999+00',
  '-1 days +23:59:59', '00000000-0000-0000-0000-000000000000', '[]', '{"z": "\u00e4", "a": {}}', '$', '<b/>', '::1',
  '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', B'0000', B'', '(-1.5,1e300)', '{0,-1,0}',
  '[(0,0),(0,0)]', '(1,1),(0,0)', '((0,0),(1,1))', '((0,0))', '<(0,0),0>', 'empty', '(,)', '(,0]', '(,)', '[,infinity)',
  '[2024-02-29,)', '{}', '', '!''c''', '0/0', '{}', '{}', '{NaN}', '{}', '{}', 'sad', 2147483647, '(,)');
INSERT INTO kinds (id) VALUES (3);
CREATE TABLE kinds_back (LIKE kinds INCLUDING ALL);
