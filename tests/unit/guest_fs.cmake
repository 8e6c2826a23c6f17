# Files and file systems over arch/fake; kernel memory is not malloc's.
foreach(name erofs pagetree vfs overlay overlay_model pipe flock
    fdtable inotify fasync filecalls namecalls sysv)
  add_executable(guest_${name}_test
    ${CMAKE_SOURCE_DIR}/tests/unit/guest_${name}_test.c)
  target_link_libraries(guest_${name}_test PRIVATE guest_fake cmocka)
  add_test(NAME unit_guest_${name} COMMAND guest_${name}_test)
  set_tests_properties(unit_guest_${name} PROPERTIES TIMEOUT 120
    ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
endforeach()
