"""An issuer over real TLS that can be made to misbehave in each way of the table."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gzip
import json
import socket
import ssl
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from jwtgate.keys import SigningKey, generate_signing_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

HOST = "127.0.0.1"
_DAY = dt.timedelta(days=1)


class Authority:
    """A certificate authority. `pem` is its certificate."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        extension = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = self._sign(self._name, self._key.public_key(), extension, valid_for=_DAY)
        self.pem = directory / f"{name}.pem"
        self.pem.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self, host: str, *, valid_for: dt.timedelta = _DAY) -> Path:
        """A PEM file with a certificate for `host` and its private key. Negative: expired that long ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        names = x509.SubjectAlternativeName([alternative])
        certificate = self._sign(subject, key.public_key(), names, valid_for=valid_for)
        file = self._directory / f"{self._name.rfc4514_string()}-{host}-{valid_for.days}.pem"
        file.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return file

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        extension: x509.ExtensionType,
        *,
        valid_for: dt.timedelta,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * _DAY)
            .not_valid_after(now + valid_for)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )


class ChaosIssuer:
    """`keys` are published, by `conduct`. `fetches` counts connections, each of which is for one request."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.old = generate_signing_key("ES256")
        self.new = generate_signing_key("ES256")
        self.keys: list[SigningKey] = [self.old]
        self.conduct: Callable[[ChaosIssuer, asyncio.StreamWriter], Awaitable[None]] = publish
        self.fetches = 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(authority.issue(HOST))
        self.port = 0
        self.elsewhere = ""
        self._server: asyncio.Server | None = None
        self._answers: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where the key set is."""
        return f"https://{HOST}:{self.port}/jwk"

    @property
    def up(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def start(self) -> None:
        """Begin to listen."""
        listener = socket.socket()
        listener.bind((HOST, 0))
        self.port = listener.getsockname()[1]
        listener.listen()
        # A plain TCP accept that counts, and TLS after it: a handshake that fails is a fetch as well.
        self._server = await asyncio.start_server(self._accept, sock=listener)

    async def stop(self) -> None:
        """Listen no longer, and end what is being answered."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._answers):
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.fetches += 1
        task = asyncio.current_task()
        assert task is not None
        self._answers.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await writer.start_tls(self.tls)
                await reader.readuntil(b"\r\n\r\n")
                await self.conduct(self, writer)
                await writer.drain()
        finally:
            self._answers.discard(task)
            writer.close()

    def document(self) -> bytes:
        """The key set."""
        return json.dumps({"keys": [key.public_jwk() for key in self.keys]}).encode()


def _answer(writer: asyncio.StreamWriter, body: bytes, status: str = "200 OK", *headers: str) -> None:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)


async def publish(issuer: ChaosIssuer, writer: asyncio.StreamWriter) -> None:
    """What an issuer does."""
    _answer(writer, issuer.document())


@dataclass
class World:
    """What a trouble can change: the issuer, and our wall clock."""

    issuer: ChaosIssuer
    stranger: Authority
    wall: float = 1_700_000_000.0


# The troubles, by the names in the table. When one begins, `issuer.keys` already are both keys.


async def rotated(world: World) -> None:
    """Nothing but the rotation."""


async def swapped(world: World) -> None:
    world.issuer.keys = [world.issuer.new]


async def refused(world: World) -> None:
    await world.issuer.stop()


async def reset(world: World) -> None:
    async def conduct(_: ChaosIssuer, writer: asyncio.StreamWriter) -> None:
        # SO_LINGER with no time: the connection ends with RST.
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    world.issuer.conduct = conduct


async def silent(world: World) -> None:
    async def conduct(_: ChaosIssuer, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    world.issuer.conduct = conduct


async def dripping(world: World) -> None:
    async def conduct(issuer: ChaosIssuer, writer: asyncio.StreamWriter) -> None:
        body = issuer.document()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for byte in body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    world.issuer.conduct = conduct


def _always(body: bytes, status: str = "200 OK", *headers: str) -> Callable[[World], Awaitable[None]]:
    async def begin(world: World) -> None:
        async def conduct(issuer: ChaosIssuer, writer: asyncio.StreamWriter) -> None:
            _answer(writer, body, status, *(header.format(elsewhere=issuer.elsewhere) for header in headers))

        world.issuer.conduct = conduct

    return begin


status_404 = _always(b"not here", "404 Not Found")
status_500 = _always(b"oops", "500 Internal Server Error")
redirected_elsewhere = _always(b"", "302 Found", "Location: {elsewhere}")
html = _always(b"<!doctype html><p>We are down for maintenance.", "200 OK", "Content-Type: text/html")
twenty_megabytes = _always(b'{"keys": [' + b" " * 20_000_000 + b"]}")
empty = _always(b'{"keys": []}')


async def empty_once(world: World) -> None:
    async def conduct(issuer: ChaosIssuer, writer: asyncio.StreamWriter) -> None:
        _answer(writer, b'{"keys": []}')
        await status_500(World(issuer, world.stranger))

    world.issuer.conduct = conduct


async def truncated(world: World) -> None:
    await _always(world.issuer.document()[:-20])(world)


async def ten_thousand_keys(world: World) -> None:
    # Small ones, so that it is their number that is too large and not the document.
    keys = [{"kty": "OKP", "crv": "Ed25519", "kid": str(number), "x": "AA"} for number in range(10_000)]
    await _always(json.dumps({"keys": keys}).encode())(world)


async def gzipped(world: World) -> None:
    await _always(gzip.compress(world.issuer.document()), "200 OK", "Content-Encoding: gzip")(world)


async def expired_certificate(world: World) -> None:
    world.issuer.tls.load_cert_chain(world.issuer.authority.issue(HOST, valid_for=-_DAY))


async def wrong_host(world: World) -> None:
    world.issuer.tls.load_cert_chain(world.issuer.authority.issue("elsewhere.example"))


async def unknown_authority(world: World) -> None:
    world.issuer.tls.load_cert_chain(world.stranger.issue(HOST))


async def clock_forward(world: World) -> None:
    world.wall += 2 * 86_400


async def clock_back(world: World) -> None:
    world.wall -= 2 * 86_400


TROUBLES: dict[str, Callable[[World], Awaitable[None]]] = {
    trouble.__name__: trouble
    for trouble in (
        rotated,
        swapped,
        refused,
        reset,
        silent,
        dripping,
        empty_once,
        truncated,
        ten_thousand_keys,
        gzipped,
        expired_certificate,
        wrong_host,
        unknown_authority,
        clock_forward,
        clock_back,
    )
} | {
    "status_404": status_404,
    "status_500": status_500,
    "redirected_elsewhere": redirected_elsewhere,
    "html": html,
    "twenty_megabytes": twenty_megabytes,
    "empty": empty,
}
