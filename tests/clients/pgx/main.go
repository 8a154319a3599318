// SPDX-License-Identifier: Apache-2.0

// pgx, which speaks the protocol by itself: cached statements in binary, described and simple modes,
// batches (pipelines), transactions, COPY, a pool.
//
// Usage: go run . PORT ADMIN_PORT ORIGIN_PORT
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const byID = "SELECT name FROM items WHERE id = $1"

var (
	ctx    = context.Background()
	sample = regexp.MustCompile(`(?m)^pgcache_queries_total\{(.*)\} (\S+)$`)
	label  = regexp.MustCompile(`(\w+)="([^"]*)"`)
	admin  string
)

func check(fact bool, format string, args ...any) {
	if !fact {
		fmt.Printf(format+"\n", args...)
		os.Exit(1)
	}
}

func must(err error) { check(err == nil, "%v", err) }

func routes() map[string]int {
	answer, err := http.Get("http://127.0.0.1:" + admin + "/metrics")
	must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(err)
	counts := map[string]int{}
	for _, m := range sample.FindAllStringSubmatch(string(text), -1) {
		named := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(m[1], -1) {
			named[l[1]] = l[2]
		}
		name := named["route"]
		if named["reason"] != "" {
			name += ":" + named["reason"]
		}
		value, _ := strconv.ParseFloat(m[2], 64)
		counts[name] += int(value)
	}
	return counts
}

func taken(work func()) map[string]int {
	before := routes()
	work()
	difference := map[string]int{}
	for name, count := range routes() {
		if count != before[name] {
			difference[name] = count - before[name]
		}
	}
	return difference
}

func untilHits(count int, work func()) {
	var last map[string]int
	for i := 0; i < 500; i++ {
		last = taken(work)
		if last["hit"] == count && len(last) == 1 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	check(false, "never a hit, last %v", last)
}

func read(c *pgx.Conn, id int, options ...any) string {
	var name string
	must(c.QueryRow(ctx, byID, append(options, id)...).Scan(&name))
	return name
}

func modes(c *pgx.Conn) {
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement,
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec,
		pgx.QueryExecModeSimpleProtocol} {
		untilHits(1, func() { read(c, 90, mode) })
		got := taken(func() {
			for i := 0; i < 20; i++ {
				check(read(c, 90, mode) == "item 90", "item 90")
			}
		})
		check(got["hit"] == 20, "mode %v: %v", mode, got)
	}
}

func batches(c *pgx.Conn) {
	run := func() {
		batch := &pgx.Batch{}
		for id := 91; id < 95; id++ {
			batch.Queue(byID, id)
		}
		results := c.SendBatch(ctx, batch)
		for id := 91; id < 95; id++ {
			var name string
			must(results.QueryRow().Scan(&name))
			check(name == fmt.Sprint("item ", id), "batch: %v", name)
		}
		must(results.Close())
	}
	untilHits(4, run)
	mixed := &pgx.Batch{}
	mixed.Queue("UPDATE items SET name = 'batch' WHERE id = 95")
	mixed.Queue(byID, 95)
	results := c.SendBatch(ctx, mixed)
	_, err := results.Exec()
	must(err)
	var name string
	must(results.QueryRow().Scan(&name))
	check(name == "batch", "read behind the write of its batch: %v", name)
	must(results.Close())
	check(read(c, 95) == "batch", "after the batch")
}

func transactions(c *pgx.Conn) {
	untilHits(1, func() { read(c, 96) })
	tx, err := c.Begin(ctx)
	must(err)
	got := taken(func() { check(read(c, 96) == "item 96", "in the block") })
	check(got["hit"] == 1, "in the block: %v", got)
	_, err = tx.Exec(ctx, "UPDATE items SET name = 'mine' WHERE id = 96")
	must(err)
	check(read(c, 96) == "mine", "own write")
	must(tx.Rollback(ctx))
	check(read(c, 96) == "item 96", "after the rollback")
	for i := 0; i < 100; i++ {
		_, err = c.Exec(ctx, "UPDATE counters SET n = $1 WHERE id = 2", i)
		must(err)
		var n int
		must(c.QueryRow(ctx, "SELECT n FROM counters WHERE id = $1", 2).Scan(&n))
		check(n == i, "own write %d, got %d", i, n)
	}
	copied, err := c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "v"},
		pgx.CopyFromSlice(500, func(i int) ([]any, error) { return []any{10000 + i, "pgx"}, nil }))
	must(err)
	check(copied == 500, "copied %d", copied)
}

func pool(url string) {
	p, err := pgxpool.New(ctx, url)
	must(err)
	defer p.Close()
	before := routes()
	var all sync.WaitGroup
	for i := 0; i < 200; i++ {
		all.Add(1)
		go func(id int) {
			defer all.Done()
			var name string
			must(p.QueryRow(ctx, byID, id).Scan(&name))
			check(name == fmt.Sprint("item ", id), "pool: %v", name)
		}(10 + i%7)
	}
	all.Wait()
	check(routes()["hit"]-before["hit"] >= 100, "pool: %v", routes())
}

func main() {
	admin = os.Args[2]
	url := "postgres://postgres@127.0.0.1:" + os.Args[1] + "/postgres?sslmode=disable"
	c, err := pgx.Connect(ctx, url)
	must(err)
	modes(c)
	batches(c)
	transactions(c)
	_, err = c.Exec(ctx, "SELECT nothing FROM items")
	check(err != nil, "no error")
	must(c.Close(ctx))
	pool(url)
	fmt.Println("pgx ok")
}
