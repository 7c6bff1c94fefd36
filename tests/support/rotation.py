"""A signer that rotates while clients send as fast as they can, and what they are answered.

The signer follows a schedule that everybody knows: which key signs when, and which are published when. So a client
can sign for itself, and knows of each token what the answer must be.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from jwtgate.keys import SigningKey, generate_signing_key, load_signing_key, serialise_signing_key
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from types import TracebackType

URL = "https://rotating.example"
AUDIENCE = "services"


@dataclass(frozen=True, slots=True)
class Schedule:
    """`keys[n]` signs for `period` seconds from `start + n * period` on; the first one already before.

    It is published `ahead` of that, and until the last token that it signed has ended. All times are Unix seconds.
    """

    keys: tuple[SigningKey, ...]
    start: float
    period: float = 5.0
    ahead: float = 4.0
    lifetime: float = 12.0  # of a token

    def turn(self, now: float) -> int:
        """The number of the key that signs."""
        return min(max(0, int((now - self.start) // self.period)), len(self.keys) - 1)

    def published(self, now: float) -> list[SigningKey]:
        """The keys of the JWKS."""
        return [
            key
            for number, key in enumerate(self.keys)
            if (number == 0 or self.start + number * self.period - self.ahead <= now)
            and now < self.start + (number + 1) * self.period + self.lifetime + 1
        ]

    def starting_at(self, start: float) -> Schedule:
        """The same keys, at another time."""
        return replace(self, start=start)

    def serialise(self) -> str:
        """As text, for another process."""
        keys = [serialise_signing_key(key, None).decode() for key in self.keys]
        return json.dumps([keys, self.start, self.period, self.ahead, self.lifetime])

    @staticmethod
    def parse(text: str) -> Schedule:
        """The schedule that `serialise` wrote."""
        keys, start, period, ahead, lifetime = json.loads(text)
        return Schedule(
            tuple(load_signing_key(key.encode(), "ES256", None) for key in keys), start, period, ahead, lifetime
        )


def make_schedule(start: float, rotations: int) -> Schedule:
    """So many rotations, the first of them a period after `start`."""
    return Schedule(tuple(generate_signing_key("ES256") for _ in range(rotations + 1)), start)


class RotatingIssuer:
    """Publishes what the schedule says, for a second at a time. `fetches` counts who asked."""

    def __init__(self) -> None:
        self.schedule: Schedule | None = None
        self.fetches = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                keys = issuer.schedule.published(time.time()) if issuer.schedule else []
                body = json.dumps({"keys": [key.public_jwk() for key in keys]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "max-age=1")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def jwks_url(self) -> str:
        """Where the key set is."""
        return f"http://127.0.0.1:{self._server.server_port}/jwks"

    def settings(self) -> str:
        """What stands in gateway.yaml about it."""
        return (
            f"{{issuer: {URL}, jwks: {self.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256], leeway: 0s, "
            "refresh: {least: 1s, min_refetch: 1s}}"
        )


@dataclass(slots=True)
class Answers:
    """What a client was answered. `took`: (Unix time at which it was sent, seconds), for each request;
    `wrong`: (the same time, what was wrong)."""

    took: list[tuple[float, float]] = field(default_factory=list)
    by_kind: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[float, str]] = field(default_factory=list)


def send(schedule: Schedule, address: str, until: float, *, seed: int = 0) -> Answers:
    """Send requests one after the other until then: fresh tokens, old ones, and some that must be refused."""
    client = _Client(schedule, random.Random(seed))  # noqa: S311 - it picks among test tokens
    connection = http.client.HTTPConnection(address, timeout=20)
    answers = Answers()
    while (now := time.time()) < until:
        kind, token, expected = client.next(now)
        began = time.perf_counter()
        connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        answers.took.append((now, time.perf_counter() - began))
        answers.by_kind[kind] = answers.by_kind.get(kind, 0) + 1
        if answer.status != expected:
            turn = schedule.turn(now)
            when = f"{now - schedule.start:.3f} s, key {turn}"
            told = f"{when}: {kind} token was answered {answer.status}, expected {expected}"
            answers.wrong.append((now, told))
    connection.close()
    return answers


class _Client:
    """Makes tokens, and remembers them until they are too near to their end."""

    def __init__(self, schedule: Schedule, dice: random.Random) -> None:
        self._schedule = schedule
        self._dice = dice
        self._stranger = generate_signing_key("ES256")
        self._old: deque[tuple[float, int, str]] = deque()  # end, number of the key, token
        self._turns = itertools.count()

    def next(self, now: float) -> tuple[str, str, int]:
        """What is sent next: its kind, the token, the status that it must be answered with."""
        turn = next(self._turns)
        while self._old and self._old[0][0] < now + 2:
            self._old.popleft()
        if turn % 20 == 19:
            # The kid of the key that signs, and somebody else's signature.
            named = self._schedule.keys[self._schedule.turn(now)].kid
            return "forged", self._mint(now, replace(self._stranger, kid=named)), 401
        if turn % 2 and self._old:
            # Of what is left, mostly signed by the keys before this one.
            return "old", self._old[self._dice.randrange((len(self._old) + 1) // 2)][2], 200
        number = self._schedule.turn(now)
        token = self._mint(now, self._schedule.keys[number])
        if turn % 10 == 0:
            self._old.append((now + self._schedule.lifetime, number, token))
        return "fresh", token, 200

    def _mint(self, now: float, key: SigningKey) -> str:
        claims = {
            "iss": URL,
            "aud": AUDIENCE,
            "sub": "alice",
            "jti": f"{now}-{self._dice.random()}",
            "iat": int(now),
            "exp": now + self._schedule.lifetime,
        }
        return mint(claims, key)
