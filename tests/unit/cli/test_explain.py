"""`jwtgate explain`: the route that NGINX would choose, and a word of advice for every reason."""

from __future__ import annotations

import pytest

from jwtgate.cli.explain import ADVICE
from jwtgate.config import load_text
from jwtgate.reasons import Reason
from jwtgate.routing import match_route

PLAN = load_text(
    """
version: 1
listen: 8000
upstreams: {app: http://127.0.0.1:1}
routes:
  - {path: /, upstream: app, public: true}
  - {path: /a/, upstream: app, public: true}
  - {path: /a/b/, upstream: app, public: true}
  - {path: /a/exact, upstream: app, public: true}
  - {host: one.example, path: /, upstream: app, public: true}
  - {host: one.example, path: /a/, upstream: app, public: true}
  - {host: "*.example", path: /wild/, upstream: app, public: true}
  - {host: "*.deep.example", path: /deep/, upstream: app, public: true}
""",
    "gateway.yaml",
    {},
).plan


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        (None, "/", (None, "/")),
        (None, "/x", (None, "/")),
        (None, "/a", (None, "/")),
        (None, "/a/", (None, "/a/")),
        (None, "/a/x?y=/a/b/", (None, "/a/")),
        (None, "/a/b/c", (None, "/a/b/")),
        (None, "/a/exact", (None, "/a/exact")),
        (None, "/a/exact/", (None, "/a/")),
        (None, "/a/exact?x", (None, "/a/exact")),
        ("one.example", "/a/", ("one.example", "/a/")),
        ("ONE.example:8080", "/a/", ("one.example", "/a/")),
        ("one.example", "/x", ("one.example", "/")),
        # What a host does not say for itself is as everywhere: NGINX takes the longest.
        ("one.example", "/a/b/c", (None, "/a/b/")),
        ("one.example", "/a/exact", (None, "/a/exact")),
        # A host with a name of its own has nothing of the wildcards.
        ("one.example", "/wild/", ("one.example", "/")),
        ("two.example", "/wild/", ("*.example", "/wild/")),
        ("x.two.example", "/wild/", ("*.example", "/wild/")),
        ("x.deep.example", "/deep/", ("*.deep.example", "/deep/")),
        ("x.deep.example", "/wild/", (None, "/")),
        ("deep.example", "/deep/", (None, "/")),
        ("example", "/wild/", (None, "/")),
        ("elsewhere.test", "/a/", (None, "/a/")),
    ],
)
def test_the_route_is_the_one_that_nginx_chooses(
    host: str | None, path: str, expected: tuple[str | None, str]
) -> None:
    route = match_route(PLAN, host, path)
    assert route is not None
    assert (route.host, route.path) == expected


def test_there_is_advice_for_every_reason() -> None:
    assert ADVICE.keys() == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_advice_is_a_sentence_without_its_full_stop(reason: Reason) -> None:
    assert ADVICE[reason]
    assert not ADVICE[reason].endswith(".")
