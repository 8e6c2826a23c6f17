# Parsing of command lines.
foreach(name opt run_flags run_env human)
  add_executable(cli_${name}_test
    ${CMAKE_SOURCE_DIR}/tests/unit/cli_${name}_test.c
    ${CMAKE_SOURCE_DIR}/cli/opt.c ${CMAKE_SOURCE_DIR}/cli/run_flags.c
    ${CMAKE_SOURCE_DIR}/cli/run_env.c ${CMAKE_SOURCE_DIR}/cli/human.c)
  target_link_libraries(cli_${name}_test PRIVATE supervisor cmocka)
  add_test(NAME unit_cli_${name} COMMAND cli_${name}_test)
  set_tests_properties(unit_cli_${name} PROPERTIES TIMEOUT 60)
endforeach()
