"""Envoy with jwt_authn, with and without its JWT cache."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.machine import GATEWAY_CORE, free_port, running
from bench.processes import listens
from bench.systems.setting import AUDIENCE, Running, Setting, issuer_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXTENSION = "type.googleapis.com/envoy.extensions"
_MANAGER = "filters.network.http_connection_manager.v3.HttpConnectionManager"


@contextlib.contextmanager
def envoy(setting: Setting) -> Iterator[Running]:
    """Every token is verified, each time."""
    with _envoy(setting, "envoy", cached_tokens=0) as found:
        yield found


@contextlib.contextmanager
def envoy_with_cache(setting: Setting) -> Iterator[Running]:
    """Verified tokens are remembered: 10,000 for each issuer."""
    with _envoy(setting, "envoy-cache", cached_tokens=10_000) as found:
        yield found


@contextlib.contextmanager
def envoy_with_large_cache(setting: Setting) -> Iterator[Running]:
    """25,000 for each issuer."""
    with _envoy(setting, "envoy-large-cache", cached_tokens=25_000) as found:
        yield found


@contextlib.contextmanager
def _envoy(setting: Setting, name: str, *, cached_tokens: int) -> Iterator[Running]:
    directory = setting.directory(name)
    address = f"127.0.0.1:{free_port()}"
    configuration = directory / "envoy.json"
    configuration.write_text(json.dumps(_bootstrap(setting, address, cached_tokens)))
    command = [
        *(str(Path(sys.executable).parent / "envoy"), "-c", str(configuration), "--concurrency", "1"),
        *("--log-level", "error", "--disable-hot-restart"),
    ]
    log = directory / "log"
    with running(command, GATEWAY_CORE, log, lambda pid: listens(pid, address)) as process:
        yield Running(address, process.pid)


def _bootstrap(setting: Setting, address: str, cached_tokens: int) -> dict[str, Any]:
    providers = {
        algorithm: {
            "issuer": issuer_of(algorithm),
            "audiences": [AUDIENCE],
            "local_jwks": {"filename": str(setting.jwks_file(algorithm))},
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
            **({"jwt_cache_config": {"jwt_cache_size": cached_tokens}} if cached_tokens else {}),
        }
        for algorithm in setting.keys
    }
    authentication = {
        "@type": f"{_EXTENSION}.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": providers,
        "rules": [
            {"match": {"prefix": f"/{algorithm.lower()}/"}, "requires": {"provider_name": algorithm}}
            for algorithm in setting.keys
        ],
    }
    manager = {
        "@type": f"{_EXTENSION}.{_MANAGER}",
        "stat_prefix": "gateway",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}],
                }
            ]
        },
        "http_filters": [
            {"name": "jwt", "typed_config": authentication},
            {"name": "router", "typed_config": {"@type": f"{_EXTENSION}.filters.http.router.v3.Router"}},
        ],
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "address": _address(address),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "service",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "service",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(setting.service)}}]}],
                    },
                }
            ],
        }
    }


def _address(text: str) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}
