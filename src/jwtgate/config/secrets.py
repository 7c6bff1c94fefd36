"""`secret_env:` and `secret_file:` → the shared secret. Its text is never repeated in a message."""

from __future__ import annotations

import base64
import binascii
import stat
from typing import TYPE_CHECKING

from jwtgate.errors import KeyRefusedError
from jwtgate.keys import ALGORITHMS, secret_keyset
from jwtgate.plan import SharedSecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.config.document import Path
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report
    from jwtgate.config.schema import IssuerSection

_BASE64 = b"base64:"
_MAX_FILE = 64 * 1024
# Whom a secret's file must be closed to: others in any way, and the group for writing.
_OPEN = stat.S_IRWXO | stat.S_IWGRP


def compile_secret(
    section: IssuerSection, path: Path, environ: Mapping[str, str], files: Files, report: Report
) -> SharedSecret | None:
    """The secret that `secret_env` or `secret_file` names; None after a report."""
    if section.secret_env is not None:
        place: Path = (*path, "secret_env")
        called = f"the environment variable {section.secret_env}"
        text = _from_environment(section.secret_env, place, environ, report)
    else:
        name = section.secret_file or ""
        place = (*path, "secret_file")
        called = f"the file {report.shown(place, name)}"
        text = _from_file(name, place, files, report)
    secret = None if text is None else _decoded(text, called, place, report)
    if secret is None or not _fits(secret, called, section, (path, place), report):
        return None
    return SharedSecret(secret)


def _from_environment(variable: str, place: Path, environ: Mapping[str, str], report: Report) -> bytes | None:
    if report.document.written(place) is not None:
        report.error(
            place,
            '"secret_env" must be the name of a variable, not its value',
            "write the name alone, without $ and braces",
        )
        return None
    value = environ.get(variable)
    if not value:
        hint = f"export {variable}=… before the start, at least 32 random bytes"
        report.error(place, f"the environment variable {variable} is not set", hint)
        return None
    return value.encode("utf-8", "surrogateescape")


def _from_file(name: str, place: Path, files: Files, report: Report) -> bytes | None:
    file = files.readable(place, name, report)
    if file is None:
        return None
    shown = report.shown(place, name)
    if file.stat().st_mode & _OPEN:
        hint = f"let its owner alone read it: chmod 600 {file.name}"
        report.error(place, f"the file {shown} holds a secret, and others can read or change it", hint)
        return None
    with file.open("rb") as opened:
        text = opened.read(_MAX_FILE + 1)
    # An editor, and `openssl rand`, end the line.
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if not text or len(text) > _MAX_FILE:
        hint = "write at least 32 random bytes into it: openssl rand -base64 32"
        report.error(place, f"the file {shown} is {'too large for a secret' if text else 'empty'}", hint)
        return None
    return text


def _decoded(text: bytes, called: str, place: Path, report: Report) -> bytes | None:
    if not text.startswith(_BASE64):
        return text
    try:
        return base64.b64decode(text.removeprefix(_BASE64), validate=True)
    except (binascii.Error, ValueError):
        hint = "its value begins with base64:, and standard base64 with padding must follow"
        report.error(place, f"{called} does not hold base64", hint)
        return None


def _fits(secret: bytes, called: str, section: IssuerSection, places: tuple[Path, Path], report: Report) -> bool:
    fits = True
    path, place = places
    for index, algorithm in enumerate(section.algorithms):
        digest = ALGORITHMS[algorithm].hash
        # RFC 7518, section 3.2: "A key of the same size as the hash output [...] or larger MUST be used".
        if digest is not None and len(secret) < digest.digest_size:
            report.error(
                (*path, "algorithms", index),
                f'the secret in {called} has {len(secret)} bytes, and "{algorithm}" needs {digest.digest_size}',
                f"make one by: openssl rand -base64 {digest.digest_size}",
            )
            fits = False
    if fits:
        try:
            secret_keyset(secret, section.algorithms)
        except KeyRefusedError as error:
            report.error(place, f"the secret in {called} is refused: {error}")
            fits = False
    return fits
