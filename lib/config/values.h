/* SPDX-License-Identifier: MIT */
/* A property's value as text: read, written, described by its row. From any thread. */
#ifndef KFL_CONFIG_VALUES_H
#define KFL_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/properties.h"

/* False: not a value of this property. Else the number that its field holds; of a STRING its length. */
bool kfl__value_read(const struct kfl__property *property, const char *text, int64_t *out_value);
/* The one way in which a value is written. Not for a STRING, which is its own text. */
#define KFL_VALUE_TEXT_SIZE 64
void kfl__value_format(const struct kfl__property *property, int64_t value,
                       char text[KFL_VALUE_TEXT_SIZE]);
/* What is accepted, in words, behind what stands in `text`, where they must fit. */
void kfl__value_describe(const struct kfl__property *property, char *text, size_t size);

/* Of ASCII only: what a name or a word is does not depend on the program's locale. */
static inline char kfl__value_lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

#endif
