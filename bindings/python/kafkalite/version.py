# SPDX-License-Identifier: MIT
"""The version of the package, and of the library that it needs."""
from ._load import VERSION as __version__

__all__ = ["__version__"]
