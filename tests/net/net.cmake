# Real VMs in network namespaces of the tests' own.
add_test(NAME net_tap COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/tap_test.py)
set_tests_properties(net_tap PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
  ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1")
