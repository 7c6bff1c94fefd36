"""What a terminal shows, from what the gateway says."""

from __future__ import annotations

import io
import json

from rich.console import Console

from jwtgate.cli.view import Sample, duration, picture, readable


def kind(route: str, count: int, **fields: str) -> dict[str, object]:
    """Some requests of a kind."""
    return {"route": route, "policy": "", "reason": "", "cache": "", "count": count} | fields


def sample(at: float, *kinds: dict[str, object], **fields: object) -> Sample:
    """What a gateway with one route and one issuer says."""
    issuer = {"name": "main", "available": True, "keys": 2, "age": 300.0}
    said = {
        "ready": True,
        "missing_issuers": [],
        "counted": True,
        "routes": ["/x/"],
        "kinds": kinds,
        "issuers": [issuer],
    }
    return Sample(at, said | fields)


def shown(before: Sample | None, now: Sample | None, log: list[str] | None = None) -> list[list[str]]:
    """The words of each line."""
    file = io.StringIO()
    Console(file=file, width=100).print(picture("serving", 65.0, before, now, log or [], 40))
    return [line.split() for line in file.getvalue().splitlines()]


BEFORE = sample(
    10.0, kind("/x/", 100, policy="c", cache="MISS"), kind("/x/", 5, policy="c", reason="token_missing")
)
NOW = sample(
    12.0,
    kind("/x/", 110, policy="c", cache="MISS"),
    kind("/x/", 330, policy="c", cache="HIT"),
    kind("/x/", 25, policy="c", reason="token_missing"),
)


def test_rates_are_what_has_been_added_by_the_second() -> None:
    lines = shown(BEFORE, NOW)
    assert lines[0] == ["serving", "·", "65", "s", "·", "ready"]
    assert ["/x/", "180", "10", "465", "75%"] in lines
    assert ["allowed", "170", "440"] in lines
    assert ["token_missing", "10", "25"] in lines
    assert ["main", "2", "5", "min", "ago"] in lines


def test_a_first_picture_has_no_rates_and_a_reload_no_negative_ones() -> None:
    assert ["/x/", "-", "-", "465", "75%"] in shown(None, NOW)
    assert ["/x/", "0", "0", "105", "0%"] in shown(Sample(8.0, NOW.said), BEFORE)


def test_it_says_what_is_missing() -> None:
    assert shown(None, None)[0][-1] == "starting"
    unready = sample(1.0, ready=False, missing_issuers=["main"])
    assert "not ready: no keys of main" in " ".join(shown(None, unready)[0])
    assert ["requests", "are", "not", "counted:", "admin", "is", "off"] in shown(None, sample(1.0, counted=False))


def test_the_access_log_is_told_in_a_few_words() -> None:
    entry = {
        "time": "2026-03-01T10:00:00+00:00",
        "status": 401,
        "method": "GET",
        "path": "/x/",
        "reason": "token_missing",
        "decision_cache": "MISS",
        "duration": "0.012",
    }
    line = json.dumps(entry).replace('{"time": ', '{"time":')
    assert readable(line) == "10:00:00 401 GET /x/ token_missing miss 12 ms"
    assert readable("anything else") == "anything else"
    assert readable('{"time":"broken') == '{"time":"broken'


def test_durations_are_short() -> None:
    assert [duration(seconds) for seconds in (5, 300, 7200, 3 * 86400)] == ["5 s", "5 min", "2 h", "3 d"]
