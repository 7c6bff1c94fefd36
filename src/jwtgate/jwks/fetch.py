"""One GET of one document over HTTP, within limits.

Rules: TLS is always verified. Nothing is taken from the environment, no cookie is kept, no credential in a
URL is used. Redirects are followed on the same host only, and never from https to http. Bytes are counted as
they arrive and after decompression; the total time includes the slowest drip. What is read is not interpreted
here, but for how it begins: an HTML page in the place of keys is told with its media type.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx2

from jwtgate.errors import KeyFetchError
from jwtgate.jwks.lifetime import lifetime, retry_after
from jwtgate.jwks.meanings import meaning
from jwtgate.jwks.printable import printable
from jwtgate.keys.looks import looks_like

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.plan import Fetching

JWKS = "application/jwk-set+json, application/json;q=0.9, */*;q=0.1"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
# For plain HTTP. It trusts nobody, so that a mistake here would deny and not admit.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_MAX_MEDIA_TYPE = 100  # characters of one that are shown
_MAX_VALIDATOR = 1024  # bytes of an ETag or a date that are worth sending back


@dataclass(frozen=True, slots=True)
class Seen:
    """What identifies the version that we hold: the validators of RFC 9110, section 8.8, or a file's
    signature. `anew`: it is asked for whatever we hold, and past caches (RFC 9111, section 5.2.1.4)."""

    etag: str | None = None
    last_modified: str | None = None
    anew: bool = False


ANEW: Final = Seen(anew=True)


@dataclass(frozen=True, slots=True)
class Got:
    """A new version."""

    body: bytes
    seen: Seen
    lifetime: float | None  # seconds, see `jwtgate.jwks.lifetime`


@dataclass(frozen=True, slots=True)
class Same:
    """The version that we hold is still the one."""

    lifetime: float | None


class RefusedByIssuerError(KeyFetchError):
    """The issuer answered, and not with its keys. `retry_after`: seconds that it asked for, or None."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Fetcher:
    """Connections to issuers. Issuers that are reached the same way share a pool and its TLS context."""

    def __init__(self) -> None:
        self._ways: dict[tuple[Path | str | bool | None, ...], httpx2.AsyncHTTPTransport] = {}
        self._making = asyncio.Lock()

    async def get(self, url: str, seen: Seen, fetching: Fetching, *, accept: str = JWKS) -> Got | Same:
        """Fetch `url` unless it still is the version `seen`. `accept` are the media types that are asked for.

        Raises KeyFetchError: the text names the URL, what happened, and what was expected.
        """
        try:
            async with asyncio.timeout(fetching.total_timeout):
                return await self._follow(_url(url), seen, fetching, accept)
        except TimeoutError:
            raise KeyFetchError(
                f"{url}: no complete answer within {fetching.total_timeout:g} s (fetch timeout)"
            ) from None
        except httpx2.TimeoutException as error:
            raise KeyFetchError(f"{url}: {_timeout(error, fetching)}") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, zlib.error, OSError) as error:
            raise KeyFetchError(f"{url}: {_explain(error, url, fetching)}") from None

    async def aclose(self) -> None:
        """Close every connection. The fetcher can be used again afterwards."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.aclose()

    async def _way(self, url: httpx2.URL, fetching: Fetching) -> httpx2.AsyncHTTPTransport:
        tls = url.scheme == "https" or (fetching.proxy or "").startswith("https:")
        key = (tls, fetching.ca_file, fetching.client_certificate, fetching.client_key, fetching.proxy)
        async with self._making:
            if key not in self._ways:
                # To read the system's authorities takes a tenth of a second, in which requests would stand still.
                context = await asyncio.to_thread(_tls, url, fetching) if tls else _NO_TLS
                self._ways[key] = httpx2.AsyncHTTPTransport(
                    verify=context,
                    trust_env=False,
                    proxy=None if fetching.proxy is None else _proxy(fetching.proxy, context),
                    limits=httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30),
                )
            return self._ways[key]

    async def _follow(self, url: httpx2.URL, seen: Seen, fetching: Fetching, accept: str) -> Got | Same:
        for _ in range(_MAX_REDIRECTS + 1):
            way = await self._way(url, fetching)
            response = await way.handle_async_request(_request(url, seen, fetching, accept))
            try:
                if response.status_code not in _REDIRECTS:
                    return await _read(url, response, seen, fetching, accept)
                url = _redirected(url, response)
            finally:
                await response.aclose()
        raise KeyFetchError(f"{url}: redirected more than {_MAX_REDIRECTS} times")


def _proxy(url: str, tls: ssl.SSLContext) -> httpx2.Proxy:
    return httpx2.Proxy(url, ssl_context=tls if url.startswith("https:") else None)


def _url(text: str) -> httpx2.URL:
    url = httpx2.URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise KeyFetchError(f"{printable(text)}: expected an http or https URL with a host")
    if url.userinfo:
        raise KeyFetchError("a URL with a user name or password in it is not fetched")
    return url


def _tls(url: httpx2.URL, fetching: Fetching) -> ssl.SSLContext:
    """They were good when gateway.yaml was read, but files change."""
    setting = "ca_file"
    try:
        if fetching.ca_file is None:
            context = httpx2.create_ssl_context(trust_env=False)
        else:
            context = ssl.create_default_context(cafile=fetching.ca_file)
        if fetching.client_certificate is not None:
            setting = "client_certificate or client_key"
            # A passphrase is asked for on the terminal otherwise.
            context.load_cert_chain(fetching.client_certificate, fetching.client_key, password="")
    except OSError as error:  # an SSLError is one
        text = printable(error.strerror or str(error))
        raise KeyFetchError(f"{url}: the file of {setting} cannot be used: {text}") from None
    return context


def _request(url: httpx2.URL, seen: Seen, fetching: Fetching, accept: str) -> httpx2.Request:
    headers = httpx2.Headers(
        {
            "Accept": accept,
            "Accept-Encoding": "identity",
            "User-Agent": "jwtgate",
        }
    )
    headers.update(fetching.headers)
    if seen.anew:
        headers["Cache-Control"] = "no-cache"
    if seen.etag is not None:
        headers["If-None-Match"] = seen.etag
    if seen.last_modified is not None:
        headers["If-Modified-Since"] = seen.last_modified
    timeout = httpx2.Timeout(fetching.total_timeout, connect=fetching.connect_timeout)
    return httpx2.Request("GET", url, headers=headers, extensions={"timeout": timeout.as_dict()})


def _redirected(url: httpx2.URL, response: httpx2.Response) -> httpx2.URL:
    target = url.join(response.headers.get("location", ""))
    upgraded = url.scheme == "http" and target.scheme == "https" and target.host == url.host
    if _origin(target) == _origin(url) or upgraded:
        return _url(str(target))
    place = printable(f"{target.scheme}://{target.netloc.decode('ascii')}")
    if target.host == url.host and target.scheme == "http" and url.scheme == "https":
        raise RefusedByIssuerError(
            f"{url}: redirects from https to plain http ({place}), which is not followed: "
            "who can change that traffic could sign tokens"
        )
    what = "another port" if target.host == url.host else "another host"
    raise RefusedByIssuerError(
        f"{url}: redirects to {what} ({place}), which is not followed; "
        "if that is where the keys are, write that URL into the configuration"
    )


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs have the same scheme, host and port. False for what is no URL."""
    try:
        return _origin(httpx2.URL(one)) == _origin(httpx2.URL(other))
    except httpx2.InvalidURL:
        return False


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port  # a scheme's own port is None


