// SPDX-License-Identifier: Apache-2.0
// pgcache run | check | explain | cleanup
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>

#include "app/app.h"
#include "app/explain_command.h"
#include "app/live_line.h"
#include "app/precision_advice.h"
#include "base/heap_options.h"
#include "base/huge_pages.h"
#include "base/log.h"
#include "config/loader.h"
#include "origin/check.h"
#include "origin/cleanup.h"
#include "origin/companion.h"

namespace pgcache {
namespace {

void set_up_logging(const config::Config& config) {
  auto logger = spdlog::stderr_color_mt("pgcache");
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(config.log_level));
  spdlog::set_default_logger(std::move(logger));
}

int fail(const Error& error) {
  std::fprintf(stderr, "pgcache: %s\n", error.message.c_str());
  return 1;
}

void show_live(app::App& application, boost::asio::steady_timer& timer, app::LiveLine& line) {
  timer.expires_after(std::chrono::seconds(1));
  timer.async_wait([&](boost::system::error_code error) {
    if (error) return;
    const std::string text = line.next(application.routes(), application.cache_status(),
                                       application.readiness(), std::chrono::steady_clock::now());
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    std::printf(terminal ? "\r\033[K%s" : "%s\n", text.c_str());
    std::fflush(stdout);
    show_live(application, timer, line);
  });
}

void watch_certificates(app::TlsFiles& files, boost::asio::steady_timer& timer) {
  timer.expires_after(std::chrono::seconds(2));
  timer.async_wait([&](boost::system::error_code error) {
    if (error) return;
    files.reload_when_changed();
    watch_certificates(files, timer);
  });
}

void reload_on_hangup(app::TlsFiles& files, boost::asio::signal_set& signals) {
  signals.async_wait([&](boost::system::error_code error, int) {
    if (error) return;
    files.reload();
    reload_on_hangup(files, signals);
  });
}

// A heap in huge pages is worth what it costs to a large cache alone: each arena takes up some
// megabytes more (ADR 28).
constexpr std::uint64_t kLargeCacheBytes = std::uint64_t{64} << 20;

void watch_cache_size(const app::App& application, boost::asio::steady_timer& timer) {
  timer.expires_after(std::chrono::seconds(1));
  timer.async_wait([&](boost::system::error_code error) {
    if (error) return;
    if (application.cache_status().bytes >= kLargeCacheBytes) return allow_huge_pages(true);
    watch_cache_size(application, timer);
  });
}

int run(const config::Config& config) {
  allow_huge_pages(false);
  Result<origin::Endpoint> endpoint = origin::resolve_endpoint(config.origin);
  if (!endpoint) return fail(endpoint.error());
  std::string pooled_database;
  if (!config.replication_origin.empty()) {
    const Result<origin::Endpoint> server = origin::resolve_endpoint(config.replication_origin);
    if (!server) return fail(server.error());
    pooled_database = server->database;
  }
  std::unique_ptr<origin::Companion> companion;
  if (config.cache && config.strict_by() == config::StrictBy::kLease) {
    companion = origin::Companion::fork_from(config);
  }
  app::App application(config, *endpoint, pooled_database, std::move(companion));
  if (Status status = application.start(); !status) return fail(status.error());
  std::string listens;
  for (const std::string& address : application.addresses()) {
    listens += (listens.empty() ? "" : " and ") + address;
  }
  log_info("pgcache {} listens on {}, admin on {}:{}, origin {}:{}/{}", PGCACHE_VERSION, listens,
           config.admin.host, application.admin_port(), endpoint->host, endpoint->port,
           endpoint->database);
  boost::asio::io_context context(1);
  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  boost::asio::signal_set hangups(context, SIGHUP);
  boost::asio::steady_timer timer(context);
  boost::asio::steady_timer certificates_timer(context);
  boost::asio::steady_timer size_timer(context);
  app::LiveLine line;
  signals.async_wait([&](boost::system::error_code, int) { context.stop(); });
  reload_on_hangup(application.tls(), hangups);
  watch_certificates(application.tls(), certificates_timer);
  watch_cache_size(application, size_timer);
  if (config.live) show_live(application, timer, line);
  context.run();
  if (config.live) std::printf("\n");
  log_info("stopping");
  application.stop();
  return 0;
}

int check(const config::Config& config) {
  const app::RunningPgcache running = app::find_running(config);
  Result<std::vector<origin::Problem>> problems =
      origin::check_origin(config, running.report.has_value());
  if (!problems) return fail(problems.error());
  const Result<std::vector<std::string>> settings = origin::strict_settings(config);
  if (!settings) return fail(settings.error());
  for (const std::string& line : *settings) std::printf("%s\n", line.c_str());
  for (const origin::Problem& problem : *problems) {
    std::printf("%s: %s\n", problem.fatal ? "missing" : "note", problem.what.c_str());
    if (!problem.mend.empty()) std::printf("    %s\n", problem.mend.c_str());
  }
  if (problems->empty()) std::printf("ok: the origin has everything that pgcache needs\n");
  for (const std::string& text : app::precision_advice(config, running))
    std::printf("%s\n", text.c_str());
  for (const origin::Problem& problem : *problems) {
    if (problem.fatal) return 2;
  }
  return 0;
}

int cleanup(const config::Config& config) {
  Result<std::vector<std::string>> removed = origin::cleanup_origin(config);
  if (!removed) return fail(removed.error());
  for (const std::string& line : *removed) std::printf("%s\n", line.c_str());
  if (removed->empty()) std::printf("nothing to remove\n");
  return 0;
}

int main_with(int argc, char** argv) {
  Result<config::CommandLine> line =
      config::load_command_line(argc, argv, config::read_environment());
  if (!line) {
    const int status = fail(line.error());
    // 1 would say that the query is not cacheable.
    return argc > 1 && std::string_view(argv[1]) == "explain" ? 2 : status;
  }
  switch (line->command) {
    case config::CommandLine::kVersion:
    case config::CommandLine::kHelp:
      std::printf("%s", line->text_to_print.c_str());
      return 0;
    case config::CommandLine::kRun:
    case config::CommandLine::kCheck:
    case config::CommandLine::kExplain:
    case config::CommandLine::kCleanup:
      break;
  }
  std::signal(SIGPIPE, SIG_IGN);
  set_up_logging(line->config);
  for (const std::string& warning : line->warnings) log_warning("{}", warning);
  if (line->command == config::CommandLine::kCheck) return check(line->config);
  if (line->command == config::CommandLine::kExplain) return app::explain(*line);
  if (line->command == config::CommandLine::kCleanup) return cleanup(line->config);
  return run(line->config);
}

}  // namespace
}  // namespace pgcache

int main(int argc, char** argv) { return pgcache::main_with(argc, argv); }
