include(${CMAKE_CURRENT_LIST_DIR}/conform/conform.cmake)
# A kernel with planted bugs must say where it died, on every platform.
set(planted_dir ${CMAKE_BINARY_DIR}/planted)
guest_add_kernel(limpet-kernel-planted ${planted_dir}
  ${CMAKE_CURRENT_LIST_DIR}/planted.c)
target_link_options(limpet-kernel-planted PRIVATE -Wl,--wrap=sys_sethostname)
foreach(platform kvm emulate)
  add_test(NAME guest_panic_${platform} COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_LIST_DIR}/panic_test.py ${platform})
  set_tests_properties(guest_panic_${platform} PROPERTIES SKIP_RETURN_CODE 77
    TIMEOUT 300 ENVIRONMENT
    "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;PLANTED=${planted_dir}")
endforeach()

# Random file system calls: the same answers as the host's kernel.
add_test(NAME guest_fs_random COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/fs_random_test.py 1500 1 2 3 4)
set_tests_properties(guest_fs_random PROPERTIES SKIP_RETURN_CODE 77
  TIMEOUT 300 ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin")
