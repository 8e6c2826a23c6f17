# libFuzzer target of the EROFS reader; guest_fake has the sanitizers.
if(LIMPET_FUZZ)
  target_compile_options(guest_fake PRIVATE -fsanitize=fuzzer-no-link)
  add_executable(guest_erofs_fuzz ${CMAKE_CURRENT_LIST_DIR}/guest_erofs_fuzz.c)
  target_link_libraries(guest_erofs_fuzz PRIVATE guest_fake)
  target_link_options(guest_erofs_fuzz PRIVATE -fsanitize=fuzzer)
  add_test(NAME fuzz_guest_erofs COMMAND guest_erofs_fuzz
    -max_total_time=20 -timeout=10 -rss_limit_mb=1024 -max_len=32768
    ${CMAKE_BINARY_DIR}/fuzz-guest-erofs
    ${CMAKE_CURRENT_LIST_DIR}/corpus/guest_erofs)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz-guest-erofs)
  set_tests_properties(fuzz_guest_erofs PROPERTIES TIMEOUT 120
    ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
endif()
