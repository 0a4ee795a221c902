# SPDX-License-Identifier: MIT
"""What programs take of six from kafka-python, for one Python alone."""
from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, NoReturn, Optional, Type

PY2, PY3 = False, True
string_types = (str,)
integer_types = (int,)
class_types = (type,)
text_type = str
binary_type = bytes


def iterkeys(d: Mapping[Any, Any]) -> Iterator[Any]:
    return iter(d.keys())


def itervalues(d: Mapping[Any, Any]) -> Iterator[Any]:
    return iter(d.values())


def iteritems(d: Mapping[Any, Any]) -> Iterator[Any]:
    return iter(d.items())


def raise_from(value: BaseException, from_value: Optional[BaseException]) -> NoReturn:
    raise value from from_value


def add_metaclass(metaclass: Any) -> Callable[[Type[Any]], Any]:
    def again(kind: Type[Any]) -> Any:
        own = {n: v for n, v in vars(kind).items() if n not in ("__dict__", "__weakref__")}
        return metaclass(kind.__name__, kind.__bases__, own)

    return again
