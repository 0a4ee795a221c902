/* SPDX-License-Identifier: MIT */
/* Little-endian loads and stores at any alignment, rounding, arithmetic that notices overflow. */
#ifndef KFL_BASE_BYTES_H
#define KFL_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the format is little-endian, as the host must be");
_Static_assert(sizeof(void *) == 8, "segments are mapped whole: 64-bit hosts only");

#define KFL__LOAD_AND_STORE(bits)                                                                  \
    static inline uint##bits##_t kfl__load##bits(const void *from)                                 \
    {                                                                                              \
        uint##bits##_t value;                                                                      \
        memcpy(&value, from, sizeof value);                                                        \
        return value;                                                                              \
    }                                                                                              \
    static inline void kfl__store##bits(void *to, uint##bits##_t value)                            \
    {                                                                                              \
        memcpy(to, &value, sizeof value);                                                          \
    }
KFL__LOAD_AND_STORE(16)
KFL__LOAD_AND_STORE(32)
KFL__LOAD_AND_STORE(64)
#undef KFL__LOAD_AND_STORE

/* A copy of few bytes, of which a call would cost more than they do. Those at the end may be copied twice. */
static inline __attribute__((always_inline)) void kfl__copy_few(void *to, const void *from, size_t size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    if (size >= 64) {
        const uint8_t *last_in = in + size - 64;
        uint8_t *last_out = out + size - 64;
        do {
            memcpy(out, in, 64);
            out += 64;
            in += 64;
        } while (out < last_out);
        memcpy(last_out, last_in, 64);
    } else if (size >= 32) {
        memcpy(out, in, 32);
        memcpy(out + size - 32, in + size - 32, 32);
    } else if (size >= 16) {
        memcpy(out, in, 16);
        memcpy(out + size - 16, in + size - 16, 16);
    } else if (size >= 8) {
        memcpy(out, in, 8);
        memcpy(out + size - 8, in + size - 8, 8);
    } else {
        for (; size > 0; size--)
            *out++ = *in++;
    }
}

static inline uint64_t kfl__align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

/* true when a + b (a * b) does not fit; *out_sum is then not to be used. */
static inline bool kfl__add_overflows(uint64_t a, uint64_t b, uint64_t *out_sum)
{
    return __builtin_add_overflow(a, b, out_sum);
}

static inline bool kfl__multiply_overflows(uint64_t a, uint64_t b, uint64_t *out_product)
{
    return __builtin_mul_overflow(a, b, out_product);
}

#endif
