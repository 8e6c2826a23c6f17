# libFuzzer targets of what parses input from outside, each with its corpus and
# 20 s in a check. guest_fake (the guest kernel over arch/fake) has sanitizers.
# The board's corpus: device trees that QEMU 7.2 makes, and three of Linux 6.12's
# that are dual-licensed with MIT.
function(limpet_fuzz name max_len) # LIBRARY...
  set(source ${CMAKE_SOURCE_DIR}/tests/fuzz)
  set(found ${CMAKE_BINARY_DIR}/fuzz/${name})
  add_executable(${name}_fuzz ${source}/${name}_fuzz.c)
  target_link_libraries(${name}_fuzz PRIVATE ${ARGN})
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  file(MAKE_DIRECTORY ${found})
  add_test(NAME fuzz_${name} COMMAND ${name}_fuzz -max_total_time=20
    -timeout=10 -rss_limit_mb=1024 -max_len=${max_len}
    ${found} ${source}/corpus/${name})
  set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 120
    ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
endfunction()

if(LIMPET_FUZZ)
  target_compile_options(guest_fake PUBLIC -fsanitize=fuzzer-no-link)
  limpet_fuzz(board_dtb 65536 board)
  limpet_fuzz(guest_elf 16384 guest_fake)
  limpet_fuzz(guest_erofs 32768 guest_fake)
  limpet_fuzz(guest_net 16384 guest_fake)
  limpet_fuzz(image_layer 65536 image base)
  limpet_fuzz(image_oci 65536 image base)
  limpet_fuzz(net_dns 4096 net)
  limpet_fuzz(net_dnsserve 4096 net)
  limpet_fuzz(net_gate 4096 net)
  foreach(name config ctl load virtio_net virtio_queue)
    limpet_fuzz(vmm_${name} 16384 vmm_fake vmm_core)
  endforeach()
endif()
