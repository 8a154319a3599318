// SPDX-License-Identifier: Apache-2.0
// From the origin's error messages to what is missing and how to mend it; and a reporter that says
// each thing once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "origin/events.h"
#include "origin/link.h"

namespace pgcache::origin {

Problem explain_connect_failure(const Failure& failure);
// Of a statement on the replication connection, or its start.
Problem explain_replication_failure(const config::Config& config, const Failure& failure);
Problem explain_publication_failure(const config::Config& config, const Failure& failure);

LinkOptions link_options(const config::Config& config, std::string application_name);
// An ordinary connection, under the name that pg_stat_activity shows.
Result<std::unique_ptr<Link>> connect_to_origin(const config::Config& config,
                                                std::string application_name);

// Logs a set of problems when it differs from the last one, and hands it on. One thread.
class ProblemReporter {
 public:
  explicit ProblemReporter(std::function<void(std::vector<Problem>)> sink)
      : sink_(std::move(sink)) {}
  void report(std::vector<Problem> problems);

 private:
  std::function<void(std::vector<Problem>)> sink_;
  std::vector<std::string> last_;
  bool reported_ = false;
};

}  // namespace pgcache::origin
