"""Whom we believe, and who we say we are, when keys are fetched."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chaos.issuer import HOST, Authority, ChaosIssuer
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
    with pytest.raises(
        KeyFetchError, match=r"an authority that is not trusted here: name a private one by .*ca_file"
    ):
        kids(ChaosIssuer(authority), Fetching())


@pytest.mark.parametrize(
    ("host", "days", "meaning"),
    [
        ("elsewhere.example", 1, "the server's certificate is for another name than 127.0.0.1"),
        (HOST, -1, "the server's certificate has expired"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_in_plain_words(
    tmp_path: Path, host: str, days: int, meaning: str
) -> None:
    authority = Authority(tmp_path, "ours")
    issuer = ChaosIssuer(authority)
    issuer.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.tls.load_cert_chain(authority.issue(host, valid_for=dt.timedelta(days=days)))
    with pytest.raises(KeyFetchError, match=meaning) as raised:
        kids(issuer, Fetching(ca_file=authority.pem))
    assert "_ssl" not in str(raised.value)


def test_an_issuer_that_asks_for_our_certificate_gets_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    issuer = ChaosIssuer(authority)
    issuer.tls.verify_mode = ssl.CERT_REQUIRED
    issuer.tls.load_verify_locations(authority.pem)
    ours = Fetching(ca_file=authority.pem, client_certificate=authority.issue("gateway.example"))
    assert kids(issuer, ours) == [issuer.old.kid]
    with pytest.raises(KeyFetchError, match=r"want a certificate of ours: fetch: \{client_certificate"):
        kids(issuer, replace(ours, client_certificate=None))


def test_redirects_lead_to_tls_but_never_away_from_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    issuer = ChaosIssuer(authority)

    async def to_plain_http(issuer: ChaosIssuer, writer: asyncio.StreamWriter) -> None:
        location = issuer.url.replace("https:", "http:")
        writer.write(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode())

    issuer.conduct = to_plain_http
    with pytest.raises(KeyFetchError, match="redirects from https to plain http"):
        kids(issuer, Fetching(ca_file=authority.pem))
