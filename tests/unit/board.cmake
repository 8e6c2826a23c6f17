# What machine this is, and what it lacks.
add_executable(supervisor_doctor_test
  ${CMAKE_SOURCE_DIR}/tests/unit/supervisor_doctor_test.c)
target_link_libraries(supervisor_doctor_test PRIVATE board cmocka)
add_test(NAME unit_supervisor_doctor COMMAND supervisor_doctor_test)
set_tests_properties(unit_supervisor_doctor PROPERTIES TIMEOUT 60)

add_executable(supervisor_board_test
  ${CMAKE_SOURCE_DIR}/tests/unit/supervisor_board_test.c)
target_link_libraries(supervisor_board_test PRIVATE board cmocka)
target_compile_definitions(supervisor_board_test PRIVATE
  BOARD_DOC="${CMAKE_SOURCE_DIR}/docs/boards.md")
add_test(NAME unit_supervisor_board COMMAND supervisor_board_test)
set_tests_properties(unit_supervisor_board PROPERTIES TIMEOUT 60)
