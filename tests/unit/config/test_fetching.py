"""Where, how and how often an issuer's keys are fetched, from gateway.yaml to the Plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jwtgate.config import load_text
from jwtgate.keys.freshness import Pace
from jwtgate.plan import Discovery, Fetching, JwksUrl

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.plan import Issuer


def issuer(written: str, *, iss: str = "https://idp.example/realms/a", directory: str = "/nowhere") -> Issuer:
    text = f"""
version: 1
listen: 8000
issuers:
  idp: {{issuer: "{iss}", audience: x, algorithms: [ES256], {written}}}
policies:
  p: {{issuer: idp}}
upstreams:
  app: http://127.0.0.1:3000
routes:
  - {{path: /, upstream: app, policy: p}}
"""
    return load_text(text, f"{directory}/gateway.yaml", {"PROXY": "http://u:word@proxy:3128"}).plan.issuers["idp"]


@pytest.mark.parametrize(
    ("written", "urls"),
    [
        (
            "discovery: true",
            (
                "https://idp.example/realms/a/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server/realms/a",
            ),
        ),
        ("discovery: https://meta.example/idp", ("https://meta.example/idp",)),
    ],
)
def test_discovery_names_the_metadata_and_whose_it_must_be(written: str, urls: tuple[str, ...]) -> None:
    assert issuer(written).keys == Discovery("https://idp.example/realms/a", urls)


def test_discovery_on_this_machine_needs_no_tls() -> None:
    given = issuer("discovery: true", iss="http://127.0.0.1:3000")
    assert isinstance(given.keys, Discovery)


def test_discovery_over_plain_http_needs_its_word() -> None:
    given = issuer("discovery: true, insecure_http: true", iss="http://idp:3000")
    assert isinstance(given.keys, Discovery)


def test_what_is_not_written_has_the_defaults_of_the_plan() -> None:
    given = issuer("jwks: https://idp.example/jwk, fetch: {}, refresh: {}")
    assert given.keys == JwksUrl("https://idp.example/jwk", Fetching())
    assert given.pace == Pace()
    assert given.start == "degrade"


@pytest.mark.parametrize("source", ["jwks: https://idp.example/jwk", "discovery: true"])
def test_each_setting_of_a_fetch_arrives(tmp_path: Path, source: str) -> None:
    for name in ("ca.pem", "client.crt", "client.key"):
        (tmp_path / name).touch()
    given = issuer(
        f"{source}, fetch: {{connect_timeout: 2s, timeout: 20s, max_bytes: 64k, max_keys: 7, ca_file: ca.pem, "
        "client_certificate: client.crt, client_key: client.key, proxy: '${PROXY}', headers: {X-Api-Key: word}}",
        directory=str(tmp_path),
    )
    assert isinstance(given.keys, JwksUrl | Discovery)
    assert given.keys.fetching == Fetching(
        connect_timeout=2,
        total_timeout=20,
        max_bytes=65536,
        max_keys=7,
        ca_file=tmp_path / "ca.pem",
        client_certificate=tmp_path / "client.crt",
        client_key=tmp_path / "client.key",
        proxy="http://u:word@proxy:3128",
        headers=(("X-Api-Key", "word"),),
    )
    assert "word" not in repr(given)


def test_each_setting_of_a_refresh_arrives() -> None:
    given = issuer(
        "jwks: https://idp.example/jwk, start: require, "
        "refresh: {least: 1s, most: 2m, default: 30s, min_refetch: 1s, max_stale: 1h}"
    )
    assert given.pace == Pace(least=1, most=120, default=30, min_refetch=1, max_stale=3600)
    assert given.start == "require"
