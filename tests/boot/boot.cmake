foreach(platform kvm emulate)
  add_test(NAME boot_${platform} COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_LIST_DIR}/run.py ${platform})
  set_tests_properties(boot_${platform} PROPERTIES SKIP_RETURN_CODE 77
    TIMEOUT 1500 RUN_SERIAL ON LABELS slow ENVIRONMENT
    "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;LIMPET_ROOT=${CMAKE_BINARY_DIR}/boot-store;LIMPET_LOAD_S=60")
endforeach()

# The same list inside an emulated host whose /dev/kvm is SVM: one boot, all
# cases. Emulated hosts run one at a time: two at once on two CPUs were not
# faster.
add_test(NAME boot_lab_svm COMMAND ${CMAKE_CURRENT_LIST_DIR}/lab.sh
  ${CMAKE_BINARY_DIR}/bin ${CMAKE_BINARY_DIR}/images)
set_tests_properties(boot_lab_svm PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1500
  RUN_SERIAL ON LABELS slow)

# Real VMs as an ordinary user, and where the surroundings forbid a layer.
add_test(NAME boot_host COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/host_test.py)
set_tests_properties(boot_host PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
  ENVIRONMENT "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin")

# The arm64 kernel and images under plain QEMU on this machine.
add_test(NAME boot_emulate_arm64 COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/run.py emulate-arm64 --smoke)
add_test(NAME boot_emulate_arm64_conform COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/run.py emulate-arm64 conform_)
add_test(NAME boot_emulate_arm64_long COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/run.py emulate-arm64)
set_tests_properties(boot_emulate_arm64_long PROPERTIES LABELS long)
set_tests_properties(boot_emulate_arm64 boot_emulate_arm64_conform PROPERTIES
  LABELS slow)
set_tests_properties(boot_emulate_arm64 boot_emulate_arm64_conform
  boot_emulate_arm64_long PROPERTIES SKIP_RETURN_CODE 77
  TIMEOUT 3000 RUN_SERIAL ON ENVIRONMENT
  "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;LIMPET_ROOT=${CMAKE_BINARY_DIR}/boot-store;LIMPET_ARM64=${CMAKE_BINARY_DIR}/arm64")

# Emulated arm64 hosts (EL2), one boot each: a server with GICv3, a Raspberry
# Pi 4 with GICv2, and a short list on two more. The programs are the cross
# build that tools/check.sh makes in arm64/.
foreach(host n1 a72 smoke)
  add_test(NAME boot_lab_arm64_${host} COMMAND
    ${CMAKE_CURRENT_LIST_DIR}/arm64.sh ${host} ${CMAKE_BINARY_DIR}/arm64
    ${CMAKE_BINARY_DIR}/images)
  set_tests_properties(boot_lab_arm64_${host} PROPERTIES SKIP_RETURN_CODE 77
    TIMEOUT 3200 RUN_SERIAL ON LABELS slow)
endforeach()

# Ten minutes of load: tools/check.sh --long.
add_test(NAME boot_load_long COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_LIST_DIR}/run.py kvm redis)
set_tests_properties(boot_load_long PROPERTIES SKIP_RETURN_CODE 77
  TIMEOUT 900 RUN_SERIAL ON LABELS long ENVIRONMENT
  "LIMPET_BIN=${CMAKE_BINARY_DIR}/bin;LIMPET_ROOT=${CMAKE_BINARY_DIR}/boot-store;LIMPET_LOAD_S=600")
