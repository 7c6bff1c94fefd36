"""The metrics of single keys: what they say, and that there are never too many of them."""

from __future__ import annotations

from jwtgate.control.key_metrics import key_times, keys_left_out
from jwtgate.jwks import IssuerView, KeyView


def key(kid: str | None, *, used: float | None = None, thumbprint: str | None = "print") -> KeyView:
    return KeyView(kid=kid, algorithms=("PS256", "RS256"), thumbprint=thumbprint, first_seen=100.0, last_used=used)


def issuer(*keys: KeyView, name: str = "idp") -> IssuerView:
    return IssuerView(
        name=name,
        issuer="https://idp.example",
        tenants=0,
        source="https://idp.example/jwks",
        available=True,
        keys=keys,
        origin="fetched",
    )


def test_a_key_is_told_by_what_it_is_and_only_once_it_was_used() -> None:
    views = [issuer(key("old", used=200.0), key("new")), issuer(key(None, thumbprint=None), name="hs")]
    assert dict(key_times(views, lambda each: each.last_used)) == {("idp", "old", "PS256,RS256", "print"): 200.0}
    assert dict(key_times(views, lambda each: each.first_seen)) == {
        ("idp", "old", "PS256,RS256", "print"): 100.0,
        ("idp", "new", "PS256,RS256", "print"): 100.0,
        ("hs", "", "PS256,RS256", ""): 100.0,
    }


def test_keys_that_no_label_tells_apart_are_one_series() -> None:
    """Prometheus refuses a scrape that has a series twice."""
    twice = issuer(key("a", used=300.0), key("a", used=200.0), key("a"))
    assert list(key_times([twice], lambda each: each.last_used)) == [(("idp", "a", "PS256,RS256", "print"), 300.0)]


def test_too_many_keys_of_one_issuer_leave_room_for_those_of_the_others() -> None:
    views = [issuer(*(key(f"{number}") for number in range(150))), issuer(key("a"), name="other")]
    told = dict(key_times(views, lambda each: each.first_seen))
    assert [sum(labels[0] == name for labels in told) for name in ("idp", "other")] == [100, 1]
    assert keys_left_out(views) == 50


def test_there_is_a_bound_for_all_keys_together() -> None:
    keys = tuple(key(f"{number}") for number in range(100))
    views = [issuer(*keys, name=f"{number}") for number in range(101)]
    assert len(dict(key_times(views, lambda each: each.first_seen))) == 10_000
    assert keys_left_out(views) == 100
