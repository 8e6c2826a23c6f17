# Unit tests of image/.
foreach(name data fetcher forward index oci plan pushnext registry spill tarpath tree)
  add_executable(image_${name}_test
    ${CMAKE_CURRENT_LIST_DIR}/image_${name}_test.c)
  target_link_libraries(image_${name}_test PRIVATE image base cmocka)
  add_test(NAME unit_image_${name} COMMAND image_${name}_test)
  set_tests_properties(unit_image_${name} PROPERTIES TIMEOUT 120)
endforeach()

# Needing files or an environment of their own.
foreach(name http stream)
  add_executable(image_${name}_test
    ${CMAKE_CURRENT_LIST_DIR}/image_${name}_test.c)
  target_link_libraries(image_${name}_test PRIVATE image base cmocka)
  add_test(NAME unit_image_${name} COMMAND image_${name}_test)
  set_tests_properties(unit_image_${name} PROPERTIES TIMEOUT 120)
endforeach()
