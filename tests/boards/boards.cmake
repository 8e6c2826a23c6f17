# What machine this is: real device trees, profiles, overrides.
add_test(NAME boards_dtb COMMAND python3
  ${CMAKE_SOURCE_DIR}/tests/boards/dtb_test.py ${CMAKE_BINARY_DIR}/cache)
add_test(NAME boards_dtb_all COMMAND python3
  ${CMAKE_SOURCE_DIR}/tests/boards/dtb_test.py ${CMAKE_BINARY_DIR}/cache all)
add_test(NAME boards_cli COMMAND python3
  ${CMAKE_SOURCE_DIR}/tests/boards/cli_test.py ${CMAKE_BINARY_DIR}/cache)
set_tests_properties(boards_dtb boards_dtb_all boards_cli PROPERTIES
  SKIP_RETURN_CODE 77 TIMEOUT 1800 ENVIRONMENT
  "LIMPET=$<TARGET_FILE:limpet>;PYTHONDONTWRITEBYTECODE=1")
set_tests_properties(boards_dtb_all PROPERTIES LABELS long)
