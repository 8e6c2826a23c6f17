# libFuzzer target of the board library. Its corpus: device trees that QEMU 7.2
# makes, and three of Linux 6.12's that are dual-licensed with MIT.
if(LIMPET_FUZZ)
  add_executable(board_dtb_fuzz ${CMAKE_SOURCE_DIR}/tests/fuzz/board_dtb_fuzz.c)
  target_link_libraries(board_dtb_fuzz PRIVATE board)
  target_link_options(board_dtb_fuzz PRIVATE -fsanitize=fuzzer)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz-board-dtb)
  add_test(NAME fuzz_board_dtb COMMAND board_dtb_fuzz
    -max_total_time=20 -timeout=10 -rss_limit_mb=1024 -max_len=65536
    ${CMAKE_BINARY_DIR}/fuzz-board-dtb
    ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/board_dtb)
  set_tests_properties(fuzz_board_dtb PROPERTIES TIMEOUT 120)
endif()
