# Compile-only: the static assertions are the test; both compilers run them.
foreach(topic nr struct event socket tcp inet)
  add_executable(abi-${topic}-test abi/${topic}_test.c)
  target_include_directories(abi-${topic}-test PRIVATE ${CMAKE_SOURCE_DIR})
  add_test(NAME abi_${topic} COMMAND abi-${topic}-test)
endforeach()
add_test(NAME abi_arm64 COMMAND ${CMAKE_CURRENT_LIST_DIR}/arm64.sh ${CMAKE_SOURCE_DIR})
set_tests_properties(abi_arm64 PROPERTIES SKIP_RETURN_CODE 77)
