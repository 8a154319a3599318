// SPDX-License-Identifier: Apache-2.0

// pgx: all its ways to execute a query, batches and pipelines, COPY in binary, a pool.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	c "pgcache/tests/clients/go/contract"
)

const byID = "SELECT id, name, price, added FROM items WHERE id = $1"

var background = context.Background()

func connect(url string, change func(*pgx.ConnConfig)) *pgx.Conn {
	config := c.Must(pgx.ParseConfig(url + "?sslmode=disable"))
	if change != nil {
		change(config)
	}
	return c.Must(pgx.ConnectConfig(background, config))
}

func mode(m pgx.QueryExecMode) func(*pgx.ConnConfig) {
	return func(config *pgx.ConnConfig) { config.DefaultQueryExecMode = m }
}

func session(url string, work func(*pgx.Conn)) {
	conn := connect(url, nil)
	defer conn.Close(background)
	work(conn)
}

type querier interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}

// read keeps the rows as raw bytes, with the columns' types and formats, and what the driver makes of them.
func read(q querier, seen *c.Seen, sql string, values ...any) {
	rows, err := q.Query(background, sql, values...)
	if err != nil {
		seen.Add(err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		for i, field := range rows.FieldDescriptions() {
			seen.Add(field.Name, field.DataTypeOID, field.Format, string(rows.RawValues()[i]))
		}
		if list, err := rows.Values(); err != nil {
			seen.Add(err)
		} else {
			seen.Add(fmt.Sprint(list...))
		}
	}
	seen.Add(rows.CommandTag().String(), fmt.Sprint(rows.Err()))
}

func start(url string, seen *c.Seen) {
	conn := connect(url, func(config *pgx.ConnConfig) {
		config.RuntimeParams["application_name"] = "pgx"
		config.RuntimeParams["timezone"] = "Asia/Tokyo"
	})
	defer conn.Close(background)
	seen.Add(conn.PgConn().ParameterStatus("TimeZone"), conn.PgConn().ParameterStatus("server_version"))
	read(conn, seen, "SELECT added::text FROM items WHERE id = 1")
	c.Check(conn.Ping(background))
}

func types(url string, seen *c.Seen) {
	for _, m := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		conn := connect(url, mode(m))
		for _, column := range c.Kinds {
			for _, format := range []int16{pgx.TextFormatCode, pgx.BinaryFormatCode} {
				if m == pgx.QueryExecModeSimpleProtocol && format == pgx.BinaryFormatCode {
					continue
				}
				read(conn, seen, "SELECT "+column+" FROM kinds ORDER BY id", pgx.QueryResultFormats{format})
			}
		}
		conn.Close(background)
	}
}

func roundTrip(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		c.Must(conn.Exec(background, "TRUNCATE kinds_back; INSERT INTO kinds_back (id) SELECT id FROM kinds"))
		for _, column := range c.Kinds {
			for row := 1; row <= 3; row++ {
				var value any
				seen.Add(fmt.Sprint(conn.QueryRow(background, "SELECT "+column+" FROM kinds WHERE id = $1", row).Scan(&value)))
				_, err := conn.Exec(background, "UPDATE kinds_back SET "+column+" = $1 WHERE id = $2", value, row)
				seen.Add(fmt.Sprint(err))
				read(conn, seen, "SELECT "+column+"::text FROM kinds_back WHERE id = $1", row)
			}
		}
	})
}

func searches(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		for _, column := range c.Searched {
			var value any
			c.Check(conn.QueryRow(background, "SELECT "+column+" FROM kinds WHERE id = 1").Scan(&value))
			read(conn, seen, "SELECT id FROM kinds WHERE "+column+" = $1", value)
		}
		read(conn, seen, "SELECT id FROM items WHERE id = ANY($1)", []int32{1, 2, 3})
	})
}

func prepared(m pgx.QueryExecMode) func(string, *c.Seen) {
	return func(url string, seen *c.Seen) {
		conn := connect(url, mode(m))
		defer conn.Close(background)
		for i := 1; i <= 10; i++ {
			read(conn, seen, byID, i)
		}
	}
}

