// SPDX-License-Identifier: Apache-2.0
#include "app/precision_advice.h"

#include <fmt/format.h>

#include <utility>

#include "app/app.h"
#include "config/values.h"
#include "origin/link.h"
#include "origin/row_writes.h"

namespace pgcache::app {

namespace {

constexpr std::size_t kTablesMax = 10;
constexpr auto kAdminTimeout = std::chrono::milliseconds(2000);

std::string mend_line(const std::string& schema, const std::string& name) {
  return "    ALTER TABLE " + origin::quote_identifier(schema) + "." +
         origin::quote_identifier(name) + " REPLICA IDENTITY FULL";
}

std::vector<std::string> with_heading(std::vector<std::string> tables, const std::string& source) {
  if (tables.empty()) return {};
  std::vector<std::string> lines{
      "advice: REPLICA IDENTITY FULL would spare cached results, for these tables most (" + source +
      "). UPDATE and DELETE then write whole old rows to the WAL."};
  lines.insert(lines.end(), tables.begin(), tables.end());
  return lines;
}

std::vector<std::string> measured_lines(const admin::PrecisionReport& report,
                                        const std::string& address) {
  std::vector<std::string> lines;
  for (const admin::TablePrecision& table : report.tables) {
    if (table.counts.coarse == 0 || table.identity == "full") continue;
    if (lines.size() >= 2 * kTablesMax) break;
    lines.push_back(fmt::format("  {}: {} of {} invalidations for want of the old row ({:.0f} %)",
                                table.table, table.counts.coarse, table.counts.invalidations,
                                100.0 * static_cast<double>(table.counts.coarse) /
                                    static_cast<double>(table.counts.invalidations)));
    lines.push_back(mend_line(table.schema, table.name));
  }
  return with_heading(std::move(lines), "measured by the pgcache at " + address);
}

std::vector<std::string> guessed_lines(const std::vector<origin::RowWrites>& tables,
                                       const std::string& why) {
  std::vector<std::string> lines;
  for (const origin::RowWrites& table : tables) {
    if (lines.size() >= 2 * kTablesMax) break;
    lines.push_back(fmt::format("  {}.{}: {} rows updated or deleted", table.schema, table.name,
                                table.changed));
    lines.push_back(mend_line(table.schema, table.name));
  }
  return with_heading(std::move(lines), "by pg_stat_user_tables, since " + why);
}

}  // namespace

RunningPgcache find_running(const config::Config& config) {
  const std::string address = config::format_host_port(config.admin);
  const Result<std::string> body = admin::fetch(config.admin, "/precision", kAdminTimeout);
  if (!body.ok()) return {std::nullopt, "no pgcache answers at " + address};
  Result<admin::PrecisionReport> report = admin::parse_precision(*body);
  if (!report.ok()) return {std::nullopt, "what answers at " + address + " has no such report"};
  const Result<origin::Endpoint> endpoint = origin::resolve_endpoint(config.origin);
  if (!endpoint.ok() || report->origin != origin_name(*endpoint)) {
    return {std::nullopt,
            "the pgcache at " + address + " fronts another origin, " + report->origin};
  }
  return {*std::move(report), {}};
}

std::vector<std::string> precision_advice(const config::Config& config,
                                          const RunningPgcache& running) {
  if (running.report) {
    return measured_lines(*running.report, config::format_host_port(config.admin));
  }
  const Result<std::vector<origin::RowWrites>> writes = origin::read_row_writes(config);
  if (!writes.ok()) return {};  // the check itself has said so
  return guessed_lines(*writes, running.why_not);
}

}  // namespace pgcache::app
