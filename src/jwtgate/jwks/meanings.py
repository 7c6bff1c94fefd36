"""What the errors of a connection mean, for who reads a log: OpenSSL and the system have words of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jwtgate.jwks.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_TLS: Final = "the server does not speak TLS on this port: write http:// in its place, or the port of its https"
_OTHER_NAME: Final = "the server's certificate is for another name than {host}"
_CLOCK: Final = "or the clock of this machine is wrong"
_UNTRUSTED: Final = (
    "the server's certificate is signed by an authority that is not trusted here: name a private one by "
    "fetch: {{ca_file: FILE}}"
)
_OURS: Final = "fetch: {{client_certificate: FILE, client_key: FILE}}"
# Why a server that is there could say nothing, by scheme.
_PERHAPS: Final = {
    "http": "if it speaks TLS, write https:// in its place",
    "https": "it may want a certificate of ours: fetch: {client_certificate: FILE, client_key: FILE}",
}

# What OpenSSL, the resolver, the kernel or the HTTP client writes → what it means. The first that fits.
_MEANINGS: Final = (
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("PACKET_LENGTH_TOO_LONG", _NO_TLS),
    ("RECORD_LAYER_FAILURE", _NO_TLS),
    ("Hostname mismatch", _OTHER_NAME),
    ("IP address mismatch", _OTHER_NAME),
    ("certificate has expired", f"the server's certificate has expired, {_CLOCK}"),
    ("certificate is not yet valid", f"the server's certificate is not valid yet, {_CLOCK}"),
    ("self-signed certificate", _UNTRUSTED),
    ("self signed certificate", _UNTRUSTED),
    ("unable to get local issuer certificate", _UNTRUSTED),
    ("unable to get issuer certificate", _UNTRUSTED),
    ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is refused: {text}"),
    ("ALERT_CERTIFICATE_REQUIRED", f"the server wants a certificate of ours: {_OURS}"),
    (
        "ALERT_HANDSHAKE_FAILURE",
        f"the server refuses the TLS handshake; it may want a certificate of ours: {_OURS}",
    ),
    ("ALERT_UNKNOWN_CA", "the server does not trust our certificate (client_certificate)"),
    ("ALERT_BAD_CERTIFICATE", "the server refuses our certificate (client_certificate)"),
    ("ALERT_CERTIFICATE_EXPIRED", "the server says that our certificate (client_certificate) has expired"),
    ("UNSUPPORTED_PROTOCOL", "the server speaks no TLS that is still safe: it needs 1.2 or newer"),
    ("ALERT_PROTOCOL_VERSION", "the server speaks no TLS that is still safe: it needs 1.2 or newer"),
    (
        "UNEXPECTED_EOF",
        "the server closes the connection during the TLS handshake: is this the port of its https?",
    ),
    ("[Errno -2]", "the name {peer} does not resolve"),
    ("[Errno -5]", "the name {peer} does not resolve to an address"),
    ("[Errno -3]", "the name {peer} cannot be resolved now: no name server answers"),
    ("[Errno 111]", "connection refused: nobody listens there ({peer}, port {port})"),
    ("[Errno 104]", "the connection was reset"),
    ("[Errno 101]", "there is no way from here to the network of {peer}"),
    ("[Errno 113]", "there is no way from here to {peer}"),
    ("Server disconnected", "the server closes the connection without an answer; {perhaps}"),
)


def meaning(error: Exception, *, scheme: str, host: str, port: int, peer: str) -> str:
    """What a failed connection to `host` means. `peer` and `port`: who was called, which may be a proxy.

    What is not in the table is told as it came, escaped.
    """
    texts = [str(each) for each in _chain(error)]
    text = printable(texts[0]) or type(error).__name__
    for marker, words in _MEANINGS:
        if any(marker in each for each in texts):
            perhaps = _PERHAPS.get(scheme, "")
            return words.format(host=host, port=port, peer=peer, text=text, perhaps=perhaps)
    return text


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from: the client's own says less than the system's."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
