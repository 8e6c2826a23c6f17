# End-to-end tests of limpet-image; each says on stdout why it skips (77).
foreach(name convert bad mount pull push transcript blobs archive crash)
  add_test(NAME image_${name} COMMAND Python3::Interpreter
    ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py $<TARGET_FILE:limpet-image>)
  set_tests_properties(image_${name} PROPERTIES TIMEOUT 1800
    SKIP_RETURN_CODE 77)
endforeach()
set_tests_properties(image_crash PROPERTIES LABELS slow)
add_test(NAME image_crash_long COMMAND Python3::Interpreter
  ${CMAKE_CURRENT_LIST_DIR}/crash_test.py $<TARGET_FILE:limpet-image>)
set_tests_properties(image_crash_long PROPERTIES TIMEOUT 2400 LABELS long
  SKIP_RETURN_CODE 77 ENVIRONMENT LIMPET_KILLS=2000)

# Power cuts, in an emulated host; and a program without fsync to be caught.
if(NOT LIMPET_INSTRUMENTED AND NOT CMAKE_CROSSCOMPILING)
  add_library(nofsync MODULE image/nofsync.c)
  target_link_libraries(nofsync PRIVATE limpet_host)
  add_test(NAME image_power COMMAND Python3::Interpreter
    ${CMAKE_CURRENT_LIST_DIR}/power_test.py $<TARGET_FILE:limpet-image>
    $<TARGET_FILE:nofsync>)
  set_tests_properties(image_power PROPERTIES TIMEOUT 1800 LABELS slow
    SKIP_RETURN_CODE 77)
endif()
