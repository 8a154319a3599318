// SPDX-License-Identifier: Apache-2.0

// go-pg, which speaks the protocol itself: values written into the text of simple queries; prepared statements; its mapper.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-pg/pg/v10"
	"github.com/go-pg/pg/v10/orm"

	c "pgcache/tests/clients/go/contract"
)

const byID = "SELECT id, name, price, added FROM items WHERE id = "

var background = context.Background()

type Owner struct {
	ID    int
	Name  string
	Items []*Item `pg:"rel:has-many"`
}

type Item struct {
	ID      int
	Name    string
	Price   string
	Added   time.Time
	OwnerID int
	Owner   *Owner `pg:"rel:has-one"`
}

type Written struct {
	tableName struct{} `pg:"written"`
	ID        int      `pg:",pk,use_zero"`
	Name      *string
}

func options(url string) *pg.Options {
	found := c.Must(pg.ParseURL(url + "?sslmode=disable"))
	found.PoolSize = 1
	return found
}

func with(work func(*pg.DB, *c.Seen)) func(string, *c.Seen) {
	return func(url string, seen *c.Seen) {
		db := pg.Connect(options(url))
		defer db.Close()
		work(db, seen)
	}
}

func told(err error) string {
	var problem pg.Error
	if errors.As(err, &problem) {
		var fields []string
		for _, field := range "SVCMDHPpqWscdtn" {
			fields = append(fields, problem.Field(byte(field)))
		}
		return fmt.Sprint(strings.Join(fields, "|"), problem.IntegrityViolation())
	}
	return fmt.Sprint(err)
}

func read(db orm.DB, seen *c.Seen, text string, values ...any) {
	var rows []map[string]any
	result, err := db.Query(&rows, text, values...)
	keep(rows, result, err, seen)
}

func keep(rows []map[string]any, result orm.Result, err error, seen *c.Seen) {
	if err != nil {
		seen.Add(told(err))
		return
	}
	seen.Add(fmt.Sprint(rows), result.RowsAffected(), result.RowsReturned())
}

func start(url string, seen *c.Seen) {
	chosen := options(url)
	chosen.ApplicationName = "gopg"
	chosen.OnConnect = func(ctx context.Context, conn *pg.Conn) error {
		_, err := conn.ExecContext(ctx, "SET TimeZone = 'Asia/Tokyo'")
		return err
	}
	db := pg.Connect(chosen)
	defer db.Close()
	c.Check(db.Ping(background))
	read(db, seen, "SHOW application_name")
	read(db, seen, "SELECT added::text FROM items WHERE id = 1")
	for _, wrong := range []func(*pg.Options){func(o *pg.Options) { o.Database = "absent" }, func(o *pg.Options) { o.User = "nobody" }} {
		chosen := options(url)
		wrong(chosen)
		refused := pg.Connect(chosen)
		seen.Add(told(refused.Ping(background)))
		c.Check(refused.Close())
	}
}

func types(db *pg.DB, seen *c.Seen) {
	for _, column := range c.Kinds {
		read(db, seen, "SELECT "+column+" FROM kinds WHERE id < ? ORDER BY id", 10)
	}
}

func searches(db *pg.DB, seen *c.Seen) {
	for _, column := range c.Searched {
		var value string
		_, err := db.QueryOne(pg.Scan(&value), "SELECT "+column+" FROM kinds WHERE id = 1")
		seen.Add(told(err), value)
		read(db, seen, "SELECT id FROM kinds WHERE "+column+" = ?", value)
	}
	read(db, seen, "SELECT id FROM items WHERE id IN (?) ORDER BY id", pg.In([]int{1, 2, 3}))
	read(db, seen, "SELECT id FROM items WHERE id = ANY(?) ORDER BY id", pg.Array([]int{1, 2, 3}))
}

func parameters(db *pg.DB, seen *c.Seen) {
	for i := 1; i <= 10; i++ {
		read(db, seen, byID+"?", i)
	}
}

func prepared(db *pg.DB, seen *c.Seen) {
	statement := c.Must(db.Prepare(byID + "$1"))
	for i := 1; i <= 10; i++ {
		var rows []map[string]any
		result, err := statement.Query(&rows, i)
		keep(rows, result, err, seen)
	}
	c.Check(statement.Close())
}

func item(seen *c.Seen, of *Item) {
	seen.Add(of.ID, of.Name, of.Price, of.Added.UTC().String())
	if of.Owner != nil {
		seen.Add(of.Owner.Name)
	}
}

func reads(db *pg.DB, seen *c.Seen) {
	for i := 1; i <= 5; i++ {
		found := &Item{ID: i}
		c.Check(db.Model(found).WherePK().Select())
		item(seen, found)
	}
	var items []*Item
	n := c.Must(db.Model(&items).Relation("Owner").Where("item.price > ?", 100).Order("item.id DESC").Limit(3).SelectAndCount())
	for _, found := range items {
		item(seen, found)
	}
	var owners []*Owner
	c.Check(db.Model(&owners).Relation("Items", func(q *orm.Query) (*orm.Query, error) { return q.Order("id"), nil }).
		Order("id").Limit(2).Select())
	for _, owner := range owners {
		for _, found := range owner.Items {
			item(seen, found)
		}
	}
	exists := c.Must(db.Model((*Item)(nil)).Where("id = ?", 3).Exists())
	var totals []struct {
		OwnerID int
		Total   string
	}
	c.Check(db.Model((*Item)(nil)).Column("owner_id").ColumnExpr("sum(price) AS total").Group("owner_id").Order("owner_id").Select(&totals))
	seen.Add(n, exists, fmt.Sprint(totals), told(db.Model(&Item{ID: 1000}).WherePK().Select()))
}

