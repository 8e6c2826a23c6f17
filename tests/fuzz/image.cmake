# libFuzzer targets of image/, each with its corpus.
if(LIMPET_FUZZ)
  foreach(name layer oci)
    add_executable(image_${name}_fuzz
      ${CMAKE_CURRENT_LIST_DIR}/image_${name}_fuzz.c)
    target_link_libraries(image_${name}_fuzz PRIVATE image base)
    target_link_options(image_${name}_fuzz PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz_image_${name} COMMAND image_${name}_fuzz
      -max_total_time=20 -timeout=10 -rss_limit_mb=1024 -max_len=65536
      ${CMAKE_BINARY_DIR}/fuzz-image-${name}
      ${CMAKE_CURRENT_LIST_DIR}/corpus/image_${name})
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz-image-${name})
    set_tests_properties(fuzz_image_${name} PROPERTIES TIMEOUT 120)
  endforeach()
endif()
