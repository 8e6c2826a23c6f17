# Parts of net/ that decide without a kernel.
add_executable(net_plan_test ${CMAKE_SOURCE_DIR}/tests/unit/net_plan_test.c)
target_link_libraries(net_plan_test PRIVATE net cmocka)
add_test(NAME unit_net_plan COMMAND net_plan_test)
set_tests_properties(unit_net_plan PROPERTIES TIMEOUT 60)

add_executable(net_dns_test ${CMAKE_SOURCE_DIR}/tests/unit/net_dns_test.c)
target_link_libraries(net_dns_test PRIVATE supervisor cmocka)
add_test(NAME unit_net_dns COMMAND net_dns_test)
set_tests_properties(unit_net_dns PROPERTIES TIMEOUT 60)

add_executable(net_gate_test ${CMAKE_SOURCE_DIR}/tests/unit/net_gate_test.c)
target_link_libraries(net_gate_test PRIVATE net cmocka)
add_test(NAME unit_net_gate COMMAND net_gate_test)
set_tests_properties(unit_net_gate PROPERTIES TIMEOUT 60)
