# SPDX-License-Identifier: MIT
"""Where kafka-python keeps its copy of six."""
