"""Tokens issued while keys rotate and signers are killed: does every token that a client received verify, twice?

Two signers share a database. A gateway sends clients to both, and fetches their keys as a stranger would, through
itself. Clients do what clients do: whatever is no token, they ask for again.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from jwtgate.signer.clients import Client, add_client
from jwtgate.signer.store import open_store
from support.gateway import Gateway, wait_until
from support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jwtgate.plan import SignerPlace

ISSUER = "https://signer.example"
LIFETIME = 120  # seconds that a token holds
PATIENCE = 20.0  # seconds in which a request must have come to something


@dataclass(frozen=True)
class Plan:
    """How much of what. Times are seconds."""

    tokens: int
    rotate_every: int
    kill_every: float
    threads: int = 4
    most_seconds: float = 3600.0  # the end, even if there are fewer tokens by then
    pause: float = 0.0  # between two tokens of a client: few tokens still live through rotations
    again_after: float = 20.0  # a token is verified when it comes, and once more so much later


@dataclass
class Outcome:
    """What happened."""

    seconds: float = 0.0
    received: int = 0
    verified: int = 0  # each token counts twice
    kills: int = 0
    keys: set[str] = field(default_factory=set)  # that signed a token
    retries: Counter[str] = field(default_factory=Counter)  # of requests that came to nothing
    refused: list[str] = field(default_factory=list)  # tokens that the gateway did not let through, and why
    repeated: int = 0  # jti or status list indexes that came twice


def play(plan: Plan, place: SignerPlace, work: Path, nginx: Path, environment: dict[str, str]) -> Outcome:
    """Run it to its end. `environment` has the database's URL as DATABASE, unless the place is a directory."""
    first = free_ports(3)
    signers = [_SignerProcess(first + number, plan, place, work, environment) for number in range(2)]
    outcome = Outcome()
    for signer in signers:
        signer.start()
    try:
        store = open_store(place)
        secret = add_client(store, Client("load", time.time()), secret=True)
        with Gateway(_configuration(first), nginx=nginx, listen=f"127.0.0.1:{first + 2}") as gateway:
            run = _Run(plan, gateway.address, f"load:{secret}", outcome)
            with _killed(signers, plan.kill_every, outcome):
                run.play()
        store.close()
    finally:
        for signer in signers:
            signer.stop()
    return outcome


def _configuration(port: int) -> str:
    return f"""
issuers:
  signer:
    issuer: {ISSUER}
    jwks: http://127.0.0.1:{port + 2}/signer/jwk
    audience: services
    algorithms: [ES256]
    unsafe_ignore_status: true
    refresh: {{least: 1s, most: 60s, min_refetch: 1s}}
policies:
  caller: {{issuer: signer}}
upstreams:
  signers: [http://127.0.0.1:{port}, http://127.0.0.1:{port + 1}]
routes:
  - {{path: /signer/, upstream: signers, strip_prefix: true, public: true}}
  - {{path: /checked/, upstream: signers, strip_prefix: true, policy: caller}}
"""


class _SignerProcess:
    def __init__(self, port: int, plan: Plan, place: SignerPlace, work: Path, environment: dict[str, str]) -> None:
        where = ["--database-env", "DATABASE"] if place.key_dir is None else ["--key-dir", str(place.key_dir)]
        self._command = [
            *(sys.executable, "-m", "jwtgate", "signer", "run", "--issuer", ISSUER, "--audience", "services"),
            *(*where, "--listen", f"127.0.0.1:{port}", "--jwks-max-age", "2s"),
            *("--rotation", f"{plan.rotate_every}s", "--token-lifetime", f"{LIFETIME}s"),
        ]
        self._environment = environment
        self._said = work / f"signer-{port}.log"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(self._command, stdout=said, stderr=said, env=self._environment)
        wait_until(self.answers, patience=60, interval=0.1)

    def answers(self) -> bool:
        connection = _Connection(f"127.0.0.1:{self._port}", patience=5)
        with contextlib.closing(connection):
            return connection.send("GET", "/ready", {})[0] == 200

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)


@contextlib.contextmanager
def _killed(signers: list[_SignerProcess], every: float, outcome: Outcome) -> Iterator[None]:
    """Kill one after the other, and start it again, while the block runs."""
    over = threading.Event()

    def kill() -> None:
        for signer in itertools.cycle(signers):
            if over.wait(every):
                return
            signer.kill()
            outcome.kills += 1
            signer.start()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class _Run:
    """The clients."""

    _FORM = b"grant_type=client_credentials"

    def __init__(self, plan: Plan, address: str, credentials: str, outcome: Outcome) -> None:
        self._plan = plan
        self._address = address
        self._outcome = outcome
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(credentials.encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._lock = threading.Lock()
        self._left = plan.tokens
        self._end = time.monotonic() + plan.most_seconds
        self._seen: set[object] = set()

    def play(self) -> None:
        begin = time.monotonic()
        threads = [threading.Thread(target=self._client) for _ in range(self._plan.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._outcome.seconds = time.monotonic() - begin

    def _client(self) -> None:
        with contextlib.closing(_Connection(self._address)) as connection:
            self._use(connection)

    def _use(self, connection: _Connection) -> None:
        waiting: deque[tuple[float, str]] = deque()
        while self._take():
            token = self._ask(connection)
            self._remember(token)
            self._verify(connection, token)
            waiting.append((time.monotonic() + self._plan.again_after, token))
            time.sleep(self._plan.pause)
            while waiting and waiting[0][0] <= time.monotonic():
                self._verify(connection, waiting.popleft()[1])
        for at, token in waiting:
            time.sleep(max(0.0, at - time.monotonic()))
            self._verify(connection, token)

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0 and time.monotonic() < self._end

    def _ask(self, connection: _Connection) -> str:
        for _ in self._tries("token"):
            status, body = connection.send(
                "POST", "/signer/token", self._headers, b"grant_type=client_credentials"
            )
            if status == 200:
                token: str = json.loads(body)["access_token"]
                return token
            self._count(f"token {status}")
        raise AssertionError

    def _verify(self, connection: _Connection, token: str) -> None:
        for _ in self._tries("verification"):
            status, body = connection.send("GET", "/checked/health", {"Authorization": f"Bearer {token}"})
            if status == 200:
                with self._lock:
                    self._outcome.verified += 1
                return
            if status in (0, 502, 504):  # the service behind the gateway, which is a signer, was killed
                self._count(f"verification {status}")
                continue
            with self._lock:
                self._outcome.refused.append(f"{status} {json.loads(body).get('request_id')}")
            return

    def _remember(self, token: str) -> None:
        payload = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        header = token.split(".")[0]
        kid = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
        with self._lock:
            self._outcome.received += 1
            self._outcome.keys.add(kid)
            for one in (claims["jti"], claims["status"]["status_list"]["idx"]):
                self._outcome.repeated += one in self._seen
                self._seen.add(one)

    def _count(self, what: str) -> None:
        with self._lock:
            self._outcome.retries[what] += 1

    @staticmethod
    def _tries(what: str) -> Iterator[None]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            yield
            time.sleep(0.05)
        raise TimeoutError(f"no {what} within {PATIENCE} s")


class _Connection:
    """A connection that is kept alive. A request on which it breaks is answered with status 0."""

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        self._connection = HTTPConnection(address, timeout=patience)

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            self._connection.close()  # the next request opens it again
            return 0, b""

    def close(self) -> None:
        """It is not needed any more."""
        self._connection.close()
