/* SPDX-License-Identifier: MIT */
/* lz4 and zstd by name and number; unpacking is bounded by the size that was promised. */
#ifndef KFL_FORMAT_CODEC_H
#define KFL_FORMAT_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KFL_CODEC_NONE 0
#define KFL_CODEC_LZ4 3
#define KFL_CODEC_ZSTD 4

/* "none", "lz4", "zstd" -> number; -1 for any other name. */
int kfl__codec_find(const char *name);
const char *kfl__codec_name(int codec); /* NULL for an unknown number */
bool kfl__codec_is_built(int codec);

/* Upper bound of the packed size; what kfl__codec_pack() needs at `to`. */
size_t kfl__codec_bound(int codec, size_t size);
/*
 * Neither takes KFL_CODEC_NONE. Packing gives 0 and the packed size, or KFL_E_NOMEM,
 * KFL_E_UNSUPPORTED (not built) or KFL_E_BUG with text. Unpacking gives exactly `to_size` bytes;
 * KFL_E_CORRUPT (no text) when the bytes are anything else, KFL_E_NOMEM, KFL_E_UNSUPPORTED.
 */
int kfl__codec_pack(int codec, const void *bytes, size_t size, void *to, size_t to_size,
                    size_t *out_size);
int kfl__codec_unpack(int codec, const void *bytes, size_t size, void *to, size_t to_size);

#endif
