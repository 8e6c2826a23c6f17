# Conformance programs, static against both C libraries, in one image that
# follows the sources: ${CMAKE_BINARY_DIR}/images/conform. Every program is a
# boot case (tests/boot/cases.py); expect.cfg lists what is known to differ.
set(conform_dir ${CMAKE_CURRENT_LIST_DIR})
set(conform_root ${CMAKE_BINARY_DIR}/conform)
set(conform_image ${CMAKE_BINARY_DIR}/images/conform)
set(conform_flags -I${PROJECT_SOURCE_DIR} -D_GNU_SOURCE= -std=gnu17 -O1 -static -s -Wall -Wextra -Werror -Wno-nonnull
  -Wno-unused-function -Wno-unused-result -pthread)
find_program(LIMPET_MUSL_GCC musl-gcc)
file(GLOB conform_sources CONFIGURE_DEPENDS ${conform_dir}/*.c)
file(GLOB conform_run ${conform_dir}/run/*.c)
set(conform_programs)

function(conform_program out source compiler)
  get_filename_component(folder ${out} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${out} DEPENDS ${source} ${conform_dir}/t.h ${conform_dir}/t_inet.h
    COMMAND ${compiler} ${conform_flags} ${ARGN} -o ${out} ${source} VERBATIM
    COMMENT "conform ${out}")
  set(conform_programs ${conform_programs} ${out} PARENT_SCOPE)
endfunction()

foreach(source ${conform_sources})
  get_filename_component(name ${source} NAME_WE)
  conform_program(${conform_root}/glibc/${name} ${source} ${CMAKE_C_COMPILER})
  if(LIMPET_MUSL_GCC AND NOT CMAKE_CROSSCOMPILING)
    conform_program(${conform_root}/musl/${name} ${source} ${LIMPET_MUSL_GCC}
      -idirafter /usr/include -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
  endif()
endforeach()
conform_program(${conform_root}/all ${conform_dir}/run/all.c ${CMAKE_C_COMPILER})
if(NOT CMAKE_CROSSCOMPILING)
  conform_program(${conform_root}/fuzz ${conform_dir}/run/fuzz.c ${CMAKE_C_COMPILER})
endif()

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(conform_arch arm64)
else()
  set(conform_arch amd64)
endif()
file(MAKE_DIRECTORY ${conform_root}/tmp ${conform_root}/etc)
file(CHMOD ${conform_root}/tmp PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_WRITE GROUP_EXECUTE
  WORLD_READ WORLD_WRITE WORLD_EXECUTE)
add_custom_command(OUTPUT ${conform_image}/index.json
  DEPENDS ${conform_programs} ${PROJECT_SOURCE_DIR}/tools/mkoci.py
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${conform_image}
  COMMAND ${PROJECT_SOURCE_DIR}/tools/mkoci.py ${conform_image}
    --arch ${conform_arch} --layer ${conform_root} --compress none --cmd /all
  VERBATIM COMMENT "conform image")
add_custom_target(conform ALL DEPENDS ${conform_image}/index.json)
