# libFuzzer targets of net/, each with its corpus.
if(LIMPET_FUZZ)
  foreach(name dns dnsserve gate)
    add_executable(net_${name}_fuzz
      ${CMAKE_SOURCE_DIR}/tests/fuzz/net_${name}_fuzz.c)
    target_link_libraries(net_${name}_fuzz PRIVATE net)
    target_link_options(net_${name}_fuzz PRIVATE -fsanitize=fuzzer)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz-net-${name})
    add_test(NAME fuzz_net_${name} COMMAND net_${name}_fuzz
      -max_total_time=20 -timeout=10 -rss_limit_mb=1024 -max_len=4096
      ${CMAKE_BINARY_DIR}/fuzz-net-${name}
      ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/net_${name})
    set_tests_properties(fuzz_net_${name} PROPERTIES TIMEOUT 120)
  endforeach()
endif()
