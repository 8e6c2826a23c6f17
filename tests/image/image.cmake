# End-to-end tests of limpet-image; each says on stdout why it skips (77).
foreach(name convert bad mount pull push blobs archive)
  add_test(NAME image_${name} COMMAND Python3::Interpreter
    ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py $<TARGET_FILE:limpet-image>)
  set_tests_properties(image_${name} PROPERTIES TIMEOUT 300
    SKIP_RETURN_CODE 77)
endforeach()
