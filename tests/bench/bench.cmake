if(LIMPET_SANITIZE OR LIMPET_FUZZ)
  return() # static and uninstrumented, or it measures nothing
endif()
add_executable(bench-spawn bench/spawn.c)
target_link_libraries(bench-spawn PRIVATE limpet_host)
add_executable(bench-roundtrip bench/roundtrip.c)
target_link_libraries(bench-roundtrip PRIVATE limpet_host)
target_link_options(bench-roundtrip PRIVATE -static)
