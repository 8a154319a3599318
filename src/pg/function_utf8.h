// SPDX-License-Identifier: Apache-2.0
// Internal to pg: text as UTF-8. Positions count characters (code points) from 0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgcache::pg {
struct FunctionContext;
}

namespace pgcache::pg::builtin {

bool is_ascii(std::string_view text);
// As PostgreSQL checks it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);
// What the context's encoding lets judge by characters.
bool is_judged_text(std::string_view text, const FunctionContext& context);

// The rest is for valid UTF-8.

// Bytes of the character that starts with this byte.
std::size_t char_length(char first);
std::size_t count_chars(std::string_view text);
// The byte at which the n-th character starts; text.size() when there are fewer.
std::size_t offset_of_char(std::string_view text, std::size_t n);
char32_t first_char(std::string_view text);
void append_utf8(std::string& out, char32_t c);
// The longest prefix of whole characters of at most `bytes` bytes.
std::string_view clipped(std::string_view text, std::size_t bytes);

// Iterates over the characters, each as a view of its bytes.
class CharReader {
 public:
  explicit CharReader(std::string_view text) : rest_(text) {}
  bool at_end() const { return rest_.empty(); }
  std::string_view next() {
    const std::string_view c = rest_.substr(0, char_length(rest_[0]));
    rest_.remove_prefix(c.size());
    return c;
  }

 private:
  std::string_view rest_;
};

}  // namespace pgcache::pg::builtin
