// SPDX-License-Identifier: Apache-2.0

// lib/pq through database/sql: unnamed statements in two exchanges, prepared ones, COPY by statements, a listener.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"

	c "pgcache/tests/clients/go/contract"
)

const byID = "SELECT id, name, price, added FROM items WHERE id = $1"

var background = context.Background()

func session(url, parameters string, work func(*sql.Conn)) {
	db := c.Must(sql.Open("postgres", url+"?sslmode=disable"+parameters))
	defer db.Close()
	conn := c.Must(db.Conn(background))
	defer conn.Close()
	work(conn)
}

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

func read(q querier, seen *c.Seen, text string, values ...any) {
	rows, err := q.QueryContext(background, text, values...)
	if err != nil {
		seen.Add(err)
		return
	}
	keep(rows, seen)
}

func keep(rows *sql.Rows, seen *c.Seen) {
	defer rows.Close()
	types := c.Must(rows.ColumnTypes())
	for rows.Next() {
		row := make([]any, len(types))
		to := make([]any, len(types))
		for i := range row {
			to[i] = &row[i]
		}
		c.Check(rows.Scan(to...))
		for i, value := range row {
			seen.Add(types[i].DatabaseTypeName(), fmt.Sprintf("%T %v", value, value))
		}
	}
	seen.Add(fmt.Sprint(rows.Err()))
}

func start(url string, seen *c.Seen) {
	session(url, "&application_name=pq&TimeZone=Asia/Tokyo", func(conn *sql.Conn) {
		c.Check(conn.PingContext(background))
		read(conn, seen, "SHOW application_name")
		read(conn, seen, "SELECT added::text FROM items WHERE id = 1")
	})
}

func types(parameters string) func(string, *c.Seen) {
	return func(url string, seen *c.Seen) {
		session(url, parameters, func(conn *sql.Conn) {
			for _, column := range c.Kinds {
				read(conn, seen, "SELECT "+column+" FROM kinds WHERE id < $1 ORDER BY id", 10)
			}
		})
	}
}

func roundTrip(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		c.Must(conn.ExecContext(background, "TRUNCATE kinds_back; INSERT INTO kinds_back (id) SELECT id FROM kinds"))
		for _, column := range c.Kinds {
			for row := 1; row <= 3; row++ {
				var value any
				c.Check(conn.QueryRowContext(background, "SELECT "+column+" FROM kinds WHERE id = $1", row).Scan(&value))
				_, err := conn.ExecContext(background, "UPDATE kinds_back SET "+column+" = $1 WHERE id = $2", value, row)
				seen.Add(fmt.Sprint(err))
				read(conn, seen, "SELECT "+column+"::text FROM kinds_back WHERE id = $1", row)
			}
		}
	})
}

func parameters(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		for i := 1; i <= 10; i++ {
			read(conn, seen, byID, i)
		}
		read(conn, seen, "SELECT id FROM items WHERE id = ANY($1)", pq.Array([]int{1, 2, 3}))
	})
}

func simple(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		for i := 1; i <= 10; i++ {
			read(conn, seen, fmt.Sprint("SELECT name FROM items WHERE id = ", i))
		}
	})
}

func binary(url string, seen *c.Seen) {
	session(url, "&binary_parameters=yes", func(conn *sql.Conn) {
		for i := 1; i <= 10; i++ {
			read(conn, seen, byID, i)
		}
	})
}

func prepared(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		statement := c.Must(conn.PrepareContext(background, byID))
		defer statement.Close()
		for i := 1; i <= 10; i++ {
			keep(c.Must(statement.QueryContext(background, i)), seen)
		}
	})
}

func readBlocks(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		for i := 1; i <= 6; i++ {
			tx := c.Must(conn.BeginTx(background, nil))
			read(tx, seen, fmt.Sprint("SELECT name FROM items WHERE id = ", i))
			c.Check(tx.Commit())
		}
	})
}

// Each statement is prepared first, by which the block comes to the origin.
func readBlocksWithParameters(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		for i := 1; i <= 6; i++ {
			tx := c.Must(conn.BeginTx(background, nil))
			read(tx, seen, byID, i)
			c.Check(tx.Commit())
		}
	})
}

