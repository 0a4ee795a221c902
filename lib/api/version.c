/* SPDX-License-Identifier: MIT */
/* What this library is, told at run time. */
#include "format/layout.h"
#include "kafkalite.h"

#if defined(__clang__)
#define VERSION_COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define VERSION_COMPILER "gcc " __VERSION__
#else
#define VERSION_COMPILER "an unknown compiler"
#endif

#ifdef KFL_HAVE_LZ4
#define VERSION_LZ4 " lz4"
#else
#define VERSION_LZ4 ""
#endif

#ifdef KFL_HAVE_ZSTD
#define VERSION_ZSTD " zstd"
#else
#define VERSION_ZSTD ""
#endif

#ifdef NDEBUG
#define VERSION_ASSERTIONS "no assertions"
#else
#define VERSION_ASSERTIONS "assertions"
#endif

#ifdef KFL_FAULT_POINTS
#define VERSION_FAULTS ", fault points"
#else
#define VERSION_FAULTS ""
#endif

int kfl_version(void)
{
    return KFL_VERSION_HEX;
}

const char *kfl_version_string(void)
{
    return KFL_VERSION_STRING;
}

const char *kfl_build_info(void)
{
    return "kafkalite " KFL_VERSION_STRING ", " VERSION_COMPILER
           ", codecs none" VERSION_LZ4 VERSION_ZSTD ", " VERSION_ASSERTIONS VERSION_FAULTS
           ", hash XXH3";
}

int kfl_format_version(void)
{
    return KFL_FORMAT_VERSION;
}
