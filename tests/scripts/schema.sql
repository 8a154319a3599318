CREATE TABLE t (id int PRIMARY KEY, v text, q int);
CREATE TABLE w (id int PRIMARY KEY, v text);
CREATE TABLE k (id int PRIMARY KEY, i2 int2, i8 int8, n numeric, f4 float4, f8 float8, bo bool,
    c char(4), vc varchar(9), by bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval,
    u uuid, j json, jb jsonb, ia int[], ta text[], ip inet);
INSERT INTO k VALUES (1, 2, 8, 1.50, 0.5, 0.25, true, 'ab', 'vc', '\x00ff', '2024-02-29', '12:30',
    '2024-02-29 12:30', '2024-02-29 12:30+00', '1 day 02:00', '5e0c3b1e-4a7e-4b68-9d2d-0a4f1b2c3d4e',
    '{"a": 1}', '{"a": 1}', '{1,NULL,3}', '{a,"b c"}', '10.0.0.1');
CREATE FUNCTION noisy(i int) RETURNS int LANGUAGE plpgsql AS
    $$BEGIN RAISE NOTICE 'called'; RETURN i; END$$;
CREATE FUNCTION forget(name text) RETURNS void LANGUAGE plpgsql AS
    $$BEGIN EXECUTE format('DEALLOCATE %I', name); END$$;
CREATE FUNCTION shape_bytes(form text) RETURNS void LANGUAGE plpgsql AS
    $$BEGIN PERFORM set_config('bytea_output', form, false); END$$;
-- Nothing can be copied into it: a COPY fails before it reads any data.
CREATE TABLE refusing (id int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'refused'; END$$;
CREATE TRIGGER refuse BEFORE INSERT ON refusing EXECUTE FUNCTION refuse();
