// SPDX-License-Identifier: Apache-2.0
// Row changes as predicates see them: images of one row before and after, looked up by column name,
// each cell parsed at its first use and remembered.
//
// A column that the image does not hold, whose text has no canonical form, or whose type in the
// stream is not the one that the analysis saw, is unknown. An image borrows its change and its
// form; one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "cdc/row_change.h"
#include "sql/analysis.h"

namespace pgcache::cache {

// A relation's form in the stream with its columns by name.
class RelationForm {
 public:
  explicit RelationForm(std::shared_ptr<const cdc::StreamRelation> relation);
  const cdc::StreamRelation& relation() const { return *relation_; }
  std::optional<std::size_t> position(std::string_view column) const;

 private:
  std::shared_ptr<const cdc::StreamRelation> relation_;
  std::unordered_map<std::string_view, std::size_t, StringHash>
      positions_;  // views into *relation_
};

// The latest form of each relation.
class FormCache {
 public:
  // Lives until the next call.
  const RelationForm& form_of(const std::shared_ptr<const cdc::StreamRelation>& relation);
  void clear() { forms_.clear(); }

 private:
  std::unordered_map<pg::Oid, RelationForm> forms_;
};

class RowImage final : public sql::RowView {
 public:
  enum class Known { kAll, kKeyOnly, kNone };
  RowImage(const RelationForm& form, const std::vector<cdc::Cell>& cells, Known known);

  sql::Operand column(const sql::ColumnRef& column) const override { return look(column); }
  // The same without a copy; lives as long as the image.
  const sql::Operand& look(const sql::ColumnRef& column) const;

 private:
  const RelationForm& form_;
  const std::vector<cdc::Cell>& cells_;
  Known known_;
  mutable std::vector<std::optional<sql::Operand>> parsed_;  // by position
};

// One change and its images. A TRUNCATE has none.
class ChangeImages {
 public:
  ChangeImages(const cdc::RowChange& change, const RelationForm& form);

  const cdc::RowChange& change() const { return change_; }
  pg::Oid relation() const { return form_.relation().oid; }
  const std::optional<RowImage>& before() const { return before_; }
  const std::optional<RowImage>& after() const { return after_; }
  // Of an UPDATE: the column has certainly the same value as before.
  bool keeps(std::string_view column) const;

 private:
  const cdc::RowChange& change_;
  const RelationForm& form_;
  std::optional<RowImage> before_;
  std::optional<RowImage> after_;
};

}  // namespace pgcache::cache
