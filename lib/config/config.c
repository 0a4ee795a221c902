/* SPDX-License-Identifier: MIT */
/*
 * A config: which properties are set, to what, and the typed values in force.
 *
 * What is set is kept as text in the one form that kfl__value_format() gives, so equal texts are
 * equal values, and is always a value that the table accepts. The settings are whole at any moment:
 * a property that is not set has its default there. One thread at a time uses a config; whoever is
 * handed one copies it.
 */
#include "config/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "config/values.h"

struct kfl_config {
    struct kfl__settings settings;
    char *texts[KFL_PROPERTY_COUNT]; /* of what is set; NULL: the default stands */
    uint64_t reset;                  /* a bit for each property that was set back to its default */
    char *foreign; /* lines of a newer version, each with its line feed; NULL: none */
};

_Static_assert(KFL_PROPERTY_COUNT <= 64, "one bit a property");

static int config_no_memory(void)
{
    return kfl__fail(KFL_E_NOMEM, "no memory for a config");
}

int kfl_config_create(kfl_config **out_config)
{
    if (out_config == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_config_create: out_config is NULL");
    kfl_config *config = kfl__alloc(sizeof *config);
    if (config == NULL)
        return config_no_memory();
    config->settings = *kfl__property_defaults();
    *out_config = config;
    return 0;
}

void kfl_config_destroy(kfl_config *config)
{
    if (config == NULL)
        return;
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++)
        kfl__free(config->texts[i]);
    kfl__free(config->foreign);
    kfl__free(config);
}

/*
 * Text NULL: the default. Takes the text over. Cannot fail, so that a change of many properties is
 * all or nothing.
 */
static void config_put(kfl_config *config, int32_t index, char *text)
{
    const struct kfl__property *property = kfl__property_get(index);
    const char *in_force = text != NULL ? text : property->default_text;
    int64_t value = 0;
    int r = kfl__property_parse(property, in_force, &value);
    assert(r == 0);
    (void)r;
    kfl__property_store(property, value, in_force, &config->settings);
    kfl__free(config->texts[index]);
    config->texts[index] = text;
    if (text == NULL)
        config->reset |= UINT64_C(1) << index;
    else
        config->reset &= ~(UINT64_C(1) << index);
}

static int config_set_at(kfl_config *config, int32_t index, const char *value)
{
    const struct kfl__property *property = kfl__property_get(index);
    char formatted[KFL_VALUE_TEXT_SIZE];
    int64_t number = 0;
    int r = kfl__property_parse(property, value, &number);
    if (r < 0)
        return r;
    if (property->type != KFL_TYPE_STRING) {
        kfl__value_format(property, number, formatted);
        value = formatted;
    }
    char *text = kfl__copy_string(value);
    if (text == NULL)
        return config_no_memory();
    config_put(config, index, text);
    return 0;
}

int kfl_config_set(kfl_config *config, const char *name, const char *value)
{
    if (config == NULL || name == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_config_set needs a config and a name");
    int index = kfl__property_find(name);
    if (index < 0)
        return index;
    if (value != NULL)
        return config_set_at(config, index, value);
    config_put(config, index, NULL);
    return 0;
}

int kfl_config_set_int64(kfl_config *config, const char *name, int64_t value)
{
    if (config == NULL || name == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_config_set_int64 needs a config and a name");
    int index = kfl__property_find(name);
    if (index < 0)
        return index;

    /* The number is the value, not its decimal spelling: 0640 is a mode in C, and 1 is true. */
    enum kfl__property_type type = kfl__property_get(index)->type;
    char text[KFL_VALUE_TEXT_SIZE];
    if ((type == KFL_TYPE_MODE && value >= 0) ||
        (type == KFL_TYPE_BOOLEAN && (value == 0 || value == 1)))
        kfl__value_format(kfl__property_get(index), value, text);
    else
        snprintf(text, sizeof text, "%" PRId64, value);
    return config_set_at(config, index, text);
}

const char *kfl_config_get(const kfl_config *config, const char *name)
{
    const char *in_force = name != NULL ? kfl_property_default(name) : NULL;
    if (in_force == NULL || config == NULL)
        return in_force;
    const char *text = config->texts[kfl__property_find(name)];
    return text != NULL ? text : in_force;
}

int kfl_config_is_set(const kfl_config *config, const char *name)
{
    if (config == NULL || name == NULL || kfl_property_default(name) == NULL)
        return 0;
    return config->texts[kfl__property_find(name)] != NULL;
}

const struct kfl__settings *kfl__config_settings(const kfl_config *config)
{
    return config != NULL ? &config->settings : kfl__property_defaults();
}

static const char *config_scope_name(enum kfl__scope scope)
{
    switch (scope) {
    case KFL_SCOPE_STORE:
        return "store";
    case KFL_SCOPE_TOPIC:
        return "topic";
    case KFL_SCOPE_PRODUCER:
        return "producer";
    case KFL_SCOPE_CONSUMER:
        return "consumer";
    }
    return "";
}

int kfl__config_check(const kfl_config *config, enum kfl__scope scope, bool have_lz4,
                      bool have_zstd)
{
    if (config == NULL)
        return 0;
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        const struct kfl__property *property = kfl__property_get(i);
        if (config->texts[i] != NULL && (property->scopes & (uint32_t)scope) == 0)
            return kfl__fail(KFL_E_UNKNOWN_PROPERTY, "a %s has no property %s: it belongs to %s",
                             config_scope_name(scope), property->name,
                             kfl_property_scope(property->name));
    }
    int32_t compression = config->settings.compression_type;
    bool is_missing = (compression == KFL_COMPRESSION_LZ4 && !have_lz4) ||
                      (compression == KFL_COMPRESSION_ZSTD && !have_zstd);
    if (is_missing)
        return kfl__fail(KFL_E_UNSUPPORTED,
                         "compression.type=%s: this library was built without it",
                         config->texts[KFL_PROPERTY_compression_type]);
    return 0;
}

int kfl__config_copy(const kfl_config *source, kfl_config **out_config)
{
    kfl_config *config;
    int r = kfl_config_create(&config);
    if (r < 0)
        return r;
    r = kfl__config_merge(config, source);
    if (r == 0 && source != NULL && source->foreign != NULL) {
        config->foreign = kfl__copy_string(source->foreign);
        if (config->foreign == NULL)
            r = config_no_memory();
    }
    if (r < 0) {
        kfl_config_destroy(config);
        return r;
    }
    *out_config = config;
    return 0;
}

int kfl__config_merge(kfl_config *config, const kfl_config *changes)
{
    char *texts[KFL_PROPERTY_COUNT] = {NULL};
    assert(config != NULL && config != changes);
    if (changes == NULL)
        return 0;
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        if (changes->texts[i] == NULL)
            continue;
        texts[i] = kfl__copy_string(changes->texts[i]);
        if (texts[i] == NULL) {
            while (i-- > 0)
                kfl__free(texts[i]);
            return config_no_memory();
        }
    }
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        if (texts[i] != NULL || (changes->reset >> i & 1) != 0)
            config_put(config, i, texts[i]);
    }
    return 0;
}

