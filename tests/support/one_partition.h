/* SPDX-License-Identifier: MIT */
/* Most tests of the engine: a core in a folder of its own, with one partition of small files. */
#ifndef KFL_TESTS_ONE_PARTITION_H
#define KFL_TESTS_ONE_PARTITION_H

#include "base/fault.h"
#include "core.h"
#include "temp_dir.h"

static struct kfl__core *core;
static struct kfl__partition *partition;

static void set_up(void)
{
    temp_dir_make();
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, "segment.bytes=65536");
}

static void tear_down(void)
{
#ifdef KFL_FAULT_POINTS
    assert_ok(kfl__fault_arm(NULL));
#endif
    core_abandon(core);
    temp_dir_remove();
}

#endif
