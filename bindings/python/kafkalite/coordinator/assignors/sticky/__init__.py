# SPDX-License-Identifier: MIT
"""How a group shares out partitions, under kafka-python's names."""
