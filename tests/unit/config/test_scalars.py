from __future__ import annotations

import math

import pytest

from jwtgate.config.scalars import plain_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("no", "no"),
        ("y", "y"),
        ("10", 10),
        ("-10", -10),
        ("+10", 10),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("12:30:45", "12:30:45"),
        ("2001-01-01", "2001-01-01"),
        ("1.2.3", "1.2.3"),
        ("10s", "10s"),
        ("-", "-"),
        (".", "."),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_plain_scalar_has_its_yaml_1_2_type(text: str, value: object) -> None:
    scalar = plain_scalar(text)
    assert (scalar, type(scalar)) == (value, type(value))


def test_nan_is_a_float() -> None:
    assert math.isnan(float(plain_scalar(".nan") or 0))
