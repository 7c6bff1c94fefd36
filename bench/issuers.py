"""What a thousand issuers cost: the start, and each request.

    python -m bench.issuers [--issuers 1000] [--rounds 5] [--output docs/benchmarks/issuers.md]

Each figure is taken with one issuer and with many, in turn, and what counts is the ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.load import Tokens, run
from bench.machine import in_short
from bench.processes import cpu_seconds, tree
from jwtgate.authenticate import Allow, Authenticator, Credential
from jwtgate.config import load_text
from jwtgate.jwks import KeyStore
from jwtgate.keys import generate_signing_key, read_jwks
from jwtgate.nginx import find_nginx
from jwtgate.tokens import VerifiedTokens, mint

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.backend import Backend
from support.gateway import Gateway, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jwtgate.keys import KeySet, SigningKey

AUDIENCE = "services"
KEY = generate_signing_key("ES256")
_CONNECTIONS = 8
_TOKENS = 200_000  # signed beforehand: none is sent twice to a gateway

_NOTES = """\
`jwtgate up` serves when NGINX and all validators answer by the new configuration; its CPU is that of all its
processes by then. Of a single issuer the first fetch may have begun by then. Of more than 16 issuers none is
asked unasked in the first 2 s, and 50 in a second after that: what these fetches cost, in both workers, is in the
rows that end with the keys of all, and in none else. Goals: a start and a request within 10 %, and with keys on
disk the first token within 2 s of the command (that it takes a tenth of a second more with many issuers is told by
the ratio, and has no goal of its own).

A token that is remembered takes a few microseconds, of which reading what its issuer requires is a part. What one
issuer requires stays in the nearest cache of the processor, what a thousand require does not, the less so the
more else runs there: this ratio was 1.02 to 1.08 in six runs on a quiet machine, and up to 1.29 on a busy one.
What issuers have in common (algorithms, audience) is one object for all of them.
"""


def main() -> None:
    """Measure, print, and write the page if it is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--issuers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    counts = (1, options.issuers)
    rows = [
        *_in_process(counts, options.rounds),
        *_starts(counts, options.rounds),
        *_gateways(counts, options.rounds, options.seconds),
    ]
    text = _page(rows, options.issuers, options.rounds)
    print(text)
    if options.output is not None:
        options.output.write_text(text)


@dataclass(slots=True)
class Row:
    """A figure, with one issuer and with many: samples that were taken in turn."""

    name: str
    unit: str
    samples: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    @property
    def one(self) -> float:
        """With one issuer."""
        return statistics.median(self.samples[0])

    @property
    def many(self) -> float:
        """With many."""
        return statistics.median(self.samples[1])


def _in_turn(name: str, unit: str, rounds: int, measure: Sequence[Callable[[], float]]) -> Row:
    row = Row(name, unit)
    for _ in range(rounds):
        row.samples[0].append(measure[0]())
        row.samples[1].append(measure[1]())
    return row


# In this process


def _in_process(counts: tuple[int, int], rounds: int) -> Iterator[Row]:
    texts = [_configuration(count, "http://127.0.0.1:1", "127.0.0.1:2") for count in counts]

    def loading(text: str) -> float:
        began = time.process_time()
        load_text(f"version: 1\n{text}", "gateway.yaml", {}, cpu_count=2)
        return (time.process_time() - began) * 1e3

    yield _in_turn(
        "gateway.yaml → Plan", "ms of CPU", rounds, [lambda: loading(texts[0]), lambda: loading(texts[1])]
    )
    plans = [load_text(f"version: 1\n{text}", "gateway.yaml", {}, cpu_count=2).plan for text in texts]

    def starting(number: int) -> float:
        began = time.process_time()
        KeyStore(plans[number].issuers.values())
        Authenticator(plans[number], VerifiedTokens(0))
        return (time.process_time() - began) * 1e3

    yield _in_turn(
        "Plan → key store and authenticator", "ms of CPU", rounds, [lambda: starting(0), lambda: starting(1)]
    )

    keyset = read_jwks(json.dumps({"keys": [KEY.public_jwk()]}).encode())
    # Whose tokens are sent: those of one issuer, of which there are few or many beside it; those of all, in turn.
    for of, senders in (("one issuer", (1, 1)), ("all issuers in turn", counts)):
        for memory, state in ((0, "new"), (1 << 24, "remembered")):
            deciding = [
                partial(
                    _decide,
                    Authenticator(plan, VerifiedTokens(memory)),
                    dict.fromkeys(plan.issuers, keyset),
                    next(iter(plan.policies)),
                    [Credential(_token(number % count, KEY, number)) for number in range(500)],
                )
                for plan, count in zip(plans, senders, strict=True)
            ]
            for each in deciding:
                each()
            yield _in_turn(f"authenticate: tokens of {of}, {state}", "us of CPU", 6 * rounds, deciding)


