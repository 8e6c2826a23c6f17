# libFuzzer targets of the guest kernel's portable code, over arch/fake.
if(LIMPET_FUZZ)
  target_compile_options(guest_fake PUBLIC -fsanitize=fuzzer-no-link)
  foreach(name elf net)
    add_executable(guest_${name}_fuzz
      ${CMAKE_SOURCE_DIR}/tests/fuzz/guest_${name}_fuzz.c)
    target_link_libraries(guest_${name}_fuzz PRIVATE guest_fake)
    target_link_options(guest_${name}_fuzz PRIVATE -fsanitize=fuzzer)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz-guest-${name})
    add_test(NAME fuzz_guest_${name} COMMAND guest_${name}_fuzz
      -max_total_time=20 -timeout=10 -rss_limit_mb=1024 -max_len=16384
      ${CMAKE_BINARY_DIR}/fuzz-guest-${name}
      ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/guest_${name})
    set_tests_properties(fuzz_guest_${name} PROPERTIES TIMEOUT 120
      ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
  endforeach()
endif()
