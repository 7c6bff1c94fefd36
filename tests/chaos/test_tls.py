"""Whom we believe, and who we say we are, when keys are fetched."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chaos.issuer import Authority, ChaosIssuer
from jwtgate.errors import KeyFetchError
from jwtgate.jwks import fetch_once
from jwtgate.plan import Fetching, Issuer, JwksUrl

if TYPE_CHECKING:
    from pathlib import Path


def kids(issuer: ChaosIssuer, fetching: Fetching) -> list[str | None]:
    """The keys that are found."""

    async def story() -> list[str | None]:
        await issuer.start()
        try:
            fetched = Issuer(
                name="idp",
                issuer="https://idp",
                keys=JwksUrl(issuer.url, fetching),
                audience=("services",),
                algorithms=("ES256",),
                leeway=0,
                max_token_bytes=8192,
                types=None,
                required_claims=(),
                max_lifetime=None,
            )
            return [key.kid for key in (await fetch_once(fetched)).keys]
        finally:
            await issuer.stop()

    return asyncio.run(story())


def test_a_private_authority_is_believed_only_where_it_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    assert kids(ChaosIssuer(authority), Fetching(ca_file=authority.pem))
    with pytest.raises(KeyFetchError, match="ca_file"):
        kids(ChaosIssuer(authority), Fetching())


def test_an_issuer_that_asks_for_our_certificate_gets_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    issuer = ChaosIssuer(authority)
    issuer.tls.verify_mode = ssl.CERT_REQUIRED
    issuer.tls.load_verify_locations(authority.pem)
    ours = Fetching(ca_file=authority.pem, client_certificate=authority.issue("gateway.example"))
    assert kids(issuer, ours) == [issuer.old.kid]
    with pytest.raises(KeyFetchError):
        kids(issuer, replace(ours, client_certificate=None))


def test_redirects_lead_to_tls_but_never_away_from_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    issuer = ChaosIssuer(authority)

    async def to_plain_http(issuer: ChaosIssuer, writer: asyncio.StreamWriter) -> None:
        location = issuer.url.replace("https:", "http:")
        writer.write(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode())

    issuer.conduct = to_plain_http
    with pytest.raises(KeyFetchError, match="redirects to another host"):
        kids(issuer, Fetching(ca_file=authority.pem))
