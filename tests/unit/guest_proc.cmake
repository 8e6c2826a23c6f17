# Tasks, scheduler, signals, futexes over arch/fake. The kernel's memory is not
# malloc's, so LeakSanitizer would see only coroutine stacks of tasks that a
# test leaves asleep.
foreach(name sched signal futex futex_pi cputime process time smp calls)
  add_executable(guest_${name}_test
    ${CMAKE_SOURCE_DIR}/tests/unit/guest_${name}_test.c)
  target_link_libraries(guest_${name}_test PRIVATE guest_fake cmocka)
  add_test(NAME unit_guest_${name} COMMAND guest_${name}_test)
  set_tests_properties(unit_guest_${name} PROPERTIES TIMEOUT 60
    ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
endforeach()