async def _read(
    url: httpx2.URL, response: httpx2.Response, seen: Seen, fetching: Fetching, accept: str
) -> Got | Same:
    headers = response.headers
    # Only who sent a validator can be told that nothing changed.
    if response.status_code == 304 and (seen.etag, seen.last_modified) != (None, None):
        return Same(lifetime(headers))
    if response.status_code != 200:
        raise RefusedByIssuerError(
            f"{url}: answered with status {response.status_code}, expected 200", retry_after(headers)
        )
    body = await _body(url, response, fetching.max_bytes)
    found = looks_like(body) if accept == JWKS else None
    if found is not None:
        media_type = printable(headers.get("content-type", "").partition(";")[0])[:_MAX_MEDIA_TYPE]
        said = f", said to be {media_type}" if media_type else ""
        raise RefusedByIssuerError(f"{url}: the answer is {found}{said}; expected a JSON object")
    return Got(body, Seen(_validator(headers, "etag"), _validator(headers, "last-modified")), lifetime(headers))


def _validator(headers: httpx2.Headers, name: str) -> str | None:
    value = headers.get(name)
    return value if value and value.isascii() and value.isprintable() and len(value) <= _MAX_VALIDATOR else None


async def _body(url: httpx2.URL, response: httpx2.Response, max_bytes: int) -> bytes:
    """The body, decompressed if the issuer compressed it although we asked it not to."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("gzip", "x-gzip"):
        inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    elif coding == "identity":
        inflate = None
    else:
        raise RefusedByIssuerError(
            f"{url}: content coding {printable(coding)} was not asked for; expected none or gzip"
        )
    parts: list[bytes] = []
    size = 0
    async for raw in response.aiter_raw():
        part = raw if inflate is None else inflate.decompress(raw, max_bytes + 1 - size)
        size += len(part)
        if size > max_bytes:
            raise RefusedByIssuerError(f"{url}: the answer is larger than {max_bytes} bytes (max_bytes)")
        parts.append(part)
    if inflate is not None and not inflate.eof:
        raise RefusedByIssuerError(f"{url}: the compressed answer ends in the middle")
    return b"".join(parts)


def _timeout(error: httpx2.TimeoutException, fetching: Fetching) -> str:
    if isinstance(error, httpx2.ConnectTimeout):
        return f"no connection within {fetching.connect_timeout:g} s (connect timeout)"
    return f"no answer within {fetching.total_timeout:g} s (fetch timeout)"


def _explain(error: Exception, url: str, fetching: Fetching) -> str:
    if not isinstance(error, httpx2.TransportError | OSError):
        return printable(str(error)) or type(error).__name__
    asked = httpx2.URL(url)
    called = asked if fetching.proxy is None else httpx2.URL(fetching.proxy)
    port = called.port or (443 if called.scheme == "https" else 80)
    peer = f"{called.host} (the proxy)" if fetching.proxy is not None else called.host
    return meaning(error, scheme=asked.scheme, host=asked.host, port=port, peer=peer)
