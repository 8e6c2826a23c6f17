# The .deb: contents of both, and amd64 on a bare Debian as an ordinary user.
add_test(NAME package COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh
  ${CMAKE_BINARY_DIR}/package ${CMAKE_BINARY_DIR}/cache ${CMAKE_BINARY_DIR}/images)
set_tests_properties(package PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 3000
  LABELS slow)