func transactions(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		c.Must(conn.ExecContext(background, "DELETE FROM written"))
		tx := c.Must(conn.BeginTx(background, nil))
		c.Must(tx.ExecContext(background, "INSERT INTO written VALUES ($1, $2)", 1, "one"))
		c.Must(tx.ExecContext(background, "SAVEPOINT s"))
		_, err := tx.ExecContext(background, "INSERT INTO written VALUES (1)")
		seen.Add(err)
		c.Must(tx.ExecContext(background, "ROLLBACK TO s"))
		read(tx, seen, "SELECT * FROM written")
		c.Check(tx.Commit())
		for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable} {
			tx := c.Must(conn.BeginTx(background, &sql.TxOptions{Isolation: level, ReadOnly: true}))
			read(tx, seen, "SELECT * FROM written")
			seen.Add(fmt.Sprint(tx.Rollback()))
		}
	})
}

func severalStatements(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		rows := c.Must(conn.QueryContext(background, "SELECT 1; SELECT name FROM items WHERE id = 1"))
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				var value any
				c.Check(rows.Scan(&value))
				seen.Add(fmt.Sprint(value))
			}
		}
	})
}

func copies(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		c.Must(conn.ExecContext(background, "TRUNCATE copied"))
		for _, first := range []int{0, 2000, 0} {
			tx := c.Must(conn.BeginTx(background, nil))
			statement := c.Must(tx.PrepareContext(background, pq.CopyIn("copied", "id", "v")))
			for i := first; i < first+2000; i++ {
				if _, err := statement.ExecContext(background, i, strings.Repeat("x", i%300)); err != nil {
					break // the server has refused a row meanwhile; the end says why
				}
			}
			_, err := statement.ExecContext(background)
			seen.Add(fmt.Sprint(err))
			_ = statement.Close()
			_ = tx.Commit()
		}
		read(conn, seen, "SELECT count(*), sum(length(v)) FROM copied")
	})
}

func failures(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		for _, text := range []string{"SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
			"INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood", "SELECT 1 / (id - $1) FROM items WHERE id = 5"} {
			values := []any{5}[:strings.Count(text, "$1")]
			_, err := conn.ExecContext(background, text, values...)
			var problem *pq.Error
			if errors.As(err, &problem) {
				seen.Add(problem.Code, problem.Severity, problem.Message, problem.Detail, problem.Hint, problem.Position)
			}
		}
		tx := c.Must(conn.BeginTx(background, nil))
		_, err := tx.ExecContext(background, "SELECT 1 / 0")
		seen.Add(err)
		read(tx, seen, byID, 1)
		seen.Add(tx.Commit())
		read(conn, seen, byID, 1)
	})
}

func cancel(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		limited, stop := context.WithTimeout(background, 300*time.Millisecond)
		defer stop()
		began := time.Now()
		_, err := conn.ExecContext(limited, "SELECT pg_sleep(30)")
		seen.Add(err != nil, time.Since(began) < 10*time.Second)
	})
}

func notify(url string, seen *c.Seen) {
	session(url, "", func(conn *sql.Conn) {
		listener := pq.NewListener(url+"?sslmode=disable", time.Second, time.Second, nil)
		defer listener.Close()
		c.Check(listener.Listen("news"))
		c.Check(listener.Ping())
		for i := range 3 {
			c.Must(conn.ExecContext(background, "SELECT pg_notify('news', $1)", fmt.Sprint("number ", i)))
		}
		for range 3 {
			select {
			case notification := <-listener.Notify:
				seen.Add(notification.Channel, notification.Extra)
			case <-time.After(10 * time.Second):
				panic("no notification")
			}
		}
	})
}

func main() {
	c.Start("lib/pq", "github.com/lib/pq")
	c.Chapter("connect", start, 0, 0)
	c.Chapter("types", types(""), len(c.Kinds), 0)
	c.Chapter("types-one-exchange", types("&binary_parameters=yes"), len(c.Kinds), 0)
	c.Chapter("round-trip", roundTrip, 0, 0)
	c.Chapter("parameters", parameters, 11, 0)
	c.Chapter("simple", simple, 10, 0)
	c.Chapter("one-exchange", binary, 10, 0)
	c.Chapter("prepared", prepared, 10, 0)
	c.Chapter("read-blocks", readBlocks, 6, 5)
	c.Chapter("read-blocks-parameters", readBlocksWithParameters, 6, 0)
	c.Chapter("transactions", transactions, 0, 0)
	c.Chapter("several-statements", severalStatements, 0, 0)
	c.Chapter("copy", copies, 0, 0)
	c.Chapter("errors", failures, 0, 0)
	c.Chapter("cancel", cancel, 0, 0)
	c.Chapter("notify", notify, 0, 0)
	c.Absent("cursors", "it reads whole results")
	c.Finish()
}
