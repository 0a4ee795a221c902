# SPDX-License-Identifier: MIT
"""What the kafka-python drop-in's clients share."""
