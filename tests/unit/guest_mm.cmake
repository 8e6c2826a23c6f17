# Memory and exec over arch/fake; kernel memory is not malloc's.
foreach(name page kmem uio aspace mapfile remap exec oom)
  if(EXISTS ${CMAKE_SOURCE_DIR}/tests/unit/guest_${name}_test.c)
    add_executable(guest_${name}_test
      ${CMAKE_SOURCE_DIR}/tests/unit/guest_${name}_test.c)
    target_link_libraries(guest_${name}_test PRIVATE guest_fake cmocka)
    add_test(NAME unit_guest_${name} COMMAND guest_${name}_test)
    set_tests_properties(unit_guest_${name} PROPERTIES TIMEOUT 120
      ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
  endif()
endforeach()
