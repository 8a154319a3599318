// SPDX-License-Identifier: Apache-2.0
#include "pg/function_like.h"

#include "pg/function_utf8.h"

namespace pgcache::pg::builtin {

namespace {

// Tokens of the pattern times bytes of the text; more are not tried.
constexpr std::size_t kStepsMax = 1 << 24;

}  // namespace

// All the places in the pattern where a match may have come to, after a part of the text.
class LikePattern::States {
 public:
  explicit States(const LikePattern& pattern)
      : tokens_(pattern.tokens_), at_(tokens_.size() + 1, false) {
    at_[0] = true;
    skip_any_strings();
  }

  void take(std::string_view unit) {
    for (std::size_t i = tokens_.size() + 1; i-- > 0;) {
      const bool stays = at_[i] && i < tokens_.size() && tokens_[i].kind == Kind::kAnyString;
      const bool comes = i > 0 && at_[i - 1] &&
                         (tokens_[i - 1].kind == Kind::kAnyOne ||
                          (tokens_[i - 1].kind == Kind::kUnit && tokens_[i - 1].unit == unit));
      at_[i] = stays || comes;
    }
    skip_any_strings();
  }

  void take_any_string() {
    bool reached = false;
    for (std::size_t i = 0; i < at_.size(); ++i) {
      reached = reached || at_[i];
      at_[i] = reached;
    }
  }

  bool accepted() const { return at_.back(); }

 private:
  using Kind = Token::Kind;

  void skip_any_strings() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (at_[i] && tokens_[i].kind == Kind::kAnyString) at_[i + 1] = true;
    }
  }

  const std::vector<Token>& tokens_;
  std::vector<bool> at_;
};

std::size_t LikePattern::unit_length(char first) const {
  return unit_ == Unit::kByte ? 1 : char_length(first);
}

bool LikePattern::is_too_long(std::string_view text) const {
  return (text.size() + tokens_.size()) * (tokens_.size() + 1) > kStepsMax;
}

std::optional<LikePattern> LikePattern::parse(std::string_view pattern, Unit unit) {
  LikePattern out(unit);
  while (!pattern.empty()) {
    const char c = pattern[0];
    if (c == '%' || c == '_') {
      out.tokens_.push_back({c == '%' ? Token::Kind::kAnyString : Token::Kind::kAnyOne});
      pattern.remove_prefix(1);
      continue;
    }
    if (c == '\\') pattern.remove_prefix(1);
    if (pattern.empty()) return std::nullopt;
    const std::size_t n = out.unit_length(pattern[0]);
    out.tokens_.push_back({Token::Kind::kUnit, pattern.substr(0, n)});
    pattern.remove_prefix(n);
  }
  return out;
}

// From left to right; on a mismatch the latest % takes one unit more.
std::optional<bool> LikePattern::matches(std::string_view text) const {
  constexpr std::size_t kNone = std::string_view::npos;
  if (is_too_long(text)) return std::nullopt;
  std::size_t at = 0;
  std::size_t token = 0;
  std::size_t retry_token = kNone;
  std::size_t retry_at = 0;
  while (token < tokens_.size() || at < text.size()) {
    if (token < tokens_.size() && tokens_[token].kind == Token::Kind::kAnyString) {
      retry_token = ++token;
      retry_at = at;
      continue;
    }
    if (token < tokens_.size() && at < text.size()) {
      const std::string_view unit = text.substr(at, unit_length(text[at]));
      if (tokens_[token].kind == Token::Kind::kAnyOne || tokens_[token].unit == unit) {
        at += unit.size();
        ++token;
        continue;
      }
    }
    if (retry_token == kNone || retry_at >= text.size()) return false;
    retry_at += unit_length(text[retry_at]);
    at = retry_at;
    token = retry_token;
  }
  return true;
}

std::optional<bool> LikePattern::matches_whatever_blanks(std::string_view text) const {
  if (is_too_long(text)) return std::nullopt;
  States states(*this);
  for (CharReader in(text); !in.at_end();) states.take(in.next());
  const bool matched = states.accepted();
  // One token takes one blank at most, but for %, which takes any number: after as many blanks as
  // there are tokens nothing changes any more.
  for (std::size_t i = 0; i <= tokens_.size(); ++i) {
    states.take(" ");
    if (states.accepted() != matched) return std::nullopt;
  }
  return matched;
}

std::optional<bool> LikePattern::may_match_around_ascii(std::string_view text) const {
  if (is_too_long(text)) return std::nullopt;
  States states(*this);
  for (CharReader in(text); !in.at_end();) {
    const std::string_view c = in.next();
    if (c.size() == 1) {
      states.take(c);
    } else {
      states.take_any_string();
    }
  }
  return states.accepted();
}

}  // namespace pgcache::pg::builtin
