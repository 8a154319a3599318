// SPDX-License-Identifier: Apache-2.0

// Bun over its own driver (pgdriver): values written into the text, models and relations, COPY, a listener.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"

	c "pgcache/tests/clients/go/contract"
)

var background = context.Background()

type Owner struct {
	ID    int `bun:",pk"`
	Name  string
	Items []*Item `bun:"rel:has-many,join:id=owner_id"`
}

type Item struct {
	ID      int `bun:",pk"`
	Name    string
	Price   string
	Added   time.Time
	OwnerID int
	Owner   *Owner `bun:"rel:belongs-to,join:owner_id=id"`
}

type Written struct {
	bun.BaseModel `bun:"table:written"`
	ID            int `bun:",pk"`
	Name          *string
}

func open(url string, options ...pgdriver.Option) *bun.DB {
	options = append([]pgdriver.Option{pgdriver.WithDSN(url + "?sslmode=disable")}, options...)
	db := sql.OpenDB(pgdriver.NewConnector(options...))
	db.SetMaxOpenConns(1)
	return bun.NewDB(db, pgdialect.New())
}

func with(work func(*bun.DB, *c.Seen)) func(string, *c.Seen) {
	return func(url string, seen *c.Seen) {
		db := open(url)
		defer db.Close()
		work(db, seen)
	}
}

func told(err error) string {
	var problem pgdriver.Error
	if errors.As(err, &problem) {
		var fields []string
		for _, field := range "SVCMDHPpqWscdtn" {
			fields = append(fields, problem.Field(byte(field)))
		}
		return fmt.Sprint(strings.Join(fields, "|"), problem.IntegrityViolation(), problem.StatementTimeout())
	}
	return fmt.Sprint(err)
}

func read(db bun.IDB, seen *c.Seen, text string, values ...any) {
	rows, err := db.QueryContext(background, text, values...)
	if err != nil {
		seen.Add(told(err))
		return
	}
	keep(rows, seen)
}

func keep(rows *sql.Rows, seen *c.Seen) {
	defer rows.Close()
	columns := c.Must(rows.Columns())
	for rows.Next() {
		row := make([]any, len(columns))
		to := make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			seen.Add(told(err))
			break
		}
		for i, value := range row {
			seen.Add(columns[i], fmt.Sprintf("%T %v", value, value))
		}
	}
	seen.Add(told(rows.Err()))
}

func start(url string, seen *c.Seen) {
	db := open(url, pgdriver.WithApplicationName("bun"), pgdriver.WithConnParams(map[string]any{"TimeZone": "Asia/Tokyo"}))
	defer db.Close()
	c.Check(db.Ping())
	read(db, seen, "SHOW application_name")
	read(db, seen, "SELECT added::text FROM items WHERE id = 1")
	for _, wrong := range []pgdriver.Option{pgdriver.WithDatabase("absent"), pgdriver.WithUser("nobody")} {
		refused := open(url, wrong)
		seen.Add(told(refused.Ping()))
		c.Check(refused.Close())
	}
}

func types(db *bun.DB, seen *c.Seen) {
	for _, column := range c.Kinds {
		read(db, seen, "SELECT "+column+" FROM kinds WHERE id < ? ORDER BY id", 10)
	}
}

func searches(db *bun.DB, seen *c.Seen) {
	for _, column := range c.Searched {
		var value string
		c.Check(db.QueryRow("SELECT " + column + " FROM kinds WHERE id = 1").Scan(&value))
		read(db, seen, "SELECT id FROM kinds WHERE "+column+" = ?", value)
	}
	read(db, seen, "SELECT id FROM items WHERE id IN (?) ORDER BY id", bun.In([]int{1, 2, 3}))
	read(db, seen, "SELECT id FROM items WHERE id = ANY(?) ORDER BY id", pgdialect.Array([]int{1, 2, 3}))
}

