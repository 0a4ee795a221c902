/* SPDX-License-Identifier: MIT */
/*
 * Strings -> typed settings, checked against the table. Implements the property part of
 * kafkalite.h.
 */
#ifndef KFL_CONFIG_CONFIG_H
#define KFL_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/properties.h"
#include "kafkalite.h"

/*
 * The typed values, defaults where nothing is set. NULL config: all defaults. Borrowed until the
 * config changes.
 */
const struct kfl__settings *kfl__config_settings(const kfl_config *config);

/*
 * KFL_E_UNKNOWN_PROPERTY when something is set that does not belong to `scope` (text: name, where
 * it belongs), KFL_E_UNSUPPORTED for a codec that was not built (have_lz4, have_zstd). Takes NULL.
 */
int kfl__config_check(const kfl_config *config, enum kfl__scope scope, bool have_lz4,
                      bool have_zstd);

/* Owned copy; source NULL gives an empty one. */
int kfl__config_copy(const kfl_config *source, kfl_config **out_config);
/*
 * Put what is set in `changes` (also "set to default") into `config`: all of it or, with
 * KFL_E_NOMEM, nothing. NULL changes: none.
 */
int kfl__config_merge(kfl_config *config, const kfl_config *changes);
/*
 * The same values in force for all properties of this scope? A default that was set is the default,
 * but where a topic without a value of its own uses the store's: there both must have one or
 * neither. Takes NULL.
 */
bool kfl__config_equal(const kfl_config *a, const kfl_config *b, enum kfl__scope scope);

/* What is set, as "name=value\n" lines in table order. Owned: kfl__free. */
int kfl__config_encode(const kfl_config *config, char **out_text);
/*
 * Owned. A line that names no property of ours is kept aside and written back by encode (a newer
 * version's). KFL_E_BAD_VALUE for a value that this version does not take, KFL_E_CORRUPT for what
 * is no line of that form.
 */
int kfl__config_decode(const char *text, kfl_config **out_config);

#endif
