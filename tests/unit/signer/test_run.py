"""The signer as a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from jwtgate.serve import bind

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20  # seconds; far above what anything here takes

PROGRAM = """
    import sys
    from pathlib import Path
    from jwtgate.signer import run
    from support.signer import settings

    listen, key_dir = sys.argv[1:]
    run(settings(Path(key_dir), listen=listen))
"""


def start(listen: str, key_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), listen, str(key_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def free_address() -> str:
    with bind("127.0.0.1:0") as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def running(key_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A signer that answers, and its URL."""
    listen = free_address()
    process = start(listen, key_dir)
    try:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(httpx2.ConnectError):
                assert get(f"http://{listen}/health").status_code == 200
                break
            time.sleep(0.05)
        yield process, f"http://{listen}"
    finally:
        process.kill()
        process.communicate()


def get(url: str) -> httpx2.Response:
    return httpx2.get(url, trust_env=False, timeout=PATIENCE)


def test_the_key_set_is_the_same_after_a_restart(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with running(tmp_path / "keys") as (process, url):
            seen.append(get(f"{url}/jwk"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
    assert seen[0].json()["keys"]
    assert seen[0].content == seen[1].content
    assert seen[0].headers["etag"] == seen[1].headers["etag"]


def test_a_signer_gives_no_token_for_the_asking(tmp_path: Path) -> None:
    with running(tmp_path / "keys") as (_, url):
        assert get(f"{url}/example-token").status_code == 404


def test_requests_are_not_logged(tmp_path: Path) -> None:
    with running(tmp_path / "keys") as (process, url):
        get(f"{url}/nowhere")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert err == ""
    assert len(out.splitlines()) == 1
    assert "signing key made" in out


def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    with bind("127.0.0.1:0") as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        process = start(listen, tmp_path / "keys")
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"StartError: cannot listen on {listen}: the port is taken" in err
