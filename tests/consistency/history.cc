// SPDX-License-Identifier: Apache-2.0
#include "consistency/history.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace pgcache::consistency {

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kWindow = 3000 * kMillisecond;
constexpr std::size_t kOpsBefore = 40;
constexpr std::size_t kOpsBehind = 12;

const char* text_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return "";
    case Outcome::kUnknown:
      return " (outcome unknown)";
    case Outcome::kFailed:
      return " (rolled back)";
  }
  return "";
}

const char* text_of(Route route) {
  switch (route) {
    case Route::kDirect:
      return "direct";
    case Route::kForwarded:
      return "forwarded";
    case Route::kCached:
      return "cached";
  }
  return "";
}

std::string line_of(const Op& op, std::int64_t origin, bool marked) {
  char text[200];
  const auto ms = [origin](std::int64_t t) {
    return static_cast<double>(t - origin) / static_cast<double>(kMillisecond);
  };
  std::snprintf(text, sizeof text, "%s %10.3f .. %10.3f ms  session %-5u %s %lld%s, %s",
                marked ? "-->" : "   ", ms(op.start), ms(op.end), op.session,
                op.kind == OpKind::kWrite ? "writes" : "reads ", static_cast<long long>(op.value),
                text_of(op.outcome), text_of(op.route));
  std::string line = text;
  if (op.kind == OpKind::kRead) line += ", statement " + std::to_string(op.statement);
  return line + "\n";
}

}  // namespace

const char* name_of(Level level) {
  switch (level) {
    case Level::kEventual:
      return "eventual";
    case Level::kSession:
      return "session";
    case Level::kStrict:
      return "strict";
  }
  return "";
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string excerpt(const History& history, const Op& culprit) {
  std::vector<const Op*> ops;
  for (const Op& op : history.ops) {
    if (op.reg == culprit.reg) ops.push_back(&op);
  }
  std::sort(ops.begin(), ops.end(), [](const Op* a, const Op* b) { return a->start < b->start; });
  const auto at = std::find(ops.begin(), ops.end(), &culprit) - ops.begin();
  const auto first =
      static_cast<std::size_t>(at) - std::min(static_cast<std::size_t>(at), kOpsBefore);
  const auto last = std::min(ops.size(), static_cast<std::size_t>(at) + kOpsBehind);
  std::string text = "register " + history.register_names.at(culprit.reg) +
                     "; times are relative to the marked operation\n";
  // Writes that may lie far back, but say what should have been seen.
  for (std::size_t i = 0; i < first; ++i) {
    if (ops[i]->kind == OpKind::kWrite && ops[i]->end > culprit.start - kWindow) {
      text += line_of(*ops[i], culprit.start, false);
    }
  }
  for (std::size_t i = first; i < last; ++i) {
    text += line_of(*ops[i], culprit.start, ops[i] == &culprit);
  }
  for (const Incident& incident : history.incidents) {
    if (incident.at < culprit.start - kWindow || incident.at > culprit.end + kWindow) continue;
    char when[40];
    std::snprintf(
        when, sizeof when, "    %10.3f ms  ",
        static_cast<double>(incident.at - culprit.start) / static_cast<double>(kMillisecond));
    text += when + incident.what + "\n";
  }
  return text;
}

}  // namespace pgcache::consistency
