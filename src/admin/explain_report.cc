// SPDX-License-Identifier: Apache-2.0
// Explanation → text for people, JSON for programs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "admin/explain.h"

namespace pgcache::admin {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLiteralBytesMax = 60;
constexpr std::size_t kLineBytes = 86;

std::string join(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

// `text` broken at blanks into lines of up to kLineBytes, where it can be.
std::string wrapped(std::string_view text) {
  std::string out;
  while (text.size() > kLineBytes) {
    std::size_t at = text.rfind(' ', kLineBytes);
    if (at == std::string_view::npos || at == 0) at = text.find(' ', kLineBytes);
    if (at == std::string_view::npos) break;
    out += std::string(text.substr(0, at)) + "\n";
    text.remove_prefix(at + 1);
  }
  return out + std::string(text);
}

// Lines of "label  value"; without value there is no line, and of several lines the first has the
// label.
class Lines {
 public:
  explicit Lines(std::string indent) : indent_(std::move(indent)) {}

  void add(std::string_view label, std::string_view value) {
    if (value.empty()) return;
    std::string_view shown = label;
    while (true) {
      const std::size_t end = value.find('\n');
      text_ += fmt::format("{}{:<12}{}\n", indent_, shown, value.substr(0, end));
      if (end == std::string_view::npos) return;
      value.remove_prefix(end + 1);
      shown = {};
    }
  }
  void add(std::string_view label, const std::vector<std::string>& values) {
    std::string text;
    for (const std::string& value : values) text += (text.empty() ? "" : "\n") + wrapped(value);
    add(label, text);
  }
  const std::string& text() const { return text_; }

 private:
  std::string indent_;
  std::string text_;
};

std::string shown_value(const ExplainedValue& value, bool literal) {
  std::string out = value.name;
  if (literal) {
    out += " = " + value.text.substr(0, kLiteralBytesMax);
    if (value.text.size() > kLiteralBytesMax) out += "...";
  }
  return out + (value.type.empty() ? "" : " (" + value.type + ")");
}

std::vector<std::string> shown_values(const std::vector<ExplainedValue>& values, bool literals) {
  std::vector<std::string> out;
  for (const ExplainedValue& value : values) out.push_back(shown_value(value, literals));
  return out;
}

std::string dependency_text(const ExplainedDependency& dependency) {
  Lines lines("  ");
  if (dependency.members.size() > 1) lines.add("members", wrapped(join(dependency.members)));
  lines.add("keys", dependency.keys);
  lines.add("range", dependency.range);
  lines.add("condition", dependency.residual);
  if (dependency.keys.empty() && dependency.range.empty() && dependency.residual.empty()) {
    lines.add("rows", "all");
  }
  lines.add("only if", dependency.guard);
  lines.add("", dependency.member_guards);
  lines.add("partners", dependency.partners);
  lines.add("columns", !dependency.columns_read           ? "all"
                       : dependency.columns_read->empty() ? "none"
                                                          : join(*dependency.columns_read));
  lines.add("shown", join(dependency.shown));
  lines.add("", wrapped(dependency.shown_rule));
  lines.add("beyond", dependency.bounds);
  lines.add("passes", join(dependency.passes));
  lines.add("identity", dependency.identity);
  lines.add("precision", wrapped(dependency.precision));
  return "reads " + dependency.relation + "\n" + lines.text();
}

Json values_json(const std::vector<ExplainedValue>& values, bool literals) {
  Json out = Json::array();
  for (const ExplainedValue& value : values) {
    Json one;
    one["name"] = value.name;
    if (literals) one["text"] = value.text;
    if (value.type.empty()) {
      one["type"] = nullptr;
    } else {
      one["type"] = value.type;
    }
    out.push_back(std::move(one));
  }
  return out;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json dependency_json(const ExplainedDependency& dependency) {
  Json out;
  out["relation"] = dependency.relation;
  out["members"] = dependency.members;
  out["keys"] = dependency.keys;
  out["range"] = text_or_null(dependency.range);
  out["condition"] = text_or_null(dependency.residual);
  out["guard"] = text_or_null(dependency.guard);
  out["member_guards"] = dependency.member_guards;
  out["partners"] = dependency.partners;
  out["columns_read"] = dependency.columns_read ? Json(*dependency.columns_read) : Json();
  out["shown"] = dependency.shown;
  out["shown_rule"] = dependency.shown_rule;
  out["bounds"] = dependency.bounds;
  out["passes"] = dependency.passes;
  out["replica_identity"] = dependency.identity;
  out["precision"] = dependency.precision;
  return out;
}

}  // namespace

std::string explanation_text(const Explanation& explanation) {
  Lines lines("");
  lines.add("cacheable", explanation.cacheable ? "yes" : "no");
  if (!explanation.cacheable) {
    lines.add("reason",
              explanation.reason + (explanation.detail.empty() ? "" : ": " + explanation.detail));
    lines.add("to do", wrapped(explanation.advice));
  }
  lines.add("shape", explanation.shape);
  lines.add("literals", shown_values(explanation.literals, true));
  lines.add("parameters", shown_values(explanation.parameters, false));
  lines.add("result key", explanation.key);
  lines.add("passes", join(explanation.passes));
  std::string out = lines.text();
  for (const ExplainedDependency& dependency : explanation.dependencies) {
    out += "\n" + dependency_text(dependency);
  }
  if (explanation.cacheable && explanation.dependencies.empty()) {
    out += "\nreads no table: its result stays until definitions change\n";
  }
  return out;
}

std::string explanation_json(const Explanation& explanation) {
  Json out;
  out["cacheable"] = explanation.cacheable;
  if (!explanation.cacheable) {
    out["reason"] = explanation.reason;
    out["detail"] = explanation.detail;
    out["advice"] = explanation.advice;
  }
  out["shape"] = explanation.shape;
  out["literals"] = values_json(explanation.literals, true);
  out["parameters"] = values_json(explanation.parameters, false);
  out["key"] = explanation.key;
  out["passes"] = explanation.passes;
  out["dependencies"] = Json::array();
  for (const ExplainedDependency& dependency : explanation.dependencies) {
    out["dependencies"].push_back(dependency_json(dependency));
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pgcache::admin