func prepared(db *bun.DB, seen *c.Seen) {
	statement := c.Must(db.Prepare("SELECT id, name, price, added FROM items WHERE id = $1"))
	defer statement.Close()
	for i := 1; i <= 10; i++ {
		keep(c.Must(statement.Query(i)), seen)
	}
}

func item(seen *c.Seen, of *Item) {
	seen.Add(of.ID, of.Name, of.Price, of.Added.UTC().String())
	if of.Owner != nil {
		seen.Add(of.Owner.Name)
	}
}

func reads(db *bun.DB, seen *c.Seen) {
	for i := 1; i <= 5; i++ {
		found := &Item{ID: i}
		c.Check(db.NewSelect().Model(found).WherePK().Scan(background))
		item(seen, found)
	}
	var items []*Item
	c.Check(db.NewSelect().Model(&items).Relation("Owner").Where("item.price > ?", 100).Order("item.id DESC").Limit(3).Scan(background))
	for _, found := range items {
		item(seen, found)
	}
	var owners []*Owner
	c.Check(db.NewSelect().Model(&owners).Relation("Items", func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("id") }).
		Order("id").Limit(2).Scan(background))
	for _, owner := range owners {
		for _, found := range owner.Items {
			item(seen, found)
		}
	}
	n := c.Must(db.NewSelect().Model((*Item)(nil)).Where("name LIKE ?", "item 1%").Count(background))
	exists := c.Must(db.NewSelect().Model((*Item)(nil)).Where("id = ?", 3).Exists(background))
	var totals []struct {
		OwnerID int
		Total   string
	}
	c.Check(db.NewSelect().Model((*Item)(nil)).Column("owner_id").ColumnExpr("sum(price) AS total").Group("owner_id").
		Order("owner_id").Scan(background, &totals))
	var names []string
	c.Check(db.NewSelect().With("cheap", db.NewSelect().Model((*Item)(nil)).Where("price < ?", 5)).Table("cheap").Column("name").
		Order("id").Scan(background, &names))
	seen.Add(n, exists, fmt.Sprint(totals), names, told(db.NewSelect().Model(&Item{ID: 1000}).WherePK().Scan(background)))
}

func readBlocks(db *bun.DB, seen *c.Seen) {
	for i := 1; i <= 7; i++ {
		seen.Add(told(db.RunInTx(background, nil, func(ctx context.Context, tx bun.Tx) error {
			found := &Item{ID: i}
			err := tx.NewSelect().Model(found).WherePK().Scan(ctx)
			item(seen, found)
			return err
		})))
	}
}

func transactions(db *bun.DB, seen *c.Seen) {
	c.Must(db.Exec("DELETE FROM written"))
	one := "one"
	for round := range 2 {
		tx := c.Must(db.Begin())
		_, err := tx.NewInsert().Model(&Written{ID: round, Name: &one}).Exec(background)
		seen.Add(told(err))
		seen.Add(told(tx.RunInTx(background, nil, func(ctx context.Context, inner bun.Tx) error { // a savepoint
			_, err := inner.NewInsert().Model(&Written{ID: round}).Exec(ctx)
			return err
		})))
		read(tx, seen, "SELECT * FROM written ORDER BY id FOR UPDATE SKIP LOCKED")
		if round == 0 {
			seen.Add(told(tx.Commit()))
		} else {
			seen.Add(told(tx.Rollback()))
		}
		read(db, seen, "SELECT * FROM written ORDER BY id")
	}
	for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable} {
		tx, err := db.BeginTx(background, &sql.TxOptions{Isolation: level, ReadOnly: true})
		seen.Add(told(err))
		if err == nil {
			read(tx, seen, "SELECT * FROM written")
			seen.Add(told(tx.Rollback()))
		}
	}
}