func readBlocks(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		read(conn, seen, byID, 1)
		for i := 1; i <= 5; i++ {
			c.Check(pgx.BeginFunc(background, conn, func(tx pgx.Tx) error {
				read(tx, seen, byID, i)
				return nil
			}))
		}
	})
}

func transactions(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		c.Must(conn.Exec(background, "DELETE FROM written"))
		tx := c.Must(conn.Begin(background))
		c.Must(tx.Exec(background, "INSERT INTO written VALUES ($1, $2)", 1, "one"))
		nested := c.Must(tx.Begin(background))
		_, err := nested.Exec(background, "INSERT INTO written VALUES (1)")
		seen.Add(err)
		c.Check(nested.Rollback(background))
		read(tx, seen, "SELECT * FROM written")
		c.Check(tx.Commit(background))
		for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
			tx := c.Must(conn.BeginTx(background, pgx.TxOptions{IsoLevel: level, AccessMode: pgx.ReadOnly}))
			read(tx, seen, "SELECT * FROM written")
			_, err := tx.Exec(background, "DELETE FROM written")
			seen.Add(err)
			seen.Add(tx.Commit(background))
		}
	})
}

func batches(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		c.Must(conn.Exec(background, "TRUNCATE copied"))
		batch := &pgx.Batch{}
		for i := range 50 {
			batch.Queue("INSERT INTO copied (id, v) VALUES ($1, $2)", i, strings.Repeat("x", i))
		}
		batch.Queue("SELECT count(*), sum(length(v)) FROM copied").QueryRow(func(row pgx.Row) error {
			var n, sum int
			err := row.Scan(&n, &sum)
			seen.Add(n, sum, fmt.Sprint(err))
			return nil
		})
		c.Check(conn.SendBatch(background, batch).Close())
		failing := &pgx.Batch{}
		failing.Queue("INSERT INTO copied (id) VALUES (1000)")
		failing.Queue("INSERT INTO copied (id) VALUES (1)")
		seen.Add(conn.SendBatch(background, failing).Close())
		read(conn, seen, "SELECT count(*) FROM copied")
	})
}

// A batch is one exchange: many Binds and Executes before one Sync.
func readBatch(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		read(conn, seen, byID, 1)
		batch := &pgx.Batch{}
		for i := 1; i <= 10; i++ {
			batch.Queue(byID, i)
		}
		results := conn.SendBatch(background, batch)
		for range 10 {
			rows := c.Must(results.Query())
			for rows.Next() {
				seen.Add(fmt.Sprint(rows.Values()))
			}
		}
		c.Check(results.Close())
	})
}

func pipelined(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		pipeline := conn.PgConn().StartPipeline(background)
		for i := 1; i <= 10; i++ {
			pipeline.SendQueryParams("SELECT name FROM items WHERE id = $1", [][]byte{fmt.Append(nil, i)}, nil, nil, nil)
			c.Check(pipeline.Sync())
		}
		for range 20 {
			switch result := c.Must(pipeline.GetResults()).(type) {
			case *pgconn.ResultReader:
				seen.Add(fmt.Sprintf("%s", result.Read().Rows))
			case *pgconn.PipelineSync:
				seen.Add("sync")
			}
		}
		c.Check(pipeline.Close())
	})
}

func cursors(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		tx := c.Must(conn.Begin(background))
		c.Must(tx.Exec(background, "DECLARE slow CURSOR FOR SELECT id, name FROM items ORDER BY id"))
		for range 3 {
			read(tx, seen, "FETCH 7 FROM slow")
		}
		c.Must(tx.Exec(background, "CLOSE slow"))
		c.Check(tx.Commit(background))
	})
}

