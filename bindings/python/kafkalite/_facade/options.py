# SPDX-License-Identifier: MIT
"""Options of kafka-python: which there are, what is refused, and what they mean to a store."""
from __future__ import annotations

import logging
import os
import selectors
from typing import Any, Dict, Mapping, Sequence, Union

from .._native.store import Store, open
from ..errors import KafkaConfigurationError

log = logging.getLogger("kafkalite")
# Silent in a program that has not set logging up, as kafka-python is.
log.addHandler(logging.NullHandler())

# There is no network: accepted by name, and without effect.
NETWORK: Dict[str, Any] = {
    "bootstrap_servers": "localhost",
    "request_timeout_ms": 30000,
    "connections_max_idle_ms": 9 * 60 * 1000,
    "reconnect_backoff_ms": 50,
    "reconnect_backoff_max_ms": 1000,
    "max_in_flight_requests_per_connection": 5,
    "receive_buffer_bytes": None,
    "send_buffer_bytes": None,
    "socket_options": [(6, 1, 1)],
    "sock_chunk_bytes": 4096,
    "sock_chunk_buffer_count": 1000,
    "retry_backoff_ms": 100,
    "metadata_max_age_ms": 300000,
    "api_version": None,
    "api_version_auto_timeout_ms": 2000,
    "selector": selectors.DefaultSelector,
    "metric_reporters": [],
    "metrics_num_samples": 2,
    "metrics_sample_window_ms": 30000,
}

# Whoever asks for these wants something that is not here: only the defaults are taken.
SECURITY: Dict[str, Any] = {
    "security_protocol": "PLAINTEXT",
    "ssl_context": None,
    "ssl_check_hostname": True,
    "ssl_cafile": None,
    "ssl_certfile": None,
    "ssl_keyfile": None,
    "ssl_crlfile": None,
    "ssl_password": None,
    "ssl_ciphers": None,
    "sasl_mechanism": None,
    "sasl_plain_username": None,
    "sasl_plain_password": None,
    "sasl_kerberos_service_name": "kafka",
    "sasl_kerberos_domain_name": None,
    "sasl_oauth_token_provider": None,
}

# Of later versions of kafka-python: taken, and told by `config` when given, but no defaults.
LATER: Dict[str, Any] = {
    "client_dns_lookup": "use_all_dns_ips",
    "receive_message_max_bytes": 100000000,
    "bootstrap_timeout_ms": 30000,
    "metrics_enabled": True,
    "sasl_kerberos_name": None,
    "proxy_url": None,
    "socks5_proxy": None,
    "kafka_client": None,
}

API_VERSION = (2, 6, 0)


def check_security(config: Mapping[str, Any]) -> None:
    """Refuses what asks for encryption or a login: both would be silently missing."""
    for name, default in (*SECURITY.items(), ("sasl_kerberos_name", None)):
        if config.get(name, default) != default:
            raise KafkaConfigurationError(
                f"{name}={config[name]!r}: a store has no network, so there is nothing to secure."
                " Access to it is that of its files"
            )


def api_version(value: Any) -> Any:
    """A tuple, whatever was given."""
    if value is None or value == "auto":
        return API_VERSION
    if isinstance(value, str):
        return tuple(int(part) for part in value.split("."))
    return value


def directory_of(servers: Union[str, Sequence[str]]) -> str:
    """file: and whatever holds a slash name a directory; hosts and ports mean the default one."""
    every = [servers] if isinstance(servers, (str, os.PathLike)) else list(servers)
    for server in every:
        text = os.fspath(server)
        if text.startswith("file:"):
            path = text[5:]
            return path[2:] if path.startswith("//") else path
        if "/" in text:
            return text
    return os.environ.get("KAFKALITE_DIR") or "./kafkalite-data"


def open_store(config: Mapping[str, Any]) -> Store:
    directory = directory_of(config["bootstrap_servers"])
    log.info("the store of %r is the directory %s", config["bootstrap_servers"], directory)
    return open(directory)


def tell_ignored(config: Mapping[str, Any], given: Mapping[str, Any], ignored: Sequence[str]) -> None:
    """One line for what was asked for and has no meaning here."""
    names = [
        name
        for name in given
        if name != "bootstrap_servers" and (name in NETWORK or name in LATER or name in ignored)
    ]
    if names:
        log.debug("%s: without effect: %s", config.get("client_id"), ", ".join(sorted(names)))