func batches(db *bun.DB, seen *c.Seen) {
	c.Must(db.Exec("TRUNCATE written"))
	rows := make([]Written, 500)
	for i := range rows {
		rows[i].ID = i
	}
	c.Must(db.NewInsert().Model(&rows).Exec(background))
	up := "up"
	c.Must(db.NewInsert().Model(&Written{ID: 1, Name: &up}).On("CONFLICT (id) DO UPDATE SET name = EXCLUDED.name").Exec(background))
	some := []Written{{ID: 2, Name: &up}, {ID: 3, Name: &up}}
	result := c.Must(db.NewUpdate().Model(&some).Column("name").Bulk().Exec(background))
	seen.Add(c.Must(result.RowsAffected()))
	read(db, seen, "SELECT count(*), min(name), max(name) FROM written")
	read(db, seen, "SELECT 1; SELECT name FROM items WHERE id = 1")
}

func copies(db *bun.DB, seen *c.Seen) {
	conn := c.Must(db.Conn(background))
	defer conn.Close()
	c.Must(conn.ExecContext(background, "TRUNCATE copied"))
	for _, first := range []int{0, 2000, 0} {
		var text strings.Builder
		for i := first; i < first+2000; i++ {
			fmt.Fprintf(&text, "%d\tv%d\t%d.5\n", i, i, i)
		}
		result, err := pgdriver.CopyFrom(background, conn, strings.NewReader(text.String()), "COPY copied FROM STDIN")
		seen.Add(told(err))
		if err == nil {
			seen.Add(c.Must(result.RowsAffected()))
		}
	}
	var out strings.Builder
	_, err := pgdriver.CopyTo(background, conn, &out, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT WITH CSV HEADER")
	seen.Add(told(err), out.String())
	read(conn, seen, "SELECT count(*) FROM copied")
}

func failures(db *bun.DB, seen *c.Seen) {
	for _, text := range c.Failing {
		for range 2 {
			read(db, seen, text)
			_, err := db.Exec(text)
			seen.Add(told(err))
		}
	}
	_, err := db.Prepare("SELECT nothing FROM items WHERE id = $1")
	seen.Add(told(err))
}

func cancel(db *bun.DB, seen *c.Seen) {
	limited, stop := context.WithTimeout(background, 300*time.Millisecond)
	defer stop()
	began := time.Now()
	_, err := db.ExecContext(limited, "SELECT pg_sleep(30)")
	seen.Add(err != nil, time.Since(began) < 10*time.Second)
	read(db, seen, "SELECT name FROM items WHERE id = 1")
	c.Must(db.Exec("SET statement_timeout = 100"))
	read(db, seen, "SELECT pg_sleep(30)")
	read(db, seen, "SELECT name FROM items WHERE id = 1")
}

func notify(db *bun.DB, seen *c.Seen) {
	listener := pgdriver.NewListener(db)
	defer listener.Close()
	c.Check(listener.Listen(background, "news"))
	for i := range 3 {
		c.Check(pgdriver.Notify(background, db, "news", fmt.Sprint("number ", i)))
	}
	for range 3 {
		channel, payload, err := listener.ReceiveTimeout(background, 10*time.Second)
		seen.Add(told(err), channel, payload)
	}
}

func main() {
	c.Start("Bun over pgdriver", "github.com/uptrace/bun")
	c.Chapter("connect", start, 0, 0)
	c.Chapter("types", with(types), len(c.Kinds), 0)
	c.Chapter("searches", with(searches), 2*len(c.Searched), 0)
	c.Chapter("prepared", with(prepared), 10, 0)
	c.Chapter("reads", with(reads), 13, 0)
	c.Chapter("read-blocks", with(readBlocks), 7, 6)
	c.Chapter("transactions", with(transactions), 0, 0)
	c.Chapter("batches", with(batches), 0, 0)
	c.Chapter("copy", with(copies), 0, 0)
	c.Chapter("errors", with(failures), 0, 0)
	c.Chapter("cancel", with(cancel), 0, 0)
	c.Chapter("notify", with(notify), 0, 0)
	c.Absent("cursors", "it reads whole results")
	c.Finish()
}
