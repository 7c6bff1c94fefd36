"""PEM files that gateway.yaml names for our own fetches. NGINX reads its own, and says what is wrong with them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.config.document import Path as Place
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report

_CERTIFICATE = "it must be PEM, with one certificate or more, each from -----BEGIN CERTIFICATE----- on"
_KEY = "it must be PEM, with a key from -----BEGIN PRIVATE KEY----- on, without a passphrase"


def authorities(place: Place, name: str | None, files: Files, report: Report) -> Path | None:
    """A file of certificates that are trusted; None without one, or after a report."""
    file = None if name is None else files.readable(place, name, report)
    if file is None or name is None or _has_certificate(file):
        return file
    report.error(place, f"the file {report.shown(place, name)} holds no certificate", _CERTIFICATE)
    return None


def certificate_and_key(
    places: tuple[Place, Place], names: tuple[str | None, str | None], files: Files, report: Report
) -> tuple[Path | None, Path | None]:
    """Our certificate with its chain, and its private key, which may stand in the same file (None).

    What cannot be used is reported.
    """
    certificate, key = (
        None if name is None else files.readable(place, name, report)
        for place, name in zip(places, names, strict=True)
    )
    if certificate is None or (key is None and names[1] is not None):
        return certificate, key
    shown, shown_key = (report.shown(place, name or "") for place, name in zip(places, names, strict=True))
    if not _has_certificate(certificate):
        report.error(places[0], f"the file {shown} holds no certificate", _CERTIFICATE)
        return certificate, key
    try:
        # Asked for on the terminal otherwise; no key is encrypted by an empty passphrase.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except OSError as error:  # an SSLError is one
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            whose = "that file" if key is None else f"the file {shown_key}"
            message = f"the key in {whose} is not that of the certificate in {shown}"
            hint = "name the key that the certificate was made for, and the certificate itself before its chain"
        elif key is None:
            message, hint = f"the file {shown} holds no key that can be used", f"add it, or client_key: {_KEY}"
        else:
            message, hint = f"the file {shown_key} holds no key that can be used", _KEY
        report.error(places[0] if key is None else places[1], message, hint)
    return certificate, key


def _has_certificate(file: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(file)
    except OSError:  # an SSLError is one
        return False
    return context.cert_store_stats()["x509"] > 0
