# pgcache_module(NAME LINK ...): the library of src/NAME and the programs of its tests.
#   *.cc            the library pgcache_NAME (src/app/main.cc becomes the program pgcache)
#   *_test.cc       NAME_test, pure and fast, run by ctest
#   *_pgtest.cc     NAME_pgtest, starts real PostgreSQL servers
#   X_fuzz.cc       X_fuzz: a libFuzzer target under clang with PGCACHE_FUZZ, else a program that
#                   replays the corpus files named on its command line
#   *_bench.cc      NAME_bench, Google Benchmark, not run as a test
# Names in LINK that are modules are written without the prefix.
function(pgcache_module NAME)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  set(dir ${CMAKE_SOURCE_DIR}/src/${NAME})
  file(GLOB all CONFIGURE_DEPENDS ${dir}/*.cc)
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "_(test|pgtest|fuzz|bench)\\.cc$|/main\\.cc$")
  set(links)
  foreach(l ${ARG_LINK})
    if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/src/${l})
      list(APPEND links pgcache_${l})
    else()
      list(APPEND links ${l})
    endif()
  endforeach()
  if(sources)
    add_library(pgcache_${NAME} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(pgcache_${NAME} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(pgcache_${NAME} ${scope} ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(pgcache_${NAME} ${scope} ${links} pgcache_options)
  foreach(kind test pgtest bench)
    set(files ${all})
    list(FILTER files INCLUDE REGEX "_${kind}\\.cc$")
    if(files)
      add_executable(${NAME}_${kind} ${files})
      if(kind STREQUAL bench)
        target_link_libraries(${NAME}_${kind} pgcache_${NAME} benchmark::benchmark_main
                              ${PGCACHE_ALLOCATOR})
      else()
        target_link_libraries(${NAME}_${kind} pgcache_${NAME} GTest::gmock GTest::gtest_main)
        if(kind STREQUAL pgtest)
          target_link_libraries(${NAME}_${kind} pgcache_test_support)
        endif()
        add_test(NAME ${NAME}_${kind} COMMAND ${NAME}_${kind})
        pgcache_test_defaults(${NAME}_${kind} ${kind})
      endif()
    endif()
  endforeach()
  set(files ${all})
  list(FILTER files INCLUDE REGEX "_fuzz\\.cc$")
  foreach(file ${files})
    get_filename_component(stem ${file} NAME_WE)
    pgcache_fuzz_target(${stem} ${file} pgcache_${NAME})
  endforeach()
  if(EXISTS ${dir}/main.cc)
    add_executable(pgcache ${dir}/main.cc)
    target_link_libraries(pgcache pgcache_${NAME} ${PGCACHE_ALLOCATOR})
    set_target_properties(pgcache PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  endif()
endfunction()

# Properties that every test has. LABEL tells ./dev what to run where: test (pure, fast), corpus,
# pgtest (starts servers), program (tests/), wire (those of them that every run of the tests repeats with
# the address sanitizer). TEST_SANITIZER tells the tests what pgcache is built with
# (tests/support/sanitizer.h).
function(pgcache_test_defaults TEST)
  set(timeout 300)
  set(environment ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
                  TSAN_OPTIONS=halt_on_error=1)
  if(PGCACHE_SANITIZE)
    set(timeout 1200)
    string(REGEX REPLACE ",.*" "" sanitizer ${PGCACHE_SANITIZE})
    list(APPEND environment TEST_SANITIZER=${sanitizer})
  endif()
  set_tests_properties(${TEST} PROPERTIES LABELS "${ARGN}" TIMEOUT ${timeout}
                       ENVIRONMENT "${environment}")
endfunction()

# A fuzz target, and the test that replays its corpus (fuzz/STEM/*). Without PGCACHE_FUZZ the program
# has an ordinary main that runs each file once.
function(pgcache_fuzz_target STEM FILE LIBRARY)
  if(PGCACHE_FUZZ)
    add_executable(${STEM} ${FILE})
    target_link_options(${STEM} PRIVATE -fsanitize=fuzzer)
    set(replay_arguments -runs=0)
  else()
    add_executable(${STEM} ${FILE} ${CMAKE_SOURCE_DIR}/tests/support/fuzz_replay_main.cc)
    set(replay_arguments)
  endif()
  target_link_libraries(${STEM} ${LIBRARY})
  add_test(NAME ${STEM}_corpus COMMAND ${STEM} ${replay_arguments} ${CMAKE_SOURCE_DIR}/fuzz/${STEM})
  pgcache_test_defaults(${STEM}_corpus corpus)
endfunction()
