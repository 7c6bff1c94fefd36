"""Trace context (https://www.w3.org/TR/trace-context/): what of it reaches services, and the log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.stand_alone import StandAlone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOD = f"00-{TRACE}-00f067aa0ba902b7-01"
MADE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")

BAD = {
    "upper case": GOOD.upper(),
    "no trace": f"00-{'0' * 32}-00f067aa0ba902b7-01",
    "no parent": f"00-{TRACE}-{'0' * 16}-01",
    "version ff": f"ff-{TRACE}-00f067aa0ba902b7-01",
    "short": GOOD[:-1],
    "version 00 and more": GOOD + "-x",
    "with a line feed's escape": GOOD + "%0a",
    "nonsense": "x",
}


@pytest.fixture(scope="module", params=["forward", "generate", "replace"])
def mode(request: pytest.FixtureRequest) -> str:
    """How trace context is treated."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def gate(nginx: Path, backend: Backend, mode: str) -> Iterator[StandAlone]:
    """NGINX with a public route."""
    text = f"""
traceparent: {mode}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, public: true}}]
"""
    with StandAlone(text, nginx=nginx) as alone:
        yield alone


def got(answer: Response, name: str) -> list[str]:
    """What the service got for a header."""
    return [value for header, value in answer.json()["headers"] if header == name]


@pytest.mark.parametrize("given", [GOOD, "cc" + GOOD[2:], "cc" + GOOD[2:] + "-what-comes-later"])
def test_a_good_trace_is_passed_on_unless_it_is_replaced(gate: StandAlone, mode: str, given: str) -> None:
    answer = gate.request("/x", headers={"traceparent": given, "tracestate": "vendor=1"})
    (trace,) = got(answer, "traceparent")
    if mode == "replace":
        assert trace != given
        assert MADE.fullmatch(trace)
        assert got(answer, "tracestate") == []
    else:
        assert trace == given
        assert got(answer, "tracestate") == ["vendor=1"]
    entry = gate.logged(answer.headers["x-request-id"])
    assert entry["trace_id"] == trace[3:35]


@pytest.mark.parametrize("given", [*BAD.values(), None], ids=[*BAD, "none"])
def test_no_other_trace_reaches_a_service(gate: StandAlone, mode: str, given: str | None) -> None:
    headers = {"tracestate": "vendor=1"} | ({"traceparent": given} if given is not None else {})
    answer = gate.request("/x", headers=headers)
    traces = got(answer, "traceparent")
    assert got(answer, "tracestate") == []
    assert len(traces) == (0 if mode == "forward" else 1)
    assert all(MADE.fullmatch(trace) for trace in traces)
    entry = gate.logged(answer.headers["x-request-id"])
    assert entry["trace_id"] == "".join(trace[3:35] for trace in traces)


def test_of_two_traces_at_most_one_is_passed_on(gate: StandAlone) -> None:
    other = GOOD.replace("4", "5")
    answer = gate.request("/x", headers=[("traceparent", GOOD), ("traceparent", other)])
    assert len(got(answer, "traceparent")) <= 1


def test_each_request_has_a_trace_of_its_own(gate: StandAlone, mode: str) -> None:
    traces = [trace for _ in range(3) for trace in got(gate.request("/x"), "traceparent")]
    assert len(set(traces)) == (0 if mode == "forward" else 3)
