// SPDX-License-Identifier: Apache-2.0
#include "origin/catalog_locale.h"

#include <gtest/gtest.h>

namespace pgcache::origin {
namespace {

TEST(CatalogLocale, KnowsLocalesThatMapAsciiAsInEnglish) {
  for (const char* locale : {"C", "POSIX", "C.UTF-8", "C.utf8", "en_US.UTF-8", "de_DE@euro",
                             "sr_RS@latin", "nl_NL", "en"}) {
    EXPECT_TRUE(maps_ascii_as_english('c', locale)) << locale;
  }
  for (const char* locale : {"", "und", "root", "en-US", "de-u-co-phonebk", "und-u-ks-level2",
                             "de-AT", "el", "zh-Hans"}) {
    EXPECT_TRUE(maps_ascii_as_english('i', locale)) << locale;
  }
  for (const char* locale : {"C", "C.UTF-8", "PG_UNICODE_FAST"}) {
    EXPECT_TRUE(maps_ascii_as_english('b', locale)) << locale;
  }
}

TEST(CatalogLocale, DoubtsTheOthers) {
  for (const char* locale : {"tr_TR.UTF-8", "tr_CY", "tr", "az_AZ.utf8", "lt_LT", "ku_TR", "crh_UA",
                             "tt_RU@iqtelif", "ber_DZ", "English_United States.1252", "", "und"}) {
    EXPECT_FALSE(maps_ascii_as_english('c', locale)) << locale;
  }
  for (const char* locale : {"tr", "tr-TR", "tur", "az", "aze-Latn", "lt", "lit",
                             "tr-u-co-standard", "C", "@calendar"}) {
    EXPECT_EQ(maps_ascii_as_english('i', locale), std::string_view(locale) == "@calendar")
        << locale;
  }
  EXPECT_FALSE(maps_ascii_as_english('d', "en"));
  EXPECT_FALSE(maps_ascii_as_english('\0', "en"));
}

}  // namespace
}  // namespace pgcache::origin
