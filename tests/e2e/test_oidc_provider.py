"""A provider that we did not write: `oidc-provider` of npm, with its own discovery, key sets and access tokens."""

from __future__ import annotations

import base64
import fcntl
import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from jwtgate.nginx import find_nginx
from support.gateway import Gateway, wait_until
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.backend import Backend
    from support.http import Response

HERE = Path(__file__).parents[1] / "providers"
FILES = ("package.json", "package-lock.json", "oidc-provider.mjs")
INSTALLED = HERE.parents[1] / ".providers"  # git ignores it
NODE = 20  # jose needs the Web Cryptography API to be there

AUDIENCE = "urn:jwtgate:services"
CREDENTIALS = base64.b64encode(b"service:a secret of the tests%2C and of nobody else").decode()


@pytest.fixture(scope="session")
def installed() -> Path:
    """The directory with the provider, installed from its lock file once."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("needs node and npm: apt-get install nodejs npm (as root, script/test does it)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < NODE:
        pytest.skip(f"needs node {NODE} or newer, and this one is {version}")
    INSTALLED.mkdir(exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes that run beside this one
        wanted = b"".join((HERE / name).read_bytes() for name in FILES)
        stamp = INSTALLED / "stamp"
        if not stamp.exists() or stamp.read_bytes() != wanted:
            for name in FILES:
                shutil.copy(HERE / name, INSTALLED / name)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode:
                pytest.fail(f"npm ci: {done.stderr[-1000:]}")
            stamp.write_bytes(wanted)
    return INSTALLED


class Provider:
    """`oidc-provider` as a process, whose keys a test changes."""

    def __init__(self, directory: Path, algorithm: str) -> None:
        self.algorithm = algorithm
        self.issuer = f"http://127.0.0.1:{free_port()}"
        port = self.issuer.rpartition(":")[2]
        self._process = subprocess.Popen(
            ["node", "oidc-provider.mjs", port, algorithm],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.kid = self._hear("ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)

    def change(self, what: str) -> None:
        """`announce` another key, `sign` with it, `retire` the one before."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        self.kid = self._hear(what)

    def _hear(self, word: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # it also says what it thinks of its configuration
            said, _, kid = line.strip().partition(" ")
            if said == word:
                return kid
        raise RuntimeError("the provider ended")

    def token(self) -> str:
        """An access token, by the grant of client credentials (RFC 6749, section 4.4)."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.issuer}/token",
            data=f"grant_type=client_credentials&scope=read&resource={AUDIENCE}".encode(),
            headers={"Authorization": f"Basic {CREDENTIALS}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            token: str = json.load(answer)["access_token"]
            return token


@pytest.fixture(scope="module", params=["ES256", "RS256"])
def provider(request: pytest.FixtureRequest, installed: Path) -> Iterator[Provider]:
    with Provider(installed, request.param) as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(backend: Backend, provider: Provider) -> Iterator[Gateway]:
    configuration = f"""
issuers:
  provider:
    issuer: {provider.issuer}
    discovery: true
    audience: {AUDIENCE}
    algorithms: [{provider.algorithm}]
    types: [at+jwt]
    refresh: {{least: 1s, most: 1s, default: 1s, min_refetch: 1s}}
policies:
  reader: {{issuer: provider, require: {{scopes: {{all: [read]}}}}}}
  writer: {{issuer: provider, require: {{scopes: {{all: [write]}}}}}}
upstreams: {{backend: http://{backend.address}}}
routes:
  - {{path: /read/, upstream: backend, policy: reader, staleness: 0, identity: {{X-Client: client_id}}}}
  - {{path: /write/, upstream: backend, policy: writer, staleness: 0}}
workers: 2
"""
    with Gateway(configuration, nginx=find_nginx().path) as gateway:
        yield gateway


def client_of(answer: Response) -> str | None:
    """Who the service was told that it is."""
    headers: list[list[str]] = answer.json()["headers"]
    return next((value for name, value in headers if name.lower() == "x-client"), None)


def test_its_access_tokens_are_let_through_by_what_they_say(gateway: Gateway, provider: Provider) -> None:
    token = provider.token()
    answer = gateway.request("/read/x", token=token)
    assert (answer.status, client_of(answer)) == (200, "service")
    assert gateway.request("/write/x", token=token).status == 403
    head, _, signature = token.rpartition(".")
    forged = f"{head}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    assert gateway.request("/read/x", token=forged).status == 401


def test_its_rotation_refuses_nobody_and_a_retired_key_ends(gateway: Gateway, provider: Provider) -> None:
    before, old = provider.kid, provider.token()
    assert gateway.request("/read/x", token=old).status == 200
    provider.change("announce")
    provider.change("sign")
    assert provider.kid != before
    # At once, whether the new key was fetched already or not; on both workers.
    new = provider.token()
    assert {gateway.request("/read/x", token=token).status for token in (new, old) * 4} == {200}
    provider.change("retire")
    wait_until(lambda: {gateway.request("/read/x", token=old).status for _ in range(6)} == {401}, interval=0.2)
    assert {gateway.request("/read/x", token=new).status for _ in range(6)} == {200}
