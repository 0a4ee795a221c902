# SPDX-License-Identifier: MIT
"""Where a record went."""
from __future__ import annotations

from functools import total_ordering
from typing import Any, Iterator, Optional, Tuple

from .. import _ffi

PENDING = -3


@total_ordering
class Offset(_ffi.Encoded):  # type: ignore[misc]
    """A pair of partition and offset, compared, unpacked and hashed as a tuple of them.

    The offset is None while the record waits for others (linger_ms). It is the one number that the library answers,
    taken apart when somebody looks: most programs do not, and the pair would cost as much as the record.
    """

    __slots__ = ()
    _fields = ("partition", "offset")

    def __init__(self, partition: int, offset: Optional[int]) -> None:
        number = self.UNTOLD if offset is None else offset
        _ffi.Encoded.__init__(self, (partition << 46 | number) + 1)  # no super(): it is of a metaclass that trips over it

    @property
    def partition(self) -> int:
        return int(self.value - 1 >> 46)

    @property
    def offset(self) -> Optional[int]:
        offset = self.value - 1 & self.UNTOLD
        return None if offset == self.UNTOLD else offset

    def pair(self) -> Tuple[int, Optional[int]]:
        return self.partition, self.offset

    def __iter__(self) -> Iterator[Any]:
        return iter(self.pair())

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        return self.pair()[index]

    def __eq__(self, other: object) -> bool:
        return self.pair() == (other.pair() if isinstance(other, Offset) else other)

    def __lt__(self, other: Any) -> bool:
        return self.pair() < tuple(other)

    def __hash__(self) -> int:
        return hash(self.pair())

    def __repr__(self) -> str:
        return f"Offset(partition={self.partition}, offset={self.offset})"

    def __reduce__(self) -> Any:
        return Offset, self.pair()
