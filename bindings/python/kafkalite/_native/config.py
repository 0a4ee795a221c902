# SPDX-License-Identifier: MIT
"""Properties: a dict, and keywords with underscores for dots, become a config of the library."""
from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from .. import _ffi

Properties = Mapping[str, Any]


def text_of(value: Any) -> Optional[bytes]:
    """The library takes text; None puts the default back."""
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value).encode()
    return str(value).encode()


def merged(properties: Optional[Properties], keywords: Mapping[str, Any]) -> Dict[str, Any]:
    """Both kinds of naming in one dict; a keyword that is None was not given."""
    every = dict(properties or {})
    for name, value in keywords.items():
        if value is not None:
            every[name.replace("_", ".")] = value
    return every


def config_of(properties: Mapping[str, Any]) -> Optional[_ffi.Handle]:
    """A config that the library takes, or None when nothing is set."""
    if not properties:
        return None
    handle = _ffi.new(_ffi.ConfigHandle, _ffi.lib.config_create)
    for name, value in properties.items():
        _ffi.lib.config_set(handle, name.encode(), text_of(value))
    return handle


def property_names(scope: str) -> Dict[str, str]:
    """The properties of "store", "topic", "producer" or "consumer", with their defaults."""
    names: Dict[str, str] = {}
    index = 0
    while True:
        name = _ffi.lib.property_name(index)
        if name is None:
            return names
        if scope in _ffi.lib.property_scope(name).decode().split(","):
            names[name.decode()] = (_ffi.lib.property_default(name) or b"").decode()
        index += 1
