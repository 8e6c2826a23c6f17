# The monitor alone, with a toy guest on /dev/kvm (x86-64: KVM_PVM only).
set(toy ${CMAKE_BINARY_DIR}/tests/toy.elf)
set(toy_dir ${CMAKE_CURRENT_LIST_DIR})
set(toy_arch ${toy_dir}/${LIMPET_ARCH})
set(toy_flags -mno-outline-atomics)
if(LIMPET_ARCH STREQUAL x86_64)
  set(toy_flags -mno-red-zone -mcmodel=kernel)
elseif(CMAKE_C_COMPILER_ID STREQUAL Clang)
  list(APPEND toy_flags --target=aarch64-linux-gnu)
endif()
add_custom_command(OUTPUT ${toy}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/tests
  COMMAND ${CMAKE_C_COMPILER} -std=gnu17 -O2 -g -Wall -Wextra -ffreestanding
    -nostdlib -static -fno-pie ${toy_flags}
    -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables
    -I${CMAKE_SOURCE_DIR} -Wl,-T,${toy_arch}/toy.ld -Wl,--build-id=none
    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -o ${toy}
    ${toy_dir}/toy.c ${toy_arch}/toy_cpu.c ${toy_arch}/entry.S
  DEPENDS ${toy_dir}/toy.c ${toy_dir}/toy.h ${toy_arch}/toy_cpu.c
    ${toy_arch}/entry.S ${toy_arch}/toy.ld
    ${CMAKE_SOURCE_DIR}/abi/boot.h ${CMAKE_SOURCE_DIR}/abi/ctl.h)
add_custom_target(vmm_toy ALL DEPENDS ${toy})

set(toy_cases hello exit_codes stdin_echo slow_stdout big_output full_file cri_log cpus
  interrupts rng disk image_window damaged_image reset hostile crash poweroff
  output_before_the_end
  panic_symbols clients sigterm bad_config bad_kernel does_not_fit too_many_cpus
  blob jail user unshared no_namespaces start_time)
if(LIMPET_ARCH STREQUAL x86_64)
  list(APPEND toy_cases cpuid_cache)
endif()
list(JOIN toy_cases " " toy_line)
file(WRITE ${CMAKE_BINARY_DIR}/tests/toy_cases "${toy_line}\n") # for the lab
foreach(case ${toy_cases})
  add_test(NAME vmm_${case} COMMAND ${Python3_EXECUTABLE}
    ${toy_dir}/vmm_test.py $<TARGET_FILE:limpet-vmm> ${toy} ${case})
  set_tests_properties(vmm_${case} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endforeach()
