/* SPDX-License-Identifier: MIT */
/*
 * What a power cut may leave: a trace of the recorder, replayed up to a moment, and folders made from it.
 * Of the sectors that were written since their file was last synced any subset may be there, each in any
 * of its versions; of the names that came and went since their folder was last synced, those that the
 * model of the file system allows.
 */
#ifndef KFL_TESTS_CRASH_IMAGES_H
#define KFL_TESTS_CRASH_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "chance.h"
#include "recorder.h"

enum image_strategy {
    IMAGE_NONE, /* nothing that was not synced */
    IMAGE_ALL,
    IMAGE_HALF,        /* each sector by a coin */
    IMAGE_FEW,         /* one in ten */
    IMAGE_MOST,        /* nine in ten */
    IMAGE_LATE,        /* the newest quarter only */
    IMAGE_ONE_MISSING, /* all but one sector */
    IMAGE_PREFIX,      /* in the order of writing, up to somewhere */
    IMAGE_FILES,       /* each file whole or not at all */
    IMAGE_STRATEGIES
};
enum image_names {
    IMAGE_NAMES_STRICT, /* POSIX: only what a sync of the folder brought down */
    IMAGE_NAMES_ANY,    /* any subset of the rest besides */
    IMAGE_NAMES_ORDERED, /* a journal: in order, at least up to the last sync of anything, up to somewhere */
    IMAGE_NAMES
};

struct images;
struct images *images_make(const struct recorder_trace *trace);
void images_drop(struct images *images);
/*
 * Replay one more event. False at the end. A mark's payload goes to *out_mark (else NULL). *out_kind: what it was.
 */
bool images_step(struct images *images, const void **out_mark, uint32_t *out_kind);
/* Fill `folder`, which must be empty. */
void images_write(struct images *images, const char *folder, enum image_strategy strategy,
                  enum image_names names, struct chance *chance);
/* Take an image away again, with whatever was added to it. */
void images_clear(const char *folder);

const char *image_strategy_name(enum image_strategy strategy);
const char *image_names_name(enum image_names names);

#endif