def _decide(decide: Authenticator, held: dict[str, KeySet], policy: str, sent: Sequence[Credential]) -> float:
    now, began = time.time(), time.process_time()
    for credential in sent:
        assert isinstance(decide(held, policy, credential, now), Allow)
    return (time.process_time() - began) / len(sent) * 1e6


# Through the gateway


def _starts(counts: tuple[int, int], rounds: int) -> Iterator[Row]:
    """From the command to the line that says that it serves, to the keys of all issuers, to the first answer."""
    nginx = find_nginx().path
    with Backend() as backend, _Issuers() as issuers:
        texts = [_configuration(count, issuers.url, backend.address) for count in counts]
        name = "`jwtgate up` until it serves"
        wall, cpu = Row(name, "s"), Row(name, "s of CPU")
        for number in (0, 1) * 2 * rounds:  # cheap, and the noisiest
            began = time.perf_counter()
            with Gateway(texts[number], nginx=nginx) as gateway:
                wall.samples[number].append(time.perf_counter() - began)
                cpu.samples[number].append(cpu_seconds(tree(gateway.pid)))
        yield from (wall, cpu)

    with Backend() as backend, ExitStack() as stopped:
        name = "`jwtgate up` until it has the keys of all issuers (once)"
        wall, cpu = Row(name, "s"), Row(name, "s of CPU")
        gateways = []
        for number, count in enumerate(counts):
            began = time.perf_counter()
            gateway, spent = _kept(count, backend, nginx, stopped)
            wall.samples[number].append(time.perf_counter() - began)
            cpu.samples[number].append(spent)
            gateways.append(gateway)
        yield from (wall, cpu)

        def first_token(number: int) -> float:
            gateway = gateways[number]
            token = _token(counts[number] - 1, KEY, number)
            began = time.perf_counter()
            gateway.start()
            answer = gateway.request("/", token=token)
            took = time.perf_counter() - began
            gateway.stop()
            if answer.status != HTTPStatus.OK:
                raise SystemExit(f"{answer}: these figures say nothing")
            return took

        name = "`jwtgate up`, issuers down, keys on disk: until the first token is let through"
        yield _in_turn(name, "s", rounds, [partial(first_token, 0), partial(first_token, 1)])


def _kept(count: int, backend: Backend, nginx: Path, stopped: ExitStack) -> tuple[Gateway, float]:
    """A gateway that has stopped, as have its issuers since it had all their keys; its CPU seconds until then."""
    with _Issuers() as issuers:
        text = _configuration(count, issuers.url, backend.address) + "state_dir: state\n"
        gateway = stopped.enter_context(Gateway(text, nginx=nginx))
        kept = gateway.work / "state" / "keys"
        wait_until(lambda: len(list(kept.glob("*.json"))) == count, patience=120, interval=0.1)
        spent = cpu_seconds(tree(gateway.pid))
        gateway.stop()
    return gateway, spent


