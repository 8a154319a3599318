// SPDX-License-Identifier: Apache-2.0
#include "oracle/report.h"

#include <cstdio>

namespace pgcache::oracle {

void Trace::add(const std::string& who, const std::string& sql, const std::string& outcome) {
  lines_.push_back("/* " + who + " */ " + sql + ";  -- " + outcome);
  if (echo_) std::fprintf(stderr, "%s\n", lines_.back().c_str());
}

std::string Trace::tail(std::size_t lines) const {
  std::string out;
  const std::size_t first = lines_.size() > lines ? lines_.size() - lines : 0;
  for (std::size_t i = first; i < lines_.size(); ++i) out += lines_[i] + "\n";
  return out;
}

Share Counts::total() const {
  Share sum;
  for (const auto& [feature, share] : shares) {
    sum.repeats += share.repeats;
    sum.hits += share.hits;
  }
  return sum;
}

std::string Counts::text() const {
  char line[400];
  std::snprintf(
      line, sizeof line,
      "%llu answers compared in %llu rounds of %llu epochs, %llu changes, %llu alterations, "
      "%llu reads after own writes, %llu reads in blocks\n"
      "%llu reads and %llu transactions at the same time\n",
      static_cast<unsigned long long>(queries), static_cast<unsigned long long>(rounds),
      static_cast<unsigned long long>(epochs), static_cast<unsigned long long>(changes),
      static_cast<unsigned long long>(alterations), static_cast<unsigned long long>(own_writes),
      static_cast<unsigned long long>(in_blocks), static_cast<unsigned long long>(concurrent_reads),
      static_cast<unsigned long long>(concurrent_writes));
  std::string out = line;
  out += "repeats that were hits:\n";
  for (const auto& [feature, share] : shares) {
    std::snprintf(line, sizeof line, "  %-18s %6llu of %6llu\n", feature.c_str(),
                  static_cast<unsigned long long>(share.hits),
                  static_cast<unsigned long long>(share.repeats));
    out += line;
  }
  if (!missed_reasons.empty()) out += "the others:\n";
  for (const auto& [reason, count] : missed_reasons) {
    out += "  " + std::to_string(count) + " " + reason + ", such as: " + missed.at(reason) + "\n";
  }
  return out;
}

}  // namespace pgcache::oracle
