// SPDX-License-Identifier: Apache-2.0
// jemalloc's options for a program, to be included by the file of its main() alone: memory that is
// free goes back to the system in a thread of its own, not while changes are applied; and the heap
// lies in huge pages, if the system has them to give (ADR 28; pgcache allows itself none until its
// cache is large). MALLOC_CONF in the environment goes first (jemalloc's manual, TUNING).
#pragma once

extern "C" const char* malloc_conf;
const char* malloc_conf = "background_thread:true,thp:always";  // NOLINT: one definition, one file
