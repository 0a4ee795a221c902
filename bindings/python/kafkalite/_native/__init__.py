# SPDX-License-Identifier: MIT
"""The native API: stores, topics, producers, consumers and groups as Python has them."""
