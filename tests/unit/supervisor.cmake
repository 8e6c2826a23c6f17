# Parts of supervisor/ that decide without a VM.
foreach(name instance user process state names imagespec crilog client stock
    network)
  add_executable(supervisor_${name}_test
    ${CMAKE_SOURCE_DIR}/tests/unit/supervisor_${name}_test.c)
  target_link_libraries(supervisor_${name}_test PRIVATE supervisor cmocka)
  add_test(NAME unit_supervisor_${name} COMMAND supervisor_${name}_test)
  set_tests_properties(unit_supervisor_${name} PROPERTIES TIMEOUT 60)
endforeach()
