"""The space that the decision cache takes: never more than its share, and when there is none, nobody notices."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from jwtgate.validator.room import used_bytes
from support.gateway import Process
from support.http import connect, exchange
from support.issuer import AUDIENCE, URL
from support.stand_alone import StandAlone, StubValidators

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.issuer import Issuer

KIB, MIB = 1024, 1024 * 1024


@contextlib.contextmanager
def file_system(directory: Path, size: int) -> Iterator[None]:
    """A file system in memory of that size in place of a directory, with its owner and mode."""
    status = directory.stat()
    owner = f"uid={status.st_uid},gid={status.st_gid},mode={status.st_mode & 0o777:o}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},{owner}", "tmpfs", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_when_the_caches_file_system_is_full_requests_pass_uncached(nginx: Path, backend: Backend) -> None:
    text = f"""
issuers:
  main: {{issuer: {URL}, jwks: http://127.0.0.1:1/jwks, audience: {AUDIENCE}, algorithms: [ES256]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: 60s, identity: {{X-User: sub}}}}]
"""
    gate = StandAlone(text, nginx=nginx)
    decisions = gate.run_dir / "cache" / "decisions"
    with contextlib.ExitStack() as stack:
        stack.enter_context(gate)
        stack.enter_context(file_system(decisions, 128 * KIB))  # some thirty decisions
        # A validator that does not look after the space: everything is called cacheable.
        allow = (200, {"X-Accel-Expires": "60", "X-Jwtgate-Identity-X-User": "alice"})
        stubs = stack.enter_context(StubValidators(gate.run_dir, lambda _path, _headers: allow))
        for turn in range(2):
            for number in range(100):
                answer = gate.request("/x", token=f"{number}")
                assert answer.status == 200, (turn, number)
                assert [value for name, value in answer.json()["headers"] if name == "x-user"] == ["alice"]
        status = os.statvfs(decisions)
        assert status.f_bfree < status.f_blocks / 4
        assert len(stubs.asked) > 150  # most are asked each time


SHARE = MIB
SECONDS = 20.0  # at most


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system that nobody else writes to")
def test_new_tokens_at_full_speed_never_take_more_than_the_caches_share(
    nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    """The long form, at a stated rate, is `script/bench storing`."""
    text = f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
cache: {{max_size: {SHARE}}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: 60s}}]
"""
    # Each comes twice: a decision is kept at the second time.
    tokens = [token for number in range(800) for token in 2 * [issuer.token(jti=str(number))]]
    with StandAlone(text, nginx=nginx) as gate:
        cache = gate.run_dir / "cache"
        with (
            file_system(cache, 16 * MIB),
            Process("validator", str(gate.configuration), ready="validators listen"),
            ThreadPoolExecutor(4) as pool,
        ):
            before = used_bytes(cache)
            sending = [pool.submit(_send_all, gate, tokens[part::4]) for part in range(4)]
            used = [used_bytes(cache) - before]
            while not all(each.done() for each in sending):
                used.append(used_bytes(cache) - before)
                time.sleep(0.002)
            statuses = [status for each in sending for status in each.result()]
    assert set(statuses) == {200}
    assert len(statuses) // 2 * 4096 > SHARE  # a decision takes a page at least
    assert max(used) <= SHARE
    assert max(used) > SHARE / 16  # it is used; the faster the machine, the seldomer a validator looks meanwhile


def _send_all(gate: StandAlone, tokens: list[str]) -> list[int]:
    """The statuses of a request with each token, as many as there is time for."""
    deadline = time.monotonic() + SECONDS
    statuses: list[int] = []
    for some in (tokens[start : start + 500] for start in range(0, len(tokens), 500)):  # keepalive_requests 1000
        with connect(gate.address) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for token in some:
                if time.monotonic() > deadline:
                    return statuses
                head = f"HEAD / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
                statuses.append(exchange(connection, head.encode(), "HEAD").status)
    return statuses