func copies(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		c.Must(conn.Exec(background, "TRUNCATE copied"))
		n := c.Must(conn.CopyFrom(background, pgx.Identifier{"copied"}, []string{"id", "v"},
			pgx.CopyFromSlice(3000, func(i int) ([]any, error) { return []any{i, strings.Repeat("x", i%300)}, nil })))
		var out bytes.Buffer
		tag := c.Must(conn.PgConn().CopyTo(background, &out, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT"))
		seen.Add(n, tag.String(), out.String())
		_, err := conn.PgConn().CopyFrom(background, strings.NewReader("1\tagain\t1\n"), "COPY copied FROM STDIN")
		seen.Add(err)
		_, err = conn.PgConn().CopyFrom(background, io.MultiReader(strings.NewReader("5000\tx\t1\n"), failing{}),
			"COPY copied FROM STDIN")
		seen.Add(fmt.Sprint(err))
		read(conn, seen, "SELECT count(*) FROM copied")
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the source failed") }

func failures(url string, seen *c.Seen) {
	conn := connect(url, func(config *pgx.ConnConfig) {
		config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { seen.Add(notice.Message) }
	})
	defer conn.Close(background)
	for _, sql := range []string{"SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
		"INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood"} {
		for _, m := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec,
			pgx.QueryExecModeSimpleProtocol} {
			_, err := conn.Exec(background, sql, m)
			var problem *pgconn.PgError
			if errors.As(err, &problem) {
				seen.Add(*problem)
			}
		}
	}
	c.Must(conn.Exec(background, "DO $$ BEGIN RAISE WARNING 'careful'; END $$"))
	tx := c.Must(conn.Begin(background))
	_, err := tx.Exec(background, "SELECT 1 / 0")
	seen.Add(err)
	read(tx, seen, byID, 1)
	seen.Add(tx.Commit(background))
	read(conn, seen, byID, 1)
}

// The driver closes a session whose query it cancelled by its context; a request leaves it.
func cancel(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		time.AfterFunc(300*time.Millisecond, func() { c.Check(conn.PgConn().CancelRequest(background)) })
		_, err := conn.Exec(background, "SELECT pg_sleep(30)")
		seen.Add(err)
		read(conn, seen, byID, 1)
	})
}

func notify(url string, seen *c.Seen) {
	session(url, func(conn *pgx.Conn) {
		session(url, func(other *pgx.Conn) {
			c.Must(conn.Exec(background, "LISTEN news"))
			for i := range 3 {
				c.Must(other.Exec(background, "SELECT pg_notify('news', $1)", fmt.Sprint("number ", i)))
			}
			for range 3 {
				limited, stop := context.WithTimeout(background, 10*time.Second)
				notification := c.Must(conn.WaitForNotification(limited))
				seen.Add(notification.Channel, notification.Payload)
				stop()
			}
		})
	})
}

func pool(url string, seen *c.Seen) {
	connections := c.Must(pgxpool.New(background, url+"?sslmode=disable&pool_max_conns=2"))
	defer connections.Close()
	for i := range 20 {
		read(connections, seen, byID, i%5+1)
	}
}

func main() {
	c.Start("pgx", "github.com/jackc/pgx/v5")
	c.Chapter("connect", start, 0, 0)
	c.Chapter("types", types, 3*len(c.Kinds), 0)
	c.Chapter("round-trip", roundTrip, 0, 0)
	c.Chapter("searches", searches, 2*len(c.Searched)+1, 0)
	c.Chapter("cached-statements", prepared(pgx.QueryExecModeCacheStatement), 10, 0)
	c.Chapter("cached-descriptions", prepared(pgx.QueryExecModeCacheDescribe), 10, 0)
	c.Chapter("described-each-time", prepared(pgx.QueryExecModeDescribeExec), 10, 0)
	c.Chapter("exec", prepared(pgx.QueryExecModeExec), 10, 0)
	c.Chapter("simple", prepared(pgx.QueryExecModeSimpleProtocol), 10, 0)
	c.Chapter("read-blocks", readBlocks, 6, 5)
	c.Chapter("transactions", transactions, 0, 0)
	c.Chapter("batches", batches, 0, 0)
	c.Chapter("read-batch", readBatch, 11, 0)
	c.Chapter("pipelined", pipelined, 10, 0)
	c.Chapter("cursors", cursors, 0, 0)
	c.Chapter("copy", copies, 0, 0)
	c.Chapter("errors", failures, 0, 0)
	c.Chapter("cancel", cancel, 0, 0)
	c.Chapter("notify", notify, 0, 0)
	c.Chapter("pool", pool, 20, 0)
	c.Finish()
}
