"""Each file in tests/bad_configs is wrong, and the text beside it is the whole of what a person is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from jwtgate.config import load_text
from jwtgate.errors import ConfigError

DIRECTORY = Path(__file__).parents[2] / "bad_configs"
FILES = sorted(DIRECTORY.glob("*.yaml"))

ENVIRONMENT = {
    "BAD_BASE64": "base64:not base64",
    "JWKS_PASSWORD": "hunter2",
    "LONG_SECRET": "correct horse battery staple, and then some more of it, 64 bytes",
    "NAME_LIKE_SECRET": "abcdefghijklmnopqrstuvwxyz_0123456789",
    "PEM_SECRET": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
    "SHORT_SECRET": "only thirty one bytes are here.",
}


def told(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(path.read_text(), path.name, ENVIRONMENT)
    return str(caught.value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_configuration_is_explained(path: Path) -> None:
    assert told(path) + "\n" == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_value_of_the_environment_appears_in_what_is_told(path: Path) -> None:
    assert [value for value in ENVIRONMENT.values() if value in told(path)] == []


def test_every_expectation_has_its_file() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.txt")} == {path.stem for path in FILES}
