from __future__ import annotations

import pytest

from jwtgate.jwks.lifetime import lifetime, retry_after

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
A_MINUTE_LATER = "Sun, 06 Nov 1994 08:50:37 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"cache-control": "public"}, None, id="nothing about time said"),
        pytest.param({"cache-control": "max-age=300"}, 300, id="max-age"),
        pytest.param(
            {"cache-control": "public, MAX-AGE=300, must-revalidate"}, 300, id="among others, upper case"
        ),
        pytest.param({"cache-control": 'max-age="300"'}, 300, id="quoted"),
        pytest.param({"cache-control": "max-age=300, max-age=1"}, 300, id="the first of two"),
        pytest.param({"cache-control": "max-age=300", "age": "100"}, 200, id="less its age"),
        pytest.param({"cache-control": "max-age=300", "age": "1000"}, 0, id="older than its max-age"),
        pytest.param({"cache-control": "max-age=300", "age": "soon"}, 300, id="an age that is no number"),
        pytest.param({"cache-control": "max-age=60, s-maxage=600"}, 600, id="s-maxage wins"),
        pytest.param({"cache-control": "max-age=-1"}, 0, id="invalid: stale"),
        pytest.param({"cache-control": "max-age=\u0661"}, 0, id="a digit of another script: stale"),
        pytest.param({"cache-control": "max-age=" + "9" * 5000}, 2**31, id="too large to hold"),
        pytest.param({"cache-control": "no-store"}, 0, id="no-store"),
        pytest.param({"cache-control": "no-cache, max-age=300"}, 0, id="no-cache"),
        pytest.param({"cache-control": "max-age=300", "expires": "0"}, 300, id="max-age before Expires"),
        pytest.param({"date": DATE, "expires": A_MINUTE_LATER}, 60, id="Expires against Date"),
        pytest.param({"date": DATE, "expires": A_MINUTE_LATER, "age": "20"}, 40, id="Expires less Age"),
        pytest.param({"date": A_MINUTE_LATER, "expires": DATE}, 0, id="Expires in the past"),
        pytest.param({"date": DATE, "expires": "0"}, 0, id="Expires invalid"),
        pytest.param({"expires": A_MINUTE_LATER}, None, id="Expires without Date"),
    ],
)
def test_the_lifetime_is_what_the_headers_say(headers: dict[str, str], expected: float | None) -> None:
    assert lifetime(headers) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("120", 120), ("0", 0), (DATE, None), ("-1", None), ("", None), (None, None)]
)
def test_retry_after_is_read_in_seconds_only(value: str | None, expected: float | None) -> None:
    assert retry_after({} if value is None else {"retry-after": value}) == expected
