# SPDX-License-Identifier: MIT
"""The classes behind kafkalite.errors: by kind, a file each."""
