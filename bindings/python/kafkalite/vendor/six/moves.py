# SPDX-License-Identifier: MIT
"""Names that moved when Python 3 came."""
import queue as queue
from builtins import filter as filter
from builtins import input as input
from builtins import map as map
from builtins import range as range
from builtins import zip as zip
from functools import reduce as reduce

xrange = range
