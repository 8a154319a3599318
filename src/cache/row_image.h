// SPDX-License-Identifier: Apache-2.0
// Row changes as predicates see them: images of one row before and after, looked up by column name,
// each cell parsed at its first use and remembered.
//
// A column that the image does not hold, whose text has no canonical form, or whose type in the
// stream is not the one that the analysis saw, is unknown. An image borrows its change and its
// form; one thread at a time.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
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
  // No two forms ever have the same.
  std::uint64_t number() const { return number_; }
  std::optional<std::size_t> position(std::string_view column) const;

 private:
  std::shared_ptr<const cdc::StreamRelation> relation_;
  std::uint64_t number_;
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
  // Cells as they were parsed, by position; nothing: not yet.
  using Parsed = std::vector<std::optional<sql::Operand>>;
  // `unchanged`: where unchanged TOAST values may be found; null for nowhere.
  RowImage(const RelationForm& form, const std::vector<cdc::Cell>& cells, Known known,
           const std::vector<cdc::Cell>* unchanged = nullptr);
  // `parsed`: of another image of the same cells, that looked for unchanged values nowhere.
  void take_over(Parsed parsed) { parsed_ = std::move(parsed); }
  Parsed take_parsed() && { return std::move(parsed_); }

  sql::Operand column(const sql::ColumnRef& column) const override { return look(column); }
  // The same without a copy; lives as long as the image.
  const sql::Operand& look(const sql::ColumnRef& column) const;

  // Whether since forget_missed() a column was looked at that the image does not hold, although the
  // relation has it.
  bool missed() const { return missed_; }
  void forget_missed() const { missed_ = false; }

 private:
  cdc::Cell cell_at(std::size_t position) const;

  const RelationForm& form_;
  const std::vector<cdc::Cell>& cells_;
  Known known_;
  const std::vector<cdc::Cell>* unchanged_;
  mutable bool missed_ = false;
  mutable Parsed parsed_;
};

// Some of a form's columns, by position.
class ColumnSet {
 public:
  explicit ColumnSet(std::size_t columns = 0) : words_((columns + kBits - 1) / kBits) {}

  void add(std::size_t position) {
    words_[position / kBits] |= std::uint64_t{1} << position % kBits;
  }
  // Both of the same form.
  bool is_part_of(const ColumnSet& other) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (words_[i] & ~other.words_[i]) return false;
    }
    return true;
  }
  bool meets(const ColumnSet& other) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (words_[i] & other.words_[i]) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kBits = 64;
  boost::container::small_vector<std::uint64_t, 1> words_;
};

// One change and its images. A TRUNCATE has none.
class ChangeImages {
 public:
  // `stored`: the row just before the change, where that is known better than the stream tells
  // (image_store.h); else empty. `parsed`: what of the row afterwards has been parsed already; may
  // be empty.
  ChangeImages(const cdc::RowChange& change, const RelationForm& form, std::string_view stored = {},
               RowImage::Parsed parsed = {});
  ChangeImages(const ChangeImages&) = delete;
  ChangeImages& operator=(const ChangeImages&) = delete;

  const cdc::RowChange& change() const { return change_; }
  pg::Oid relation() const { return form_.relation().oid; }
  const RelationForm& form() const { return form_; }
  const std::optional<RowImage>& before() const { return before_; }
  const std::optional<RowImage>& after() const { return after_; }
  // Of an UPDATE: whether the column has the same value as before. kUnknown: it is not known what
  // it was; kPerhapsNot: it is, and that does not prove it the same.
  enum class Keeps { kYes, kPerhapsNot, kUnknown };
  Keeps keeps(std::string_view column) const;
  // The same of all columns.
  struct KeptColumns {
    ColumnSet yes;
    ColumnSet perhaps_not;
  };
  const KeptColumns& kept() const;

 private:
  Keeps keeps_at(std::size_t position) const;
  // The cells before the change; null when the stream sent none and none are stored.
  const std::vector<cdc::Cell>* cells_before() const;

  const cdc::RowChange& change_;
  const RelationForm& form_;
  std::vector<cdc::Cell> stored_;
  std::optional<RowImage> before_;
  std::optional<RowImage> after_;
  mutable std::optional<KeptColumns> kept_;
};

}  // namespace pgcache::cache
