# Real VMs in network namespaces of the tests' own.
add_test(NAME net_tap COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/tap_test.py)
set_tests_properties(net_tap PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200
  ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1")
add_test(NAME net_flood COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/flood_test.py)
set_tests_properties(net_flood PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200
  ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1")

# TCP over a bad path.
add_executable(net_impair ${CMAKE_CURRENT_LIST_DIR}/impair.c)
target_link_libraries(net_impair PRIVATE limpet_host)
if(NOT LIMPET_INSTRUMENTED) # its flow runs in a VM: static
  add_executable(net_flow ${CMAKE_CURRENT_LIST_DIR}/flow.c)
  target_link_libraries(net_flow PRIVATE limpet_host)
  target_link_options(net_flow PRIVATE -static)
  add_test(NAME net_loss COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_LIST_DIR}/loss_test.py)
  set_tests_properties(net_loss PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 LABELS slow
    ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;LIMPET_NET_TOOLS=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1")
endif()

# The rules of the host, with Linux in a namespace in the place of a VM.
add_executable(net_standin ${CMAKE_CURRENT_LIST_DIR}/standin.c)
target_link_libraries(net_standin PRIVATE limpet_host jansson)
set_target_properties(net_standin PROPERTIES OUTPUT_NAME limpet-vmm
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/standin)
foreach(name bridge firewall)
  add_test(NAME net_${name} COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py)
  set_tests_properties(net_${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 LABELS slow
    ENVIRONMENT "LIMPET=$<TARGET_FILE:limpet>;FAKE=${CMAKE_BINARY_DIR}/standin;NETD=$<TARGET_FILE:limpet-net>;PYTHONDONTWRITEBYTECODE=1;PYTHONPATH=${CMAKE_SOURCE_DIR}/tests/cli")
endforeach()

# What peers and guests can do to the proxy of ports.
add_test(NAME net_proxy COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/proxy_test.py)
set_tests_properties(net_proxy PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 LABELS slow
  ENVIRONMENT "LIMPET=$<TARGET_FILE:limpet>;FAKE=${CMAKE_BINARY_DIR}/standin;NETD=$<TARGET_FILE:limpet-net>;PYTHONDONTWRITEBYTECODE=1;PYTHONPATH=${CMAKE_SOURCE_DIR}/tests/cli")

# Names: the same stand-ins, and real VMs where there is KVM.
add_test(NAME net_dns COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/dns_test.py)
set_tests_properties(net_dns PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 LABELS slow
  ENVIRONMENT "LIMPET=$<TARGET_FILE:limpet>;FAKE=${CMAKE_BINARY_DIR}/standin;NETD=$<TARGET_FILE:limpet-net>;LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1;PYTHONPATH=${CMAKE_SOURCE_DIR}/tests/cli")

# Without root, and in the place of an interface of another namespace.
foreach(name user netns)
  add_test(NAME net_${name} COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py)
  set_tests_properties(net_${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 LABELS slow
    ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1")
endforeach()

# Networks that come and go while VMs run.
add_test(NAME net_connect COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/connect_test.py)
set_tests_properties(net_connect PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 LABELS slow
  ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1")

# 200 VMs at once; prints what an interface costs.
add_test(NAME net_many COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/many_test.py)
set_tests_properties(net_many PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS long
  RUN_SERIAL ON
  ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1")
