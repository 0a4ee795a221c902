/* SPDX-License-Identifier: MIT */
/*
 * Compression of whole payloads, in one shot. The numbers are Kafka's and are on disk. Unpacking
 * writes at most what the batch header promised, whatever the packed bytes claim about themselves.
 */
#include "format/codec.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#ifdef KFL_HAVE_LZ4
#include <lz4.h>
#endif
#ifdef KFL_HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

#include "base/error.h"

#ifdef KFL_HAVE_LZ4
static size_t lz4_bound(size_t size)
{
    return (size_t)LZ4_compressBound((int)size);
}

static int lz4_pack(const void *bytes, size_t size, void *to, size_t to_size, size_t *out_size)
{
    int packed =
        LZ4_compress_default(bytes, to, (int)size, to_size > INT_MAX ? INT_MAX : (int)to_size);
    if (packed <= 0)
        return kfl__fail(KFL_E_BUG, "lz4 could not pack %zu bytes into %zu", size, to_size);
    *out_size = (size_t)packed;
    return 0;
}

static int lz4_unpack(const void *bytes, size_t size, void *to, size_t to_size)
{
    if (size > INT_MAX || to_size > INT_MAX)
        return KFL_E_CORRUPT;
    int unpacked = LZ4_decompress_safe(bytes, to, (int)size, (int)to_size);
    return unpacked >= 0 && (size_t)unpacked == to_size ? 0 : KFL_E_CORRUPT;
}
#endif

#ifdef KFL_HAVE_ZSTD
static size_t zstd_bound(size_t size)
{
    return ZSTD_compressBound(size);
}

static int zstd_pack(const void *bytes, size_t size, void *to, size_t to_size, size_t *out_size)
{
    size_t packed = ZSTD_compress(to, to_size, bytes, size, ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(packed)) {
        int code =
            ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation ? KFL_E_NOMEM : KFL_E_BUG;
        return kfl__fail(code, "zstd could not pack %zu bytes: %s", size,
                         ZSTD_getErrorName(packed));
    }
    *out_size = packed;
    return 0;
}

static int zstd_unpack(const void *bytes, size_t size, void *to, size_t to_size)
{
    size_t unpacked = ZSTD_decompress(to, to_size, bytes, size);
    if (ZSTD_isError(unpacked) && ZSTD_getErrorCode(unpacked) == ZSTD_error_memory_allocation)
        return kfl__fail(KFL_E_NOMEM, "zstd could not unpack %zu bytes", size);
    return unpacked == to_size ? 0 : KFL_E_CORRUPT; /* an error is a number above any size */
}
#endif

/* Each codec is known; those without functions were not built in. */
static const struct codec {
    int number;
    const char *name;
    size_t (*bound)(size_t size);
    int (*pack)(const void *bytes, size_t size, void *to, size_t to_size, size_t *out_size);
    int (*unpack)(const void *bytes, size_t size, void *to, size_t to_size);
} codec_table[] = {
    {KFL_CODEC_NONE, "none", NULL, NULL, NULL},
#ifdef KFL_HAVE_LZ4
    {KFL_CODEC_LZ4, "lz4", lz4_bound, lz4_pack, lz4_unpack},
#else
    {KFL_CODEC_LZ4, "lz4", NULL, NULL, NULL},
#endif
#ifdef KFL_HAVE_ZSTD
    {KFL_CODEC_ZSTD, "zstd", zstd_bound, zstd_pack, zstd_unpack},
#else
    {KFL_CODEC_ZSTD, "zstd", NULL, NULL, NULL},
#endif
};
#define CODEC_COUNT (sizeof codec_table / sizeof codec_table[0])

static const struct codec *codec_of(int number)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if (codec_table[i].number == number)
            return &codec_table[i];
    }
    return NULL;
}

int kfl__codec_find(const char *name)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if (strcmp(name, codec_table[i].name) == 0)
            return codec_table[i].number;
    }
    return -1;
}

const char *kfl__codec_name(int codec)
{
    const struct codec *known = codec_of(codec);
    return known != NULL ? known->name : NULL;
}

bool kfl__codec_is_built(int codec)
{
    const struct codec *known = codec_of(codec);
    return known != NULL && (codec == KFL_CODEC_NONE || known->pack != NULL);
}

static int codec_not_built(int codec)
{
    const char *name = kfl__codec_name(codec);
    if (name == NULL)
        return kfl__fail(KFL_E_UNSUPPORTED, "compression codec %d is unknown", codec);
    return kfl__fail(KFL_E_UNSUPPORTED, "this library was built without %s", name);
}

size_t kfl__codec_bound(int codec, size_t size)
{
    assert(size <= INT_MAX / 2);
    const struct codec *known = codec_of(codec);
    return known != NULL && known->bound != NULL ? known->bound(size) : size;
}

int kfl__codec_pack(int codec, const void *bytes, size_t size, void *to, size_t to_size,
                    size_t *out_size)
{
    assert(codec != KFL_CODEC_NONE);
    assert(size <= INT_MAX / 2);
    const struct codec *known = codec_of(codec);
    if (known == NULL || known->pack == NULL)
        return codec_not_built(codec);
    return known->pack(bytes, size, to, to_size, out_size);
}

int kfl__codec_unpack(int codec, const void *bytes, size_t size, void *to, size_t to_size)
{
    assert(codec != KFL_CODEC_NONE);
    const struct codec *known = codec_of(codec);
    if (known == NULL || known->unpack == NULL)
        return codec_not_built(codec);
    return known->unpack(bytes, size, to, to_size);
}
