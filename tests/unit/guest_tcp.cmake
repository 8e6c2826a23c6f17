# TCP over arch/fake: two ends and a link in virtual time, which takes the
# place of IP by the linker.
foreach(name flow state urgent memory)
  add_executable(guest_tcp_${name}_test
    ${CMAKE_SOURCE_DIR}/tests/unit/guest_tcp_${name}_test.c)
  target_link_libraries(guest_tcp_${name}_test PRIVATE guest_fake cmocka)
  target_link_options(guest_tcp_${name}_test PRIVATE
    -Wl,--wrap=ip_output,--wrap=ip_route,--wrap=ip_is_ours,--wrap=tcp_secret)
  target_compile_options(guest_tcp_${name}_test PRIVATE -Wno-unused-function)
  add_test(NAME unit_guest_tcp_${name} COMMAND guest_tcp_${name}_test)
  set_tests_properties(unit_guest_tcp_${name} PROPERTIES TIMEOUT 300
    ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
endforeach()
target_link_options(guest_tcp_memory_test PRIVATE
  -Wl,--wrap=tcp_memory_room,--wrap=tcp_orphan_room)
