"""Where, how and how often an issuer's keys are fetched, from gateway.yaml to the Plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from jwtgate.config import load_text
from jwtgate.errors import ConfigError
from jwtgate.keys import generate_signing_key
from jwtgate.keys.freshness import Pace
from jwtgate.plan import Discovery, Fetching, JwksUrl
from support.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.config import Loaded
    from jwtgate.plan import Issuer
    from support.certificates import Pair


ENVIRONMENT = {"PROXY": "http://u:word@proxy:3128", "API_KEY": "word"}
FETCHED = "jwks: https://idp.example/jwk"


def issuer(written: str, *, iss: str = "https://idp.example/realms/a", directory: str = "/nowhere") -> Issuer:
    return loaded(written, iss=iss, directory=directory).plan.issuers["idp"]


def loaded(written: str, *, iss: str = "https://idp.example/realms/a", directory: str = "/nowhere") -> Loaded:
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
    return load_text(text, f"{directory}/gateway.yaml", ENVIRONMENT)


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
    authority = Authority(tmp_path, "ca")
    authority.issue("client")
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


def problems(written: str, directory: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(written, directory=str(directory))
    return str(caught.value)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A certificate and its key, and another authority's beside them."""
    Authority(tmp_path, "another").issue("stranger")
    return Authority(tmp_path, "ca").issue("client")


def test_a_certificate_and_its_key_may_stand_in_one_file(tmp_path: Path, pair: Pair) -> None:
    (tmp_path / "both.pem").write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    given = issuer(f"{FETCHED}, fetch: {{client_certificate: both.pem}}", directory=str(tmp_path))
    assert isinstance(given.keys, JwksUrl)
    assert given.keys.fetching == Fetching(client_certificate=tmp_path / "both.pem")


@pytest.mark.parametrize(
    ("fetch", "told"),
    [
        ("ca_file: program.py", 'the file "program.py" holds no certificate'),
        ("ca_file: client.key", 'the file "client.key" holds no certificate'),
        ("ca_file: empty", 'the file "empty" holds no certificate'),
        ("client_certificate: program.py, client_key: client.key", 'the file "program.py" holds no certificate'),
        ("client_certificate: client.crt", 'the file "client.crt" holds no key that can be used'),
        (
            "client_certificate: client.crt, client_key: program.py",
            'the file "program.py" holds no key that can be used',
        ),
        (
            "client_certificate: client.crt, client_key: encrypted.key",
            'the file "encrypted.key" holds no key that can be used',
        ),
        (
            "client_certificate: client.crt, client_key: stranger.key",
            'the key in the file "stranger.key" is not that of the certificate in "client.crt"',
        ),
    ],
)
def test_files_for_tls_are_looked_into(tmp_path: Path, pair: Pair, fetch: str, told: str) -> None:
    (tmp_path / "program.py").write_text("import ssl\n")
    (tmp_path / "empty").touch()
    key = load_pem_private_key(pair.key.read_bytes(), None)
    sealed = BestAvailableEncryption(b"word")
    (tmp_path / "encrypted.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
    message = problems(f"{FETCHED}, fetch: {{{fetch}}}", tmp_path)
    assert told in message
    assert "help: " in message
    assert "-----BEGIN" in message or "name the key" in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("import ssl\n", "cannot be used: not a JWK Set: expected a JSON object"),
        ('{"kty": "EC"}', 'expected a member "keys"'),
        ("{}" + " " * (8 << 20), "larger than 8388608 bytes"),
    ],
)
def test_a_file_of_keys_is_looked_into(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    assert told in problems("jwks_file: keys.json", tmp_path)


@pytest.mark.parametrize(
    ("algorithm", "about"),
    [("ES256", ()), ("RS256", ('no key in the file "keys.json" verifies ES256',))],
)
def test_a_file_without_a_key_for_the_issuer_is_warned_of(
    tmp_path: Path, algorithm: str, about: tuple[str, ...]
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [generate_signing_key(algorithm).public_jwk()]}))
    found = loaded("jwks_file: keys.json", directory=str(tmp_path)).warnings
    assert tuple(warning.message for warning in found) == about


@pytest.mark.parametrize(
    ("headers", "warned"),
    [
        ("{X-Api-Key: abc}", True),
        ("{Authorization: Basic abc}", True),
        ("{Cookie: a=b}", True),
        ("{X-Api-Key: '${API_KEY}'}", False),
        ("{X-Tenant: abc}", False),
    ],
)
def test_a_secret_in_plain_text_is_warned_of_and_not_shown(headers: str, warned: bool) -> None:
    found = loaded(f"{FETCHED}, fetch: {{headers: {headers}}}").warnings
    assert [("${VARIABLE}" in warning.hint, "abc" in str(warning)) for warning in found] == [
        (True, False)
    ] * warned


def test_a_default_lifetime_that_is_not_written_gives_way() -> None:
    assert issuer(f"{FETCHED}, refresh: {{most: 2m}}").pace.most == 120
    assert issuer(f"{FETCHED}, refresh: {{least: 10m}}").pace.least == 600
