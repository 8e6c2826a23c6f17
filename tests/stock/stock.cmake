# A stock Linux kernel as the guest, in emulated hosts whose KVM is SVM and EL2.
# The arm64 programs are the cross build that tools/check.sh makes in arm64/.
foreach(arch svm arm64)
  if(arch STREQUAL svm)
    set(args x86_64 ${CMAKE_BINARY_DIR}/bin)
  else()
    set(args arm64 ${CMAKE_BINARY_DIR}/arm64/bin)
  endif()
  add_test(NAME stock_lab_${arch} COMMAND ${CMAKE_CURRENT_LIST_DIR}/lab.sh
    ${args} ${CMAKE_BINARY_DIR}/images)
  set_tests_properties(stock_lab_${arch} PROPERTIES SKIP_RETURN_CODE 77
    TIMEOUT 1300 RUN_SERIAL ON LABELS slow)
endforeach()
