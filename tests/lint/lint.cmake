add_test(NAME lint_layers COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/layers.py ${CMAKE_SOURCE_DIR})
add_test(NAME lint_headers COMMAND ${CMAKE_CURRENT_LIST_DIR}/headers.sh
  ${CMAKE_SOURCE_DIR} ${CMAKE_C_COMPILER})
add_test(NAME lint_format COMMAND ${CMAKE_CURRENT_LIST_DIR}/format.sh
  ${CMAKE_SOURCE_DIR})
