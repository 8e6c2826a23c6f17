# libFuzzer targets of vmm/, each with its corpus.
if(LIMPET_FUZZ)
  foreach(name virtio_queue virtio_net config load ctl)
    add_executable(vmm_${name}_fuzz
      ${CMAKE_SOURCE_DIR}/tests/fuzz/vmm_${name}_fuzz.c)
    target_link_libraries(vmm_${name}_fuzz PRIVATE vmm_fake vmm_core)
    target_link_options(vmm_${name}_fuzz PRIVATE -fsanitize=fuzzer)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz-vmm-${name})
    add_test(NAME fuzz_vmm_${name} COMMAND vmm_${name}_fuzz
      -max_total_time=20 -timeout=10 -rss_limit_mb=1024 -max_len=16384
      ${CMAKE_BINARY_DIR}/fuzz-vmm-${name}
      ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/vmm_${name})
    set_tests_properties(fuzz_vmm_${name} PROPERTIES TIMEOUT 120)
  endforeach()
endif()
