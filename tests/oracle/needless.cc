// SPDX-License-Identifier: Apache-2.0
#include "oracle/needless.h"

#include <algorithm>
#include <cstdio>

namespace pgcache::oracle {
namespace {

constexpr std::size_t kExamplesMax = 1000;  // of each construct

struct Mark {
  const char* construct;
  std::vector<const char*> in;  // one of these stands in the text
};

// Texts that only the named construct has, in the spelling of the generators.
const std::vector<Mark>& marks() {
  static const std::vector<Mark> all = {
      {"join", {" JOIN "}},
      {"outer join", {"LEFT JOIN ", "RIGHT JOIN ", "FULL JOIN "}},
      {"USING, NATURAL", {" USING (", "NATURAL "}},
      {"LATERAL", {"LATERAL "}},
      {"NOT IN subquery", {" NOT IN (SELECT"}},
      {"EXISTS", {"EXISTS (SELECT"}},
      {"ANY, ALL subquery", {"ANY (SELECT", "ALL (SELECT"}},
      {"scalar subquery", {", (SELECT", "= (SELECT"}},
      {"derived table", {"FROM (SELECT", "JOIN (SELECT"}},
      {"aggregate", {"count(", "sum(", "max(", "min(", "avg(", "array_agg("}},
      {"GROUP BY", {" GROUP BY "}},
      {"HAVING", {" HAVING "}},
      {"window", {" OVER ("}},
      {"DISTINCT", {"SELECT DISTINCT "}},
      {"UNION ALL", {" UNION ALL "}},
      {"UNION", {" UNION SELECT", " UNION (SELECT"}},
      {"INTERSECT", {" INTERSECT "}},
      {"EXCEPT", {" EXCEPT "}},
      {"recursive CTE", {"WITH RECURSIVE "}},
      {"CTE", {"WITH w "}},
      {"LIMIT", {" LIMIT ", " FETCH FIRST "}},
      {"LIKE, regular expression", {"LIKE '", " ~ '", " ~* '", " !~ '"}},
      {"CASE, COALESCE, NULLIF", {"CASE ", "coalesce(", "nullif(", "greatest("}},
      {"arithmetic", {" % ", " + 1 = ", " * 2 ", " / 2 ", " <= -", "::numeric / "}},
      {"array", {"ANY('{", "ALL(ARRAY", "ANY($"}},
      {"function of a column", {"lower(", "upper(", "date_trunc(", "extract(", "left("}},
  };
  return all;
}

void add_one(Tally& tally, bool same) {
  ++tally.invalidations;
  if (same) ++tally.needless;
}

void add_json(std::string& out, const Tally& tally) {
  char text[200];
  std::snprintf(text, sizeof text,
                "{\"invalidations\": %llu, \"needless\": %llu, \"share_percent\": %.1f}",
                static_cast<unsigned long long>(tally.invalidations),
                static_cast<unsigned long long>(tally.needless), tally.share_percent());
  out += text;
}

std::string row_of(const std::string& construct, const Tally& full, const Tally& with_default) {
  char line[200];
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  std::snprintf(line, sizeof line,
                "| %-25s | %6llu | %6llu | %5.1f %% | %6llu | %6llu | %5.1f %% |\n",
                construct.c_str(), number(full.invalidations), number(full.needless),
                full.share_percent(), number(with_default.invalidations),
                number(with_default.needless), with_default.share_percent());
  return line;
}

}  // namespace

std::vector<std::string> constructs_of(const Query& query) {
  std::vector<std::string> found;
  for (const Mark& mark : marks()) {
    if (std::any_of(mark.in.begin(), mark.in.end(),
                    [&](const char* text) { return query.sql.find(text) != std::string::npos; })) {
      found.emplace_back(mark.construct);
    }
  }
  const std::size_t in = query.sql.find(" IN (SELECT");
  if (in != std::string::npos && query.sql.compare(in - 4, 4, " NOT") != 0) {
    found.emplace_back("IN subquery");
  }
  const auto reads = [&](const std::string& prefix) {
    return std::any_of(query.relations.begin(), query.relations.end(),
                       [&](const Relation* one) { return one->name.starts_with(prefix); });
  };
  if (std::any_of(query.relations.begin(), query.relations.end(),
                  [](const Relation* one) { return !one->writable; })) {
    found.emplace_back("view");
  }
  if (reads("part") || reads("lst") || reads("hsh")) found.emplace_back("partitioned table");
  if (reads("inh")) found.emplace_back("inheritance");
  if (query.feature == "self join") found.emplace_back("self join on a key");
  if (query.feature == "contradiction") found.emplace_back("contradiction");
  if (found.empty()) found.emplace_back(query.feature == "by key" ? "by key" : "one table");
  return found;
}

double Tally::share_percent() const {
  return invalidations == 0
             ? 0
             : 100.0 * static_cast<double>(needless) / static_cast<double>(invalidations);
}

void Needless::count(const Query& query, const std::string& change, bool full, bool same) {
  Both& mix = query.usual ? usual_ : random_;
  add_one(full ? mix.full : mix.with_default, same);
  const std::string example = std::string(full ? "(full" : "(default") +
                              (query.usual ? ") " : ", random) ") + query.text() +
                              "\n    change: " + change;
  for (const std::string& construct : constructs_of(query)) {
    Both& both = constructs_[construct];
    add_one(full ? both.full : both.with_default, same);
    std::vector<std::string>& some = examples_[construct];
    if (same && some.size() < kExamplesMax) some.push_back(example);
  }
}

std::string Needless::table() const {
  std::string out =
      "needless invalidations (the answer after the change is the one before it)\n"
      "| construct                 |   FULL | needl. |   share | DEFAULT| needl. |   share |\n"
      "|---------------------------|-------:|-------:|--------:|-------:|-------:|--------:|\n";
  for (const auto& [construct, both] : constructs_) {
    out += row_of(construct, both.full, both.with_default);
  }
  out += row_of("the usual queries", usual_.full, usual_.with_default);
  out += row_of("random combinations", random_.full, random_.with_default);
  return out + "answers kept over a change: " + std::to_string(kept_) + "\n";
}

std::string Needless::json() const {
  std::string out = "{\"usual\": {\"full\": ";
  add_json(out, usual_.full);
  out += ", \"default\": ";
  add_json(out, usual_.with_default);
  out += "}, \"random\": {\"full\": ";
  add_json(out, random_.full);
  out += ", \"default\": ";
  add_json(out, random_.with_default);
  out += "}, \"kept\": " + std::to_string(kept_) + ", \"constructs\": {";
  bool first = true;
  for (const auto& [construct, both] : constructs_) {
    out += std::string(first ? "" : ",") + "\n  \"" + construct + "\": {\"full\": ";
    add_json(out, both.full);
    out += ", \"default\": ";
    add_json(out, both.with_default);
    out += "}";
    first = false;
  }
  return out + "\n}}\n";
}

std::string Needless::examples(std::size_t per_construct) const {
  std::string out;
  for (const auto& [construct, some] : examples_) {
    if (some.empty() || per_construct == 0) continue;
    out += construct + ":\n";
    for (std::size_t i = 0; i < std::min(per_construct, some.size()); ++i) {
      out += "  " + some[i] + "\n";
    }
  }
  return out;
}

}  // namespace pgcache::oracle
