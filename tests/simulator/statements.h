// SPDX-License-Identifier: Apache-2.0
// The statements that clients send and the simulated server understands: made from patterns, and
// looked up by their exact text, so that no parser is needed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "simulator/frames.h"
#include "simulator/model.h"

namespace pgcache::simulator {

// Reads; the patterns stand in statements.cc in this order.
enum class Read : std::uint8_t {
  kById,
  kByGroup,
  kRange,
  kIn,
  kEither,
  kNotGroup,
  kNull,
  kByNote,
  kCount,
  kMax,
  kFirst,
  kAll,
  kJoin,
  kLeftJoin,
  kExists,
  kUnion,
  kReferring,
  kByName,
  kNamed,
  kUnpublished,
  kNow,
  kMissingTable,
};
inline constexpr std::size_t kReadCount = 22;

enum class Op : std::uint8_t {
  kRead,
  kInsert,       // all columns
  kUpdateValue,  // SET v = $1 WHERE id = $2
  kUpdateGroup,  // SET grp = $1 WHERE id = $2
  kUpdateMany,   // SET v = $1 WHERE grp = $2
  kUpdateKey,    // SET id = $1 WHERE id = $2
  kDelete,       // WHERE id = $1
  kTruncate,
  kCopy,
  kBegin,
  kBeginRepeatable,
  kCommit,
  kRollback,
  kSet,
  kSetLocal,
  kSetByFunction,
  kTempTable,
  kDiscardAll,
  kDeallocate,
  kSettings,      // pgcache's own question
  kDiscardPlans,  // in front of it, when definitions have changed
};

enum class Setting : std::uint8_t { kSearchPath, kMonetary, kDateStyle, kMode };

// What a session can set. Each is a small number; see statements.cc for the texts.
struct Settings {
  int search_path = 0;  // 1: alt comes first
  int monetary = 0;     // changes the text of numbers
  int date_style = 0;   // so does this; changes are reported by ParameterStatus
  int mode = 0;         // 1: pgcache.mode = off
  bool temporary = false;
  int& of(Setting setting);
  friend bool operator==(const Settings&, const Settings&) = default;
};
std::string_view setting_text(Setting setting, int value);
std::string_view setting_name(Setting setting);

// A value in a statement: a literal, or the number of a parameter.
struct Argument {
  int parameter = -1;
  Number value;
};

struct Command {
  Op op = Op::kRead;
  Read read = Read::kById;
  TableId table = TableId::kT1;
  bool qualified = false;  // public.t1: the search path does not matter
  std::vector<Argument> arguments;
  Setting setting = Setting::kSearchPath;
  int value = 0;
  std::string name;  // of DEALLOCATE
};

// A statement text; several commands only in simple queries.
struct Script {
  std::string text;
  std::vector<Command> commands;
};

struct BoundParameter {
  bool binary = false;
  std::optional<std::string> bytes;
};

// A statement with the values of one execution.
struct Call {
  const Script* script = nullptr;
  std::vector<BoundParameter> parameters;
  std::vector<int> result_formats;
};

struct Table {
  std::vector<OutputColumn> columns;
  std::vector<Row> rows;
};

class Library {
 public:
  struct Execution {
    Call call;
    Settings settings;
  };

  Library();
  const Script* find(std::string_view text) const;
  const Script& add(std::string text, std::vector<Command> commands);
  // Executions that the server has answered, by the fingerprint in the answer's tag.
  void remember(const std::string& tag, const Call& call, const Settings& settings);
  const Execution* recall(std::string_view tag) const;
  // Those of statements of this shape: an answer that came in parts has no such tag.
  std::vector<const Execution*> recall_shape(std::string_view text) const;

 private:
  std::unordered_map<std::string, Script> scripts_;
  std::unordered_map<std::string, Execution> executions_;
};

// --- making statements

struct ReadPattern {
  std::string_view text;             // %t is the table, %0 %1 ... the arguments
  std::vector<bool> text_arguments;  // one for each argument: it is compared with text
  std::vector<OutputColumn> columns;
};
const ReadPattern& pattern(Read read);

// `parameters`: write $1, $2 ... in place of the values.
Script make_read(Read read, bool qualified, const std::vector<Number>& values, bool parameters);
Script make_write(Op op, TableId table, bool qualified, const std::vector<Number>& values,
                  bool parameters);
bool takes_text(const Command& command, std::size_t argument);

// --- running them

std::vector<Number> argument_values(const Command& command,
                                    const std::vector<BoundParameter>& parameters);
TableId resolve(const Command& command, const Settings& settings);
std::vector<OutputColumn> columns_of(const Command& command);
Table evaluate(const Command& command, const std::vector<Number>& values, const Settings& settings,
               const Origin& origin, const View& view);
WriteResult write(const Command& command, const std::vector<Number>& values,
                  const Settings& settings, Origin& origin, Tx& tx, const View& view);
std::string row_frame(const std::vector<OutputColumn>& columns, const Row& row,
                      const std::vector<int>& formats, const Settings& settings);
std::string encode_binary(int value);

}  // namespace pgcache::simulator
