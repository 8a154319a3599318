# Compiler flags shared by everything, as the interface library pgcache_options.
option(PGCACHE_WERROR "warnings are errors" ON)
option(PGCACHE_FAULTS "compile in the test-only fault switches (never in release)" OFF)
option(PGCACHE_FUZZ "build the fuzz targets with libFuzzer (clang)" OFF)
set(PGCACHE_SANITIZE "" CACHE STRING "value of -fsanitize=")

add_library(pgcache_options INTERFACE)
target_compile_options(pgcache_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                       -Woverloaded-virtual -Wimplicit-fallthrough)
if(PGCACHE_WERROR)
  target_compile_options(pgcache_options INTERFACE -Werror)
endif()
if(PGCACHE_SANITIZE)
  target_compile_options(pgcache_options INTERFACE -fsanitize=${PGCACHE_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(pgcache_options INTERFACE -fsanitize=${PGCACHE_SANITIZE})
  if(PGCACHE_SANITIZE MATCHES "undefined")
    # It probes memory through a pipe, which fails where tests take all descriptors away.
    target_compile_options(pgcache_options INTERFACE -fno-sanitize=vptr)
  endif()
endif()
if(PGCACHE_FUZZ)
  target_compile_options(pgcache_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(PGCACHE_FAULTS)
  # Test builds also check the bounds of the standard library's containers.
  target_compile_definitions(pgcache_options INTERFACE PGCACHE_FAULTS=1 _GLIBCXX_ASSERTIONS)
endif()
target_compile_definitions(pgcache_options INTERFACE PGCACHE_VERSION="${PROJECT_VERSION}"
                           BOOST_ASIO_NO_DEPRECATED)
