include(${CMAKE_CURRENT_LIST_DIR}/conform/conform.cmake)
# docs/performance.md
string(REPLACE aarch64 arm64 guest_stripped limpet-kernel.${LIMPET_GUEST_ARCH})
add_test(NAME guest_size COMMAND ${CMAKE_CURRENT_LIST_DIR}/size_test.sh
  ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${guest_stripped} 524288)

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

# Random system calls against the kernel where undefined behaviour traps: 60 s
# here, LIMPET_FUZZ_SECONDS=1800 for the long form.
if(NOT CMAKE_CROSSCOMPILING)
  add_test(NAME guest_fuzz_build COMMAND ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR}
    --target limpet-kernel-ubsan)
  set_tests_properties(guest_fuzz_build PROPERTIES LABELS slow TIMEOUT 900
    FIXTURES_SETUP ubsan RUN_SERIAL ON)
  add_test(NAME guest_fuzz COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_LIST_DIR}/fuzz_test.py)
  set_tests_properties(guest_fuzz PROPERTIES LABELS slow TIMEOUT 2100
    SKIP_RETURN_CODE 77 FIXTURES_REQUIRED ubsan ENVIRONMENT
    "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;UBSAN=${CMAKE_BINARY_DIR}/ubsan")
endif()

# stress-ng, one VM a stressor; LIMPET_STRESS_SECONDS=5 for the long form.
if(NOT CMAKE_CROSSCOMPILING)
  add_test(NAME guest_stress COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_LIST_DIR}/stress_test.py)
  set_tests_properties(guest_stress PROPERTIES LABELS slow TIMEOUT 900
    SKIP_RETURN_CODE 77 RUN_SERIAL ON ENVIRONMENT
    "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;LIMPET_ROOT=${CMAKE_BINARY_DIR}/boot-store")
endif()

# The kernel's own small system call test, from Debian's source package.
if(NOT CMAKE_CROSSCOMPILING)
  add_test(NAME guest_nolibc COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_LIST_DIR}/nolibc_test.py)
  set_tests_properties(guest_nolibc PROPERTIES LABELS slow TIMEOUT 900
    SKIP_RETURN_CODE 77 ENVIRONMENT
    "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;NOLIBC=${CMAKE_BINARY_DIR}/nolibc;LIMPET_ROOT=${CMAKE_BINARY_DIR}/boot-store")
endif()
