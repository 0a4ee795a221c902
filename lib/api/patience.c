/* SPDX-License-Identifier: MIT */
/* How long the calling thread waits for others. */
#include "base/patience.h"

#include <stdint.h>

#include "base/error.h"
#include "kafkalite.h"

int kfl_thread_patience(int32_t patience_ms)
{
    if (patience_ms < -1 || patience_ms == INT32_MAX)
        return kfl__fail(KFL_E_INVALID, "kfl_thread_patience: %d ms: -1 is as long as it takes, else 0 and more", patience_ms);
    kfl__patience_set(patience_ms);
    return 0;
}
