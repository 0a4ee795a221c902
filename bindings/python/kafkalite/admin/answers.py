# SPDX-License-Identifier: MIT
"""Answers that serve both ages of kafka-python: attributes of 2.x, keys of 3.x."""
from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from ..errors import BrokerResponseError

Outcome = Tuple[str, Optional[BaseException]]


class Row(Dict[str, Any]):
    """row["error_code"], row.error_code, row[1] and `name, code, text = row`: 2.x has tuples."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, slice)):
            return tuple(self.values())[key]
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Answer(Dict[str, Any]):
    """answer["topics"], answer.topics, and answer.to_object()."""

    def to_object(self) -> Dict[str, Any]:
        """All of it as plain dicts and lists, by the names of 2.x beside those of 3.x."""
        whole = {name: _plain(value) for name, value in self.items()}
        for name in ("topic_errors", "topic_error_codes"):
            if name in whole:
                whole[name] = whole["topics"]
        return whole

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


# What 2.x calls the fields of a property, and of a topic or a resource.
_OF_PROPERTY = {"name": "config_names", "value": "config_value", "synonyms": "config_synonyms"}
_OF_OTHERS = {"name": "topic", "configs": "config_entries"}


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        plain = {name: _plain(what) for name, what in value.items()}
        older = _OF_PROPERTY if "value" in plain else _OF_OTHERS
        plain.update({old: plain[name] for name, old in older.items() if name in plain})
        return plain
    return [_plain(what) for what in value] if isinstance(value, list) else value


def number_of(error: Optional[BaseException]) -> int:
    if error is None:
        return 0
    number = getattr(error, "errno", None) if isinstance(error, BrokerResponseError) else None
    return number if isinstance(number, int) else -1


def text_of(error: Optional[BaseException]) -> Optional[str]:
    return None if error is None else str(error)


def topics_answer(outcomes: Iterable[Outcome], with_message: bool) -> Answer:
    """Of create, delete and grow; 2.0.2 has no messages for deletions."""
    every = list(outcomes)
    errors: List[Tuple[Any, ...]] = [
        (name, number_of(error), text_of(error)) if with_message else (name, number_of(error))
        for name, error in every
    ]
    rows = [
        Row(name=name, error_code=number_of(error), error_message=text_of(error))
        for name, error in every
    ]
    return Answer(
        throttle_time_ms=0,
        topics=rows,
        responses=rows,
        results=rows,
        topic_errors=errors,
        topic_error_codes=errors,
    )


def first_error(outcomes: Iterable[Outcome]) -> Optional[BaseException]:
    return next((error for _, error in outcomes if error is not None), None)


__all__ = ["Answer", "Outcome", "Row", "first_error", "number_of", "text_of", "topics_answer"]
