# The commands end to end, against a monitor without a VM.
add_executable(fake_vmm ${CMAKE_SOURCE_DIR}/tests/fake/vmm.c)
target_link_libraries(fake_vmm PRIVATE limpet_host jansson)
set_target_properties(fake_vmm PROPERTIES OUTPUT_NAME limpet-vmm
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake)

foreach(name run tty life names emulate doctor images reference stock)
  add_test(NAME cli_${name} COMMAND python3
    ${CMAKE_SOURCE_DIR}/tests/cli/${name}_test.py)
  set_tests_properties(cli_${name} PROPERTIES TIMEOUT 1200 ENVIRONMENT
    "LIMPET=$<TARGET_FILE:limpet>;FAKE=${CMAKE_BINARY_DIR}/fake;PYTHONDONTWRITEBYTECODE=1")
endforeach()
