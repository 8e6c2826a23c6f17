# Devices, terminals, waiting for events and procfs over arch/fake.
find_library(FDT_LIBRARY fdt REQUIRED)
foreach(name console netdev tty pty epoll event procfs prochost fdt net)
  add_executable(guest_${name}_test
    ${CMAKE_SOURCE_DIR}/tests/unit/guest_${name}_test.c)
  target_link_libraries(guest_${name}_test PRIVATE
    guest_fake cmocka ${FDT_LIBRARY})
  add_test(NAME unit_guest_${name} COMMAND guest_${name}_test)
  set_tests_properties(unit_guest_${name} PROPERTIES TIMEOUT 60
    ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0") # the fake CPU never ends its tasks
endforeach()
