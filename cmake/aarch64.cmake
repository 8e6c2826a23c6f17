# Cross build for arm64 with Debian's compilers:
#   tools/packages.sh build cross && tools/sysroot.sh arm64
#   cmake -S . -B build-arm64 -G Ninja -DCMAKE_TOOLCHAIN_FILE=$PWD/cmake/aarch64.cmake
# (or -DCMAKE_C_COMPILER=clang on top). On an arm64 machine: cmake -S . -B build.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if(NOT CMAKE_C_COMPILER)
  set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
endif()
set(CMAKE_C_COMPILER_TARGET aarch64-linux-gnu) # clang only
set(CMAKE_ASM_COMPILER_TARGET aarch64-linux-gnu)

# Libraries and headers: Debian's arm64 packages, unpacked (tools/sysroot.sh).
if(NOT LIMPET_SYSROOT)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(LIMPET_SYSROOT $ENV{XDG_CACHE_HOME}/limpet/sysroot-arm64)
  else()
    set(LIMPET_SYSROOT $ENV{HOME}/.cache/limpet/sysroot-arm64)
  endif()
endif()
if(NOT EXISTS ${LIMPET_SYSROOT}/.ready)
  message(FATAL_ERROR "${LIMPET_SYSROOT} is not there: run tools/sysroot.sh arm64")
endif()
set(CMAKE_SYSROOT ${LIMPET_SYSROOT})
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LIMPET_SYSROOT)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
