"""Where an issuer's metadata is, and what of it is believed."""

from __future__ import annotations

import pytest

from jwtgate.errors import KeyFetchError
from jwtgate.keys.metadata import metadata_urls, read_metadata


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            "https://idp.example",
            (
                "https://idp.example/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server",
            ),
        ),
        (
            "https://idp.example/",
            (
                "https://idp.example/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server",
            ),
        ),
        (
            "https://idp.example:8443/realms/a",
            (
                "https://idp.example:8443/realms/a/.well-known/openid-configuration",
                "https://idp.example:8443/.well-known/oauth-authorization-server/realms/a",
            ),
        ),
    ],
)
def test_the_metadata_is_where_the_standards_say(issuer: str, urls: tuple[str, ...]) -> None:
    assert metadata_urls(issuer) == urls


ISSUER = "https://idp.example"
PLACE = "https://idp.example/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b"<html>", "expected one JSON object"),
        (b'{"jwks_uri": "https://idp.example/jwk"}', "metadata of None"),
        (b'{"issuer": "https://idp.example/", "jwks_uri": "https://idp.example/jwk"}', "exactly as its"),
        (b'{"issuer": "https://evil.example", "jwks_uri": "https://idp.example/jwk"}', "https://evil.example"),
        (b'{"issuer": ["https://idp.example"], "jwks_uri": "https://idp.example/jwk"}', "exactly as its"),
        (
            b'{"issuer": "https://idp.example/{tenantid}", "jwks_uri": "https://idp.example/jwk"}',
            "list the tenants",
        ),
        (b'{"issuer": "https://idp.example"}', "has no jwks_uri"),
        (b'{"issuer": "https://idp.example", "jwks_uri": 1}', "has no jwks_uri"),
        (b'{"issuer": "https://idp.example", "jwks_uri": "http://idp.example/jwk"}', "not an https URL"),
        (b'{"issuer": "https://idp.example", "jwks_uri": "file:///jwk"}', "not an https URL"),
    ],
)
def test_metadata_of_another_issuer_or_without_keys_is_refused(document: bytes, text: str) -> None:
    with pytest.raises(KeyFetchError, match=text):
        read_metadata(document, ISSUER, PLACE)


def test_the_keys_may_be_on_another_host_if_the_metadata_says_so() -> None:
    document = b'{"issuer": "https://idp.example", "jwks_uri": "https://keys.example/jwk"}'
    assert read_metadata(document, ISSUER, PLACE) == "https://keys.example/jwk"
