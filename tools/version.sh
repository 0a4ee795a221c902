#!/bin/sh
# SPDX-License-Identifier: MIT
# The version, from the one place where it stands: the public header.
sed -n 's/^#define KFL_VERSION_STRING "\(.*\)"$/\1/p' "$(dirname "$0")/../include/kafkalite.h"
