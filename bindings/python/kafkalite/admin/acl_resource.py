# SPDX-License-Identifier: MIT
"""Access control lists, which a store does not have: only their words are here."""
from __future__ import annotations

from enum import IntEnum
from typing import Any, Tuple

from ..errors import IllegalArgumentError


class ResourceType(IntEnum):
    UNKNOWN = 0
    ANY = 1
    CLUSTER = 4
    DELEGATION_TOKEN = 6
    GROUP = 3
    TOPIC = 2
    TRANSACTIONAL_ID = 5


class ACLOperation(IntEnum):
    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


class ACLPermissionType(IntEnum):
    ANY = 1
    DENY = 2
    ALLOW = 3


class ACLResourcePatternType(IntEnum):
    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


def _need(value: Any, kind: type, what: str) -> None:
    if not isinstance(value, kind):
        raise IllegalArgumentError(f"{what} must be a {kind.__name__}")


class _Value:
    def _key(self) -> Tuple[Any, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


class ResourcePatternFilter(_Value):
    def __init__(self, resource_type: Any, resource_name: Any, pattern_type: Any) -> None:
        self.resource_type = resource_type
        self.resource_name = resource_name
        self.pattern_type = pattern_type
        self.validate()

    def validate(self) -> None:
        _need(self.resource_type, ResourceType, "resource_type")
        _need(self.pattern_type, ACLResourcePatternType, "pattern_type")

    def _key(self) -> Tuple[Any, ...]:
        return self.resource_type, self.resource_name, self.pattern_type

    def __repr__(self) -> str:
        return (
            f"<ResourcePattern type={self.resource_type.name}, name={self.resource_name},"
            f" pattern={self.pattern_type.name}>"
        )


class ResourcePattern(ResourcePatternFilter):
    def __init__(
        self,
        resource_type: Any,
        resource_name: Any,
        pattern_type: Any = ACLResourcePatternType.LITERAL,
    ) -> None:
        super().__init__(resource_type, resource_name, pattern_type)

    def validate(self) -> None:
        super().validate()
        if self.resource_type == ResourceType.ANY:
            raise IllegalArgumentError("resource_type cannot be ANY")
        if self.pattern_type in (ACLResourcePatternType.ANY, ACLResourcePatternType.MATCH):
            raise IllegalArgumentError(f"pattern_type cannot be {self.pattern_type.name}")


class ACLFilter(_Value):
    def __init__(
        self,
        principal: Any,
        host: Any,
        operation: Any,
        permission_type: Any,
        resource_pattern: Any,
    ) -> None:
        self.principal = principal
        self.host = host
        self.operation = operation
        self.permission_type = permission_type
        self.resource_pattern = resource_pattern
        self.validate()

    def validate(self) -> None:
        _need(self.operation, ACLOperation, "operation")
        _need(self.permission_type, ACLPermissionType, "permission_type")
        _need(self.resource_pattern, ResourcePatternFilter, "resource_pattern")

    def _key(self) -> Tuple[Any, ...]:
        return (
            self.principal,
            self.host,
            self.operation,
            self.permission_type,
            self.resource_pattern,
        )

    def __repr__(self) -> str:
        return (
            f"<ACL principal={self.principal}, resource={self.resource_pattern},"
            f" operation={self.operation.name}, type={self.permission_type.name},"
            f" host={self.host}>"
        )


class ACL(ACLFilter):
    def validate(self) -> None:
        super().validate()
        if self.operation == ACLOperation.ANY:
            raise IllegalArgumentError("operation cannot be ANY")
        if self.permission_type == ACLPermissionType.ANY:
            raise IllegalArgumentError("permission_type cannot be ANY")
        _need(self.resource_pattern, ResourcePattern, "resource_pattern")
