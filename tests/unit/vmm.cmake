# Unit tests of vmm/: no /dev/kvm, arch/fake instead of arch/x86_64.
set(vmm_tests boot config console devices gmem net plug queue text vcpu)
if(LIMPET_ARCH STREQUAL aarch64) # the others know the map of x86-64
  set(vmm_tests arm64 config text vcpu)
endif()
foreach(name ${vmm_tests})
  add_executable(vmm_${name}_test
    ${CMAKE_SOURCE_DIR}/tests/unit/vmm_${name}_test.c)
  target_link_libraries(vmm_${name}_test PRIVATE vmm_fake vmm_core cmocka)
  add_test(NAME unit_vmm_${name} COMMAND vmm_${name}_test)
  set_tests_properties(unit_vmm_${name} PROPERTIES TIMEOUT 120)
endforeach()
if(TARGET vmm_net_test)
  target_link_options(vmm_net_test PRIVATE -Wl,--wrap=readv,--wrap=virtq_push)
endif()

# The x86-64 boot protocol of Linux, and ACPI.
if(LIMPET_ARCH STREQUAL x86_64)
  add_executable(vmm_linux_test ${CMAKE_SOURCE_DIR}/tests/unit/vmm_linux_test.c)
  target_link_libraries(vmm_linux_test PRIVATE vmm_fake vmm_core cmocka)
  add_test(NAME unit_vmm_linux COMMAND vmm_linux_test)
  add_test(NAME stock_acpi COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_SOURCE_DIR}/tests/stock/acpi_test.py $<TARGET_FILE:vmm_linux_test>)
  set_tests_properties(unit_vmm_linux stock_acpi PROPERTIES TIMEOUT 120
    SKIP_RETURN_CODE 77)
else() # its Image
  add_executable(vmm_image_test ${CMAKE_SOURCE_DIR}/tests/unit/vmm_image_test.c)
  target_link_libraries(vmm_image_test PRIVATE vmm_fake vmm_core cmocka)
endif()
