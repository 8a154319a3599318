// SPDX-License-Identifier: Apache-2.0

// Package contract is the contract of the client programs, for Go; as ../../python/contract.py.
package contract

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"time"
)

const patience = 15 * time.Second

var (
	pgcache, origin, admin = os.Args[1], os.Args[2], os.Args[3]

	sample = regexp.MustCompile(`(?m)^pgcache_(?:queries_total\{(.*)\}|blocks_local_total) (\S+)$`)
	label  = regexp.MustCompile(`(\w+)="([^"]*)"`)
	failed bool

	// Kinds are the columns of the table "kinds".
	Kinds = columns(`bool int2 int4 int8 numeric float4 float8 money oid text varchar bpchar char name bytea date time
		timetz timestamp timestamptz interval uuid json jsonb jsonpath xml inet cidr macaddr macaddr8 bit varbit point
		line lseg box path polygon circle int4range int8range numrange tsrange tstzrange daterange int4multirange
		tsvector tsquery pg_lsn int4_array text_array numeric_array timestamptz_array matrix enum domain composite`)
	// Searched are those that can be looked for by a value that was read.
	Searched = columns("bool int2 int4 int8 numeric text date timestamp timestamptz uuid enum bytea")
	// Failing are statements that PostgreSQL refuses, each for another reason.
	Failing = []string{"SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
		"INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood", "SELECT * FROM absent",
		"INSERT INTO items VALUES (1000, 'x', 1, now(), 1000)", "INSERT INTO items (id) VALUES (1000)"}
)

func columns(names string) (found []string) {
	for _, name := range strings.Fields(names) {
		found = append(found, "k_"+name)
	}
	return found
}

// Seen is what a chapter saw, in order.
type Seen struct{ items []string }

// Add keeps values as they print.
func (s *Seen) Add(values ...any) {
	for _, value := range values {
		if err, ok := value.(error); ok {
			value = err.Error()
		}
		s.items = append(s.items, fmt.Sprintf("%#v", value))
	}
}

// Must is for what cannot fail.
func Must[T any](value T, err error) T {
	Check(err)
	return value
}

// Check ends the chapter with an error.
func Check(err error) {
	if err != nil {
		panic(err)
	}
}

// Start says which client this is: a module of the program's build.
func Start(client, module string) {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				version = strings.TrimPrefix(dependency.Version, "v")
			}
		}
	}
	fmt.Println("client", client, version)
}

func routes() map[string]int {
	answer := Must(http.Get(admin + "/metrics"))
	defer answer.Body.Close()
	counts := map[string]int{}
	for _, match := range sample.FindAllStringSubmatch(string(Must(io.ReadAll(answer.Body))), -1) {
		name := "local"
		if match[1] != "" {
			named := map[string]string{}
			for _, l := range label.FindAllStringSubmatch(match[1], -1) {
				named[l[1]] = l[2]
			}
			name = strings.TrimSuffix(named["route"]+":"+named["reason"], ":")
		}
		counts[name] += int(Must(strconv.ParseFloat(match[2], 64)))
	}
	return counts
}

func run(work func(url string, seen *Seen), url string) (items []string, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("%v\n%s", problem, debug.Stack())
		}
	}()
	seen := &Seen{}
	work(url, seen)
	return seen.items, nil
}

func difference(expected, seen []string) error {
	for i := range min(len(expected), len(seen)) {
		if expected[i] != seen[i] {
			return fmt.Errorf("item %d: the origin gave %s, pgcache %s", i, expected[i], seen[i])
		}
	}
	if len(expected) != len(seen) {
		return fmt.Errorf("%d items from the origin, %d through pgcache", len(expected), len(seen))
	}
	return nil
}

func attempt(work func(string, *Seen), expected []string) (map[string]int, error) {
	before := routes()
	seen, err := run(work, pgcache)
	if err == nil {
		err = difference(expected, seen)
	}
	taken := map[string]int{}
	for name, n := range routes() {
		if n != before[name] {
			taken[name] = n - before[name]
		}
	}
	return taken, err
}

func wanted(taken map[string]int, hits, local int) bool {
	if hits == 0 {
		return true
	}
	for name := range taken {
		if name == "miss" || strings.HasPrefix(name, "fallback") {
			return false
		}
	}
	return taken["hit"] >= hits && taken["local"] >= local
}

func chapter(work func(string, *Seen), hits, local int) (map[string]int, error) {
	expected, err := run(work, origin)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		taken, err := attempt(work, expected)
		if err != nil || wanted(taken, hits, local) {
			return taken, err
		}
		if time.Now().After(deadline) {
			return taken, fmt.Errorf("routes %v, wanted at least hit %d local %d, no miss", taken, hits, local)
		}
	}
}

// Chapter runs one at the origin and through pgcache; hits and local as in the Python contract.
func Chapter(name string, work func(url string, seen *Seen), hits, local int) {
	taken, err := chapter(work, hits, local)
	if err != nil {
		failed = true
		fmt.Printf("FAILED %s: %v\n", name, err)
		return
	}
	var others []string
	for route, n := range taken {
		if route != "hit" && route != "local" {
			others = append(others, fmt.Sprintf(" %s %d", route, n))
		}
	}
	sort.Strings(others)
	fmt.Printf("ok %s hits %d local %d%s\n", name, taken["hit"], taken["local"], strings.Join(others, ""))
}

// Absent says that the API does not have a chapter's subject.
func Absent(name, why string) { fmt.Printf("none %s: %s\n", name, why) }

// Finish ends the program.
func Finish() {
	if failed {
		os.Exit(1)
	}
}
