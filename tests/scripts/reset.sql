TRUNCATE t, w;
INSERT INTO t SELECT g, 'v' || g, g * 10 FROM generate_series(1, 5) g;
INSERT INTO w VALUES (1, 'w1'), (2, 'w2');
