// SPDX-License-Identifier: Apache-2.0
// All rows of one table as one snapshot saw them, in the form in which the stream tells of its
// changes. A plain value.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdc/row_change.h"
#include "pg/ids.h"

namespace pgcache::cdc {

struct TableRows {
  std::shared_ptr<const StreamRelation> form;  // without columns that the stream does not bring
  pg::Snapshot snapshot;
  // A position of the origin's WAL behind the commits of all transactions that the snapshot sees.
  pg::Lsn position;
  // In the order of form->columns; nothing: NULL. Texts as the stream would send them.
  std::vector<std::vector<std::optional<std::string>>> rows;
};

}  // namespace pgcache::cdc
