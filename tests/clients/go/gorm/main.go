// SPDX-License-Identifier: Apache-2.0

// GORM over pgx: models, preloads, transactions with savepoints, with and without prepared statements.
package main

import (
	"database/sql"
	"errors"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	c "pgcache/tests/clients/go/contract"
)

type Owner struct {
	ID    int
	Name  string
	Items []Item
}

type Item struct {
	ID      int
	Name    string
	Price   string
	Added   time.Time
	OwnerID int
	Owner   *Owner
}

type Written struct {
	ID   int `gorm:"primaryKey;autoIncrement:false"`
	Name *string
}

func (Written) TableName() string { return "written" }

// A chapter with one session; simple: by simple queries; prepared: with GORM's cache of statements.
func with(simple, prepared bool, work func(*gorm.DB, *c.Seen)) func(string, *c.Seen) {
	return func(url string, seen *c.Seen) {
		db := c.Must(gorm.Open(postgres.New(postgres.Config{DSN: url + "?sslmode=disable", PreferSimpleProtocol: simple}),
			&gorm.Config{Logger: logger.Discard, PrepareStmt: prepared}))
		connections := c.Must(db.DB())
		connections.SetMaxOpenConns(1)
		defer connections.Close()
		work(db, seen)
	}
}

func keep(seen *c.Seen, items []Item) {
	for _, item := range items {
		seen.Add(item.ID, item.Name, item.Price, item.Added.UTC().String())
		if item.Owner != nil {
			seen.Add(item.Owner.Name)
		}
	}
}

func reads(db *gorm.DB, seen *c.Seen) {
	for i := 1; i <= 5; i++ {
		var item Item
		c.Check(db.First(&item, i).Error)
		keep(seen, []Item{item})
	}
	var items []Item
	c.Check(db.Preload("Owner").Where("id <= ?", 3).Order("id").Find(&items).Error)
	keep(seen, items)
	items = nil
	c.Check(db.Joins("Owner").Where("items.price > ?", 100).Order("items.id desc").Limit(3).Find(&items).Error)
	keep(seen, items)
	var owners []Owner
	c.Check(db.Preload("Items", func(of *gorm.DB) *gorm.DB { return of.Order("id") }).Order("id").Limit(2).Find(&owners).Error)
	for _, owner := range owners {
		keep(seen, owner.Items)
	}
	var n int64
	c.Check(db.Model(&Item{}).Where("name LIKE ?", "item 1%").Count(&n).Error)
	var totals []struct {
		OwnerID int
		Total   string
	}
	c.Check(db.Model(&Item{}).Select("owner_id, sum(price) AS total").Group("owner_id").Order("owner_id").Scan(&totals).Error)
	var names []string
	c.Check(db.Model(&Item{}).Where("id IN ?", []int{1, 2, 3}).Order("id").Pluck("name", &names).Error)
	seen.Add(n, totals, names)
}

func readBlocks(db *gorm.DB, seen *c.Seen) {
	var first Item
	c.Check(db.Take(&first, 1).Error)
	for i := 1; i <= 5; i++ {
		c.Check(db.Transaction(func(tx *gorm.DB) error {
			var item Item
			err := tx.Take(&item, i).Error
			keep(seen, []Item{item})
			return err
		}))
	}
}

func transactions(db *gorm.DB, seen *c.Seen) {
	c.Check(db.Exec("DELETE FROM written").Error)
	one := "one"
	var rows []Written
	c.Check(db.Transaction(func(tx *gorm.DB) error {
		c.Check(tx.Create(&Written{ID: 1, Name: &one}).Error)
		seen.Add(tx.Transaction(func(inner *gorm.DB) error { return inner.Create(&Written{ID: 1}).Error }))
		return tx.Clauses(clause.Locking{Strength: "UPDATE"}).Find(&rows).Error
	}))
	seen.Add(db.Transaction(func(tx *gorm.DB) error {
		c.Check(tx.Create(&Written{ID: 2}).Error)
		return errors.New("undo")
	}))
	seen.Add(len(rows), *rows[0].Name)
	c.Check(db.Transaction(func(tx *gorm.DB) error { return tx.Find(&rows).Error },
		&sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true}))
	c.Check(db.Save(&Written{ID: 1, Name: nil}).Error)
	c.Check(db.Find(&rows).Error)
	seen.Add(len(rows), rows[0].Name == nil)
}

func batches(db *gorm.DB, seen *c.Seen) {
	c.Check(db.Exec("TRUNCATE written").Error)
	rows := make([]Written, 500)
	for i := range rows {
		rows[i].ID = i
	}
	c.Check(db.CreateInBatches(rows, 100).Error)
	up := "up"
	c.Check(db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Written{ID: 1, Name: &up}).Error)
	var n int64
	c.Check(db.Model(&Written{}).Count(&n).Error)
	var found []Written
	seen.Add(n, db.Where("name = ?", "up").FindInBatches(&found, 10, func(*gorm.DB, int) error { return nil }).RowsAffected)
	total := 0
	cursor := c.Must(db.Model(&Item{}).Order("id").Rows())
	defer cursor.Close()
	for cursor.Next() {
		var item Item
		c.Check(db.ScanRows(cursor, &item))
		total += item.ID
	}
	seen.Add(total)
}

func failures(db *gorm.DB, seen *c.Seen) {
	for _, text := range []string{"SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC"} {
		seen.Add(db.Exec(text).Error)
	}
	seen.Add(db.First(&Item{}, 1000).Error)
}

func main() {
	c.Start("GORM", "gorm.io/gorm")
	c.Chapter("reads", with(false, false, reads), 13, 0)
	c.Chapter("reads-simple", with(true, false, reads), 13, 0)
	c.Chapter("reads-prepared", with(false, true, reads), 13, 0)
	c.Chapter("read-blocks", with(false, false, readBlocks), 6, 5)
	c.Chapter("read-blocks-prepared", with(false, true, readBlocks), 6, 4)
	c.Chapter("transactions", with(false, false, transactions), 0, 0)
	c.Chapter("batches", with(false, false, batches), 0, 0)
	c.Chapter("errors", with(false, false, failures), 0, 0)
	c.Finish()
}
