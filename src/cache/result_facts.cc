// SPDX-License-Identifier: Apache-2.0
#include "cache/result_facts.h"

#include <algorithm>
#include <compare>
#include <utility>

#include "cache/result_rows.h"

namespace pgcache::cache {

namespace {

using State = sql::Operand::State;

// Nothing when it cannot be read.
std::optional<sql::Operand> read_value(const sql::ShownColumn& shown, const Fields& fields,
                                       std::string_view formats_be) {
  const std::optional<bool> binary = is_binary(formats_be, shown.position);
  if (!binary || shown.position >= fields.size()) return std::nullopt;
  const std::optional<std::string_view>& field = fields[shown.position];
  if (!field) return sql::Operand::null();
  std::optional<pg::Value> value = parse_field(*shown.type, *binary, *field);
  if (!value) return std::nullopt;
  return sql::Operand::of(*std::move(value));
}

// Whether the operand is a number, and how it stands to `number`.
std::optional<std::strong_ordering> order_to(const sql::Operand& operand, std::uint64_t number) {
  if (!operand.known()) return std::nullopt;
  const std::optional<pg::Value> other = pg::parse_text(pg::type::kInt8, std::to_string(number));
  return other ? pg::compare(*operand.value, *other) : std::nullopt;
}

void read_last(const sql::Cutoff& cutoff, std::uint64_t row_count, const Fields& last_row,
               std::string_view formats_be, const BoundOperands& operands, ResultFacts& out) {
  const auto limit = order_to(operands.values[cutoff.limit], row_count);
  if (row_count == 0 || !limit || std::is_gt(*limit)) return;
  for (std::size_t i = 0; i < cutoff.by.size(); ++i) {
    if (cutoff.place) {
      const auto place = order_to(operands.values[*cutoff.place], cutoff.by[i].position + 1u);
      if (!place || !std::is_eq(*place)) continue;
    }
    out.last = read_value(cutoff.by[i], last_row, formats_be);
    out.sorted_by = i;
    return;
  }
}

void append_operand(std::string& key, const sql::Operand& operand) {
  if (operand.known()) {
    append_part(key, *operand.value);
  } else {
    append_null(key);
  }
}

void add_repeated(const std::vector<sql::ShownColumn>& columns, const Fields& fields,
                  std::string_view formats_be, ResultFacts& out) {
  std::string key;
  for (const sql::ShownColumn& column : columns) {
    const std::optional<sql::Operand> value = read_value(column, fields, formats_be);
    if (!value) return;  // of this row nothing is known
    append_operand(key, *value);
  }
  out.repeated.push_back(std::move(key));
}

void read_extremes(const std::vector<sql::Extreme>& extremes, const Fields& fields,
                   std::string_view formats_be, ResultFacts& out) {
  for (const sql::Extreme& extreme : extremes) {
    const std::optional<sql::Operand> value = read_value(extreme.value, fields, formats_be);
    if (!value) return out.extremes.clear();
    out.extremes.push_back(*value);
  }
}

// Whether the value comes after `last` in the order of the cutoff.
bool comes_after(const sql::Cutoff& cutoff, const sql::Operand& value, const sql::Operand& last) {
  if (value.state == State::kUnknown) return false;
  if (value.state == State::kNull) return last.state != State::kNull && !cutoff.nulls_first;
  if (last.state == State::kNull) return cutoff.nulls_first;
  const auto order = pg::compare(*value.value, *last.value);
  return order && (cutoff.descending ? std::is_lt(*order) : std::is_gt(*order));
}

bool is_repeated(const sql::Dependency& dependency, const ResultFacts& facts,
                 const RowImage& image) {
  std::string key;
  for (const sql::ShownColumn& column : dependency.repeated) {
    const sql::Operand& value = image.look(column.column);
    if (value.state == State::kUnknown) return false;
    append_operand(key, value);
  }
  return std::binary_search(facts.repeated.begin(), facts.repeated.end(), key);
}

// Whether the row leaves the extreme as it is.
bool is_within(const sql::Extreme& extreme, const sql::Operand& value, const sql::Operand& shown,
               bool is_before) {
  if (value.state == State::kNull) return true;
  if (!value.known() || !shown.known()) return false;
  const auto order = pg::compare(*value.value, *shown.value);
  if (!order) return false;
  if (std::is_eq(*order)) return !is_before && extreme.looks_alike;
  return extreme.greatest ? std::is_lt(*order) : std::is_gt(*order);
}

}  // namespace

std::uint64_t ResultFacts::bytes() const {
  std::uint64_t bytes =
      repeated.capacity() * sizeof(std::string) + extremes.capacity() * sizeof(sql::Operand);
  for (const std::string& key : repeated) bytes += key.capacity();
  return bytes;
}

ResultFacts read_facts(const sql::Dependency& dependency, const CachedResult& result,
                       std::string_view formats_be, const BoundOperands& operands) {
  ResultFacts out;
  const bool repeats = !dependency.repeated.empty() && result.row_count <= kRepeatedRowsMax;
  if (!dependency.cutoff && !repeats && dependency.extremes.empty()) return out;
  std::uint64_t row_count = 0;
  Fields fields;
  Fields last;
  RowReader rows(result);
  while (rows.next(fields)) {
    ++row_count;
    if (repeats) add_repeated(dependency.repeated, fields, formats_be, out);
    std::swap(last, fields);
  }
  if (rows.is_malformed() || row_count != result.row_count) return {};
  std::sort(out.repeated.begin(), out.repeated.end());
  if (dependency.cutoff) {
    read_last(*dependency.cutoff, row_count, last, formats_be, operands, out);
  }
  if (row_count == 1) read_extremes(dependency.extremes, last, formats_be, out);
  return out;
}

bool is_beyond(const sql::Dependency& dependency, const ResultFacts& facts, const RowImage& image,
               bool is_before) {
  if (facts.last) {
    const sql::Operand& value = image.look(dependency.cutoff->by[facts.sorted_by].column);
    if (comes_after(*dependency.cutoff, value, *facts.last)) return true;
  }
  if (!is_before && !facts.repeated.empty() && is_repeated(dependency, facts, image)) return true;
  if (facts.extremes.empty()) return false;
  for (std::size_t i = 0; i < facts.extremes.size(); ++i) {
    const sql::Extreme& extreme = dependency.extremes[i];
    if (!is_within(extreme, image.look(extreme.value.column), facts.extremes[i], is_before)) {
      return false;
    }
  }
  return true;
}

}  // namespace pgcache::cache
