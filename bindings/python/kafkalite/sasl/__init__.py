# SPDX-License-Identifier: MIT
"""Where kafka-python 2.1 and later have AbstractTokenProvider."""