def _gateways(counts: tuple[int, int], rounds: int, seconds: int) -> Iterator[Row]:
    nginx = find_nginx().path
    with Backend() as backend, tempfile.TemporaryDirectory() as directory:
        # Of one issuer for each gateway, then of all of the larger one's.
        files = []
        for count in (1, counts[1]):
            file = Path(directory) / f"{count}"
            file.write_text("\n".join(_token(number % count, KEY, number) for number in range(_TOKENS)))
            files.append(file)
        # All keys are there from the start: no fetch is in the figures of requests.
        few, lots = (_configuration(count, None, backend.address) for count in counts)
        with Gateway(few, nginx=nginx) as one, Gateway(lots, nginx=nginx) as many:
            gateways = (one, many)
            used: dict[tuple[int, int], int] = {}

            def asking(number: int, sent: int) -> float:
                gateway, offset = gateways[number], used.get((number, sent), 0)
                before = cpu_seconds(tree(gateway.pid))
                load = run(
                    f"http://{gateway.address}/",
                    Tokens(files[sent], distinct=_TOKENS, fresh=True),
                    connections=_CONNECTIONS,
                    seconds=seconds,
                    offset=offset,
                )
                spent = cpu_seconds(tree(gateway.pid)) - before
                used[number, sent] = offset + load.requests + 2 * _CONNECTIONS
                if load.failed or load.refused or used[number, sent] > _TOKENS:
                    raise SystemExit(f"{load}, {used}: these figures say nothing")
                return spent / load.requests * 1e6

            for of, sent in (("one issuer", 0), ("all issuers in turn", 1)):
                yield _in_turn(
                    f"a request through the gateway: tokens of {of}, new",
                    "us of CPU",
                    rounds,
                    [partial(asking, 0, 0), partial(asking, 1, sent)],
                )
            idle = [partial(_idle, one), partial(_idle, many)]
            yield _in_turn("the gateway without any request", "ms of CPU a second", rounds, idle)


def _idle(gateway: Gateway) -> float:
    before = cpu_seconds(tree(gateway.pid))
    time.sleep(10)
    return (cpu_seconds(tree(gateway.pid)) - before) * 100


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A gateway that is stopped breaks its connections off."""


class _Issuers:
    """A server with a key set for each issuer, all of the one key that signs here."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = json.dumps({"keys": [KEY.public_jwk()]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "max-age=3600")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _configuration(count: int, keys: str | None, backend: str) -> str:
    names = [f"issuer-{number}" for number in range(count)]
    inline = f"keys: [{json.dumps(KEY.public_jwk())}]"
    issuers = "".join(
        f"  {name}: {{issuer: https://{name}.example, {inline if keys is None else f'jwks: {keys}/{name}'}, "
        f"audience: {AUDIENCE}, algorithms: [ES256]}}\n"
        for name in names
    )
    return (
        f"issuers:\n{issuers}policies:\n  caller: {{issuers: [{', '.join(names)}]}}\n"
        f"upstreams: {{backend: http://{backend}}}\n"
        "routes: [{path: /, upstream: backend, policy: caller}]\nworkers: 2\nadmin: off\n"
    )


def _token(issuer: int, key: SigningKey, number: int) -> str:
    now = int(time.time())
    claims = {"iss": f"https://issuer-{issuer}.example", "aud": AUDIENCE, "sub": "alice", "jti": str(number)}
    return mint({**claims, "iat": now, "exp": now + 3600}, key)


def _page(rows: Sequence[Row], count: int, rounds: int) -> str:
    lines = [
        f"# What {count:,} issuers cost",
        "",
        "Each figure with one issuer and with many, all trusted by one policy. For the starts they have URLs",
        "of their own; for the requests their keys stand in gateway.yaml, so that no fetch is in the figures.",
        f"Medians of {rounds} rounds or more, in which the two take turns, but where it says once.",
        "",
        f"| | 1 issuer | {count:,} issuers | ratio |",
        "| --- | --- | --- | --- |",
        *(
            f"| {row.name} | {row.one:.3g} {row.unit} | {row.many:.3g} {row.unit} | {row.many / row.one:.2f} |"
            for row in rows
        ),
        "",
        _NOTES,
        f"{in_short()}.",
        "Made by `python -m bench.issuers --output docs/benchmarks/issuers.md`.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
