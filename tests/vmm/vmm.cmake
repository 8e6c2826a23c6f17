# The monitor alone, with a toy guest on /dev/kvm (KVM_PVM).
set(toy ${CMAKE_BINARY_DIR}/tests/toy.elf)
set(toy_dir ${CMAKE_CURRENT_LIST_DIR})
add_custom_command(OUTPUT ${toy}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/tests
  COMMAND ${CMAKE_C_COMPILER} -std=gnu17 -O2 -g -Wall -Wextra -ffreestanding
    -nostdlib -static -fno-pie -mno-red-zone -mcmodel=kernel
    -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables
    -I${CMAKE_SOURCE_DIR} -Wl,-T,${toy_dir}/toy.ld -Wl,--build-id=none
    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -o ${toy} ${toy_dir}/toy.c ${toy_dir}/toy_entry.S
  DEPENDS ${toy_dir}/toy.c ${toy_dir}/toy_entry.S ${toy_dir}/toy.ld
    ${CMAKE_SOURCE_DIR}/abi/boot.h ${CMAKE_SOURCE_DIR}/abi/ctl.h)
add_custom_target(vmm_toy ALL DEPENDS ${toy})

foreach(case hello exit_codes stdin_echo slow_stdout big_output cri_log cpus
    interrupts rng disk image_window damaged_image reset hostile crash poweroff
    panic_symbols clients sigterm bad_config bad_kernel does_not_fit blob
    cpuid_cache jail user unshared no_namespaces start_time)
  add_test(NAME vmm_${case} COMMAND ${Python3_EXECUTABLE}
    ${toy_dir}/vmm_test.py $<TARGET_FILE:limpet-vmm> ${toy} ${case})
  set_tests_properties(vmm_${case} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 60)
endforeach()