func readBlocks(db *pg.DB, seen *c.Seen) {
	for i := 1; i <= 7; i++ {
		seen.Add(told(db.RunInTransaction(background, func(tx *pg.Tx) error {
			found := &Item{ID: i}
			err := tx.Model(found).WherePK().Select()
			item(seen, found)
			return err
		})))
	}
}

func transactions(db *pg.DB, seen *c.Seen) {
	c.Must(db.Exec("DELETE FROM written"))
	one := "one"
	for round := range 2 {
		tx := c.Must(db.Begin())
		_, err := tx.Model(&Written{ID: round, Name: &one}).Insert()
		seen.Add(told(err))
		c.Must(tx.Exec("SAVEPOINT s"))
		_, err = tx.Model(&Written{ID: round}).Insert()
		seen.Add(told(err))
		c.Must(tx.Exec("ROLLBACK TO s"))
		read(tx, seen, "SELECT * FROM written ORDER BY id FOR UPDATE SKIP LOCKED")
		if round == 0 {
			seen.Add(told(tx.Commit()))
		} else {
			seen.Add(told(tx.Rollback()))
		}
		read(db, seen, "SELECT * FROM written ORDER BY id")
	}
}

func batches(db *pg.DB, seen *c.Seen) {
	c.Must(db.Exec("TRUNCATE written"))
	rows := make([]Written, 500)
	for i := range rows {
		rows[i].ID = i
	}
	c.Must(db.Model(&rows).Insert())
	up := "up"
	c.Must(db.Model(&Written{ID: 1, Name: &up}).OnConflict("(id) DO UPDATE").Insert())
	result := c.Must(db.Exec("UPDATE written SET name = ? WHERE id < ?; DELETE FROM written WHERE id > ?", "few", 3, 400))
	seen.Add(result.RowsAffected())
	read(db, seen, "SELECT count(*), min(name), max(name) FROM written")
	read(db, seen, "SELECT 1; SELECT name FROM items WHERE id = 1; SELECT 1 / 0")
	c.Check(db.Model((*Item)(nil)).Order("id").ForEach(func(found *Item) error {
		item(seen, found)
		return nil
	}))
}

func copies(db *pg.DB, seen *c.Seen) {
	c.Must(db.Exec("TRUNCATE copied"))
	for _, first := range []int{0, 2000, 0} {
		var text strings.Builder
		for i := first; i < first+2000; i++ {
			fmt.Fprintf(&text, "%d\tv%d\t%d.5\n", i, i, i)
		}
		result, err := db.CopyFrom(strings.NewReader(text.String()), "COPY copied FROM STDIN")
		seen.Add(told(err))
		if err == nil {
			seen.Add(result.RowsAffected())
		}
	}
	var out strings.Builder
	result := c.Must(db.CopyTo(&out, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT WITH CSV HEADER"))
	seen.Add(out.String(), result.RowsAffected())
	read(db, seen, "SELECT count(*) FROM copied")
}

func failures(db *pg.DB, seen *c.Seen) {
	for _, text := range c.Failing {
		for range 2 {
			read(db, seen, text)
		}
	}
	_, err := db.Prepare("SELECT nothing FROM items WHERE id = $1")
	seen.Add(told(err))
	statement := c.Must(db.Prepare(byID + "$1"))
	for _, value := range []any{"five", 1 << 40, nil, 5} {
		_, err = statement.Exec(value)
		seen.Add(told(err))
	}
}

func cancel(url string, seen *c.Seen) {
	db := pg.Connect(options(url))
	defer db.Close()
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

func notify(url string, seen *c.Seen) {
	chosen := options(url)
	chosen.PoolSize = 2
	db := pg.Connect(chosen)
	defer db.Close()
	listener := db.Listen(background, "news")
	defer listener.Close()
	for i := range 3 {
		c.Must(db.Exec("SELECT pg_notify('news', ?)", fmt.Sprint("number ", i)))
	}
	for range 3 {
		channel, payload, err := listener.ReceiveTimeout(background, 10*time.Second)
		seen.Add(told(err), channel, payload)
	}
}

func main() {
	c.Start("go-pg", "github.com/go-pg/pg/v10")
	c.Chapter("connect", start, 0, 0)
	c.Chapter("types", with(types), len(c.Kinds), 0)
	c.Chapter("searches", with(searches), 2*len(c.Searched), 0)
	c.Chapter("parameters", with(parameters), 10, 0)
	c.Chapter("prepared", with(prepared), 10, 0)
	c.Chapter("reads", with(reads), 12, 0)
	c.Chapter("read-blocks", with(readBlocks), 7, 6)
	c.Chapter("transactions", with(transactions), 0, 0)
	c.Chapter("batches", with(batches), 0, 0)
	c.Chapter("copy", with(copies), 0, 0)
	c.Chapter("errors", with(failures), 0, 0)
	c.Chapter("cancel", cancel, 0, 0)
	c.Chapter("notify", notify, 0, 0)
	c.Absent("cursors", "it reads whole results")
	c.Finish()
}
