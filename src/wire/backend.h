// SPDX-License-Identifier: Apache-2.0
// Bodies of the backend messages that pgcache looks into (manual, 55.7). Pure; views live as long
// as the frame.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pg/ids.h"

namespace pgcache::wire {

// The columns of a DataRow; NULL is an empty optional.
std::optional<std::vector<std::optional<std::string_view>>> parse_data_row(std::string_view body);

// Name and value of a ParameterStatus.
std::optional<std::pair<std::string_view, std::string_view>> parse_parameter_status(
    std::string_view body);

// One field of an ErrorResponse or NoticeResponse ('C' = SQLSTATE, 'M' = message ...).
std::string_view error_field(std::string_view body, char code);

// A RowDescription frame (or NoData) with these formats of its columns instead: none is text for
// all, one is for all of them, else there is one for each, as in Bind. Nothing if it is malformed.
std::optional<std::string> with_result_formats(std::string_view description,
                                               std::string_view formats_be);

// Whether two of these tell of the same columns, as PostgreSQL compares the results of a prepared
// statement: by names, types, sizes and modifiers. Not by tables, numbers and formats.
bool same_columns(std::string_view description, std::string_view other);

// The command tag of a CommandComplete.
std::string_view command_tag(std::string_view body);

}  // namespace pgcache::wire
