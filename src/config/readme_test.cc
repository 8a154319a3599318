// SPDX-License-Identifier: Apache-2.0
// The README's table of options is the one that the program is made from.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/loader.h"

namespace pgcache::config {
namespace {

TEST(Readme, ShowsEveryOptionAsItIs) {
  const std::filesystem::path readme =
      std::filesystem::path(__FILE__).parent_path() / "../../README.md";
  std::ifstream file(readme);
  ASSERT_TRUE(file) << readme;
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find(dump_config_table()), std::string::npos)
      << "put this between the two comments in README.md:\n"
      << dump_config_table();
}

}  // namespace
}  // namespace pgcache::config
