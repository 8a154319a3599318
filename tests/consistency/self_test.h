// SPDX-License-Identifier: Apache-2.0
// The proof that the checks find what they look for, and nothing else.
#pragma once

#include <cstdint>

namespace pgcache::consistency {

// Hand-made histories with one breach each and their harmless neighbours; then random small
// histories, compared with a search over all orders. Prints what fails; true when nothing did.
bool self_test(std::uint64_t seed);

}  // namespace pgcache::consistency
