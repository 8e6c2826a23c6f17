# Unit tests of vmm/: no /dev/kvm, arch/fake instead of arch/x86_64.
set(vmm_tests boot config console devices gmem queue text vcpu)
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