bool kfl__config_equal(const kfl_config *a, const kfl_config *b, enum kfl__scope scope)
{
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        const struct kfl__property *property = kfl__property_get(i);
        if ((property->scopes & (uint32_t)scope) == 0)
            continue;
        const char *a_text = a != NULL ? a->texts[i] : NULL;
        const char *b_text = b != NULL ? b->texts[i] : NULL;
        bool is_inherited = scope == KFL_SCOPE_TOPIC && (property->scopes & KFL_SCOPE_STORE) != 0;
        if (is_inherited && (a_text == NULL) != (b_text == NULL))
            return false;
        a_text = a_text != NULL ? a_text : property->default_text;
        b_text = b_text != NULL ? b_text : property->default_text;
        if (strcmp(a_text, b_text) != 0)
            return false;
    }
    return true;
}

int kfl__config_encode(const kfl_config *config, char **out_text)
{
    size_t size = 1;
    for (int32_t i = 0; config != NULL && i < KFL_PROPERTY_COUNT; i++) {
        if (config->texts[i] != NULL)
            size += strlen(kfl_property_name(i)) + 1 + strlen(config->texts[i]) + 1;
    }
    if (config != NULL && config->foreign != NULL)
        size += strlen(config->foreign);

    char *text = kfl__alloc(size);
    if (text == NULL)
        return config_no_memory();
    char *to = text;
    for (int32_t i = 0; config != NULL && i < KFL_PROPERTY_COUNT; i++) {
        if (config->texts[i] != NULL)
            to += sprintf(to, "%s=%s\n", kfl_property_name(i), config->texts[i]);
    }
    if (config != NULL && config->foreign != NULL)
        to += sprintf(to, "%s", config->foreign);
    assert((size_t)(to - text) + 1 == size);
    *out_text = text;
    return 0;
}

/* `line` ends with NUL in place of its line feed; `equals` is its first equals sign. */
static int config_decode_line(kfl_config *config, char *line, char *equals)
{
    *equals = '\0';
    if (kfl_property_default(line) != NULL)
        return kfl_config_set(config, line, equals + 1);

    *equals = '=';
    size_t kept = config->foreign != NULL ? strlen(config->foreign) : 0;
    size_t size = strlen(line);
    char *foreign = kfl__realloc(config->foreign, kept + size + 2);
    if (foreign == NULL)
        return config_no_memory();
    memcpy(foreign + kept, line, size);
    memcpy(foreign + kept + size, "\n", 2);
    config->foreign = foreign;
    return 0;
}

int kfl__config_decode(const char *text, kfl_config **out_config)
{
    kfl_config *config = NULL;
    char *copy = kfl__copy_string(text);
    if (copy == NULL)
        return config_no_memory();
    int r = kfl_config_create(&config);
    if (r < 0)
        goto fail;

    for (char *line = copy; *line != '\0';) {
        char *end = strchr(line, '\n');
        char *equals = strchr(line, '=');
        if (end == NULL || equals == NULL || equals == line || equals > end) {
            r = kfl__fail(KFL_E_CORRUPT, "\"%.*s\" is no line of properties",
                          (int)strcspn(line, "\n"), line);
            goto fail;
        }
        *end = '\0';
        r = config_decode_line(config, line, equals);
        if (r < 0)
            goto fail;
        line = end + 1;
    }
    kfl__free(copy);
    *out_config = config;
    return 0;
fail:
    kfl__free(copy);
    kfl_config_destroy(config);
    return r;
}
