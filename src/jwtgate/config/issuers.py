"""`issuers:` → the issuers of the Plan."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from jwtgate.config.fetching import compile_discovery, compile_fetching, compile_pace, discovered_from
from jwtgate.errors import KeyRefusedError
from jwtgate.keys import ALGORITHMS, SYMMETRIC, secret_keyset
from jwtgate.plan import Issuer, JwksFile, JwksUrl, SharedSecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.config.addresses import KeyUrl
    from jwtgate.config.document import Path
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report
    from jwtgate.config.schema import IssuerSection
    from jwtgate.keys.freshness import Pace
    from jwtgate.plan import Discovery, KeySource

_KEY_SOURCES = ("jwks", "discovery", "jwks_file", "secret_env")
_BASE64 = "base64:"


def compile_issuers(
    sections: Mapping[str, IssuerSection], environ: Mapping[str, str], files: Files, report: Report
) -> dict[str, Issuer]:
    """The issuers whose settings are right."""
    issuers: dict[str, Issuer] = {}
    names: dict[str, str] = {}
    for name, section in sections.items():
        path: Path = ("issuers", name)
        first = names.setdefault(section.issuer, name)
        if first != name:
            report.error(
                (*path, "issuer"),
                f'issuer "{name}" has the same "iss" as issuer "{first}"',
                "a token names its issuer by it: make one issuer of the two",
            )
        _check_audience(section, path, report)
        keys = _keys(section, path, environ, files, report)
        if keys is not None:
            pace = compile_pace(section.refresh, (*path, "refresh"), report)
            issuers[name] = _issuer(name, section, keys, pace)
    return issuers


def _issuer(name: str, section: IssuerSection, keys: KeySource, pace: Pace) -> Issuer:
    return Issuer(
        name=name,
        issuer=section.issuer,
        keys=keys,
        audience=None if section.audience is None else tuple(section.audience),
        algorithms=tuple(section.algorithms),
        leeway=section.leeway,
        max_token_bytes=section.max_token_bytes,
        types=None if section.types is None else tuple(map(_media_type, section.types)),
        required_claims=tuple(section.required_claims),
        max_lifetime=section.max_lifetime,
        pace=pace,
        start=section.start,
    )


def _media_type(value: str) -> str:
    """RFC 7515, section 4.1.9: `typ` leaves "application/" out where no other slash follows; case is no matter."""
    lower = value.lower()
    short = lower.removeprefix("application/")
    return lower if "/" in short else short


def _check_audience(section: IssuerSection, path: Path, report: Report) -> None:
    name = path[-1]
    if section.audience is None and not section.unsafe_any_audience:
        report.error(
            path,
            f'issuer "{name}" has no "audience"',
            "add audience: …, the name that its tokens have for this gateway (or unsafe_any_audience: true)",
            at_key=True,
        )
    elif section.audience is not None and section.unsafe_any_audience:
        report.error(
            (*path, "unsafe_any_audience"),
            f'issuer "{name}" has both "audience" and "unsafe_any_audience"',
            "keep audience",
            at_key=True,
        )
    elif section.unsafe_any_audience:
        report.warn(
            (*path, "unsafe_any_audience"),
            f'issuer "{name}": tokens that were issued for any other service are accepted here',
            "write audience: … instead, so that a token stolen elsewhere is no use here",
            at_key=True,
        )


def _keys(
    section: IssuerSection, path: Path, environ: Mapping[str, str], files: Files, report: Report
) -> KeySource | None:
    name = path[-1]
    written = [key for key in _KEY_SOURCES if getattr(section, key) is not None]
    if len(written) > 1:
        listed = " and ".join(f'"{key}"' for key in written)
        hint = "keep one of them: an issuer's keys come from one place"
        report.error((*path, written[1]), f'issuer "{name}" has {listed}', hint, at_key=True)
        return None
    right = _algorithms_fit(section, path, report)
    address = section.jwks or discovered_from(section, path, report)
    if section.insecure_http and (address is None or not address.plain_remote):
        report.warn(
            (*path, "insecure_http"),
            f'issuer "{name}" does not need "insecure_http": its keys do not come over plain HTTP from elsewhere',
            "remove it",
            at_key=True,
        )
    _check_fetch_is_used(section, path, report)
    if address is not None:
        return _from_url(section, address, path, files, report) if right else None
    if section.discovery:
        return None
    if section.jwks_file is not None:
        file = files.readable((*path, "jwks_file"), section.jwks_file, report)
        return JwksFile(file) if file and right else None
    if section.secret_env is not None:
        secret = _secret(section.secret_env, (*path, "secret_env"), environ, report)
        if secret is None or not right or not _secret_fits(secret, section, path, report):
            return None
        return SharedSecret(secret)
    report.error(
        path,
        f'issuer "{name}" has no keys',
        "add jwks: https://…, or discovery: true, or jwks_file: …, or for HS* algorithms secret_env: …",
        at_key=True,
    )
    return None


def _algorithms_fit(section: IssuerSection, path: Path, report: Report) -> bool:
    """Whether the algorithms are all symmetric or all asymmetric, as the key source is (CVE-2022-29217)."""
    problems = len(report.problems)
    symmetric = [algorithm in SYMMETRIC for algorithm in section.algorithms]
    secret = section.secret_env is not None
    for index, algorithm in enumerate(section.algorithms):
        at = (*path, "algorithms", index)
        if algorithm in section.algorithms[:index]:
            report.error(at, f'the algorithm "{algorithm}" is here twice', "remove one of them")
        elif any(symmetric) and not all(symmetric):
            if symmetric[index] != symmetric[0]:
                kinds = f'"{section.algorithms[0]}" and "{algorithm}"'
                hint = "a secret signs by HS*, a key pair by the others: make two issuers"
                report.error(at, f"one issuer cannot have both {kinds}", hint)
        elif symmetric[index] and not secret and (section.jwks or section.discovery or section.jwks_file):
            hint = "HS* needs secret_env; keys of a JWK Set sign by ES256, RS256 and the like"
            report.error(at, f'"{algorithm}" needs a shared secret, and this issuer has a JWK Set', hint)
        elif not symmetric[index] and secret:
            hint = "a shared secret signs by HS256, HS384 or HS512; other algorithms need jwks"
            report.error(at, f'"{algorithm}" needs a public key, and this issuer has a shared secret', hint)
    return len(report.problems) == problems


def _check_fetch_is_used(section: IssuerSection, path: Path, report: Report) -> None:
    """`fetch` and the like beside keys that are not fetched are a misunderstanding."""
    if section.jwks is not None or section.discovery:
        return
    for setting, written in (("fetch", section.fetch is not None), ("refresh", section.refresh is not None)):
        if written:
            message = f'issuer "{path[-1]}" has "{setting}", and its keys are not fetched'
            report.error((*path, setting), message, "remove it", at_key=True)


def _from_url(
    section: IssuerSection, address: KeyUrl, path: Path, files: Files, report: Report
) -> JwksUrl | Discovery | None:
    if address.plain_remote:
        if not section.insecure_http:
            report.error(
                (*path, "jwks" if section.jwks is not None else "discovery"),
                f'issuer "{path[-1]}" would fetch its keys over plain HTTP',
                "write https://…, or add insecure_http: true if the network between is trusted",
            )
            return None
        report.warn(
            (*path, "insecure_http"),
            f'issuer "{path[-1]}": keys come over plain HTTP, and who can change that traffic can sign tokens',
            "use https where the network is not yours alone",
            at_key=True,
        )
    fetching = compile_fetching(section.fetch, (*path, "fetch"), files, report)
    if section.jwks is not None:
        return JwksUrl(address.url, fetching)
    return compile_discovery(section, address, fetching)


def _secret(variable: str, path: Path, environ: Mapping[str, str], report: Report) -> bytes | None:
    if report.document.written(path) is not None:
        report.error(
            path,
            '"secret_env" must be the name of a variable, not its value',
            "write the name alone, without $ and braces",
        )
        return None
    value = environ.get(variable)
    if not value:
        hint = f"export {variable}=… before the start, at least 32 random bytes"
        report.error(path, f"the environment variable {variable} is not set", hint)
        return None
    if not value.startswith(_BASE64):
        return value.encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(value.removeprefix(_BASE64), validate=True)
    except (binascii.Error, ValueError):
        hint = "its value begins with base64:, and standard base64 with padding must follow"
        report.error(path, f"the environment variable {variable} does not hold base64", hint)
        return None


def _secret_fits(secret: bytes, section: IssuerSection, path: Path, report: Report) -> bool:
    fits = True
    for index, algorithm in enumerate(section.algorithms):
        digest = ALGORITHMS[algorithm].hash
        # RFC 7518, section 3.2: "A key of the same size as the hash output [...] or larger MUST be used".
        if digest is not None and len(secret) < digest.digest_size:
            report.error(
                (*path, "algorithms", index),
                f"the secret in {section.secret_env} has {len(secret)} bytes, "
                f'and "{algorithm}" needs {digest.digest_size}',
                f"make one by: openssl rand -base64 {digest.digest_size}",
            )
            fits = False
    if fits:
        try:
            secret_keyset(secret, section.algorithms)
        except KeyRefusedError as error:
            report.error((*path, "secret_env"), f"the secret in {section.secret_env} is refused: {error}")
            fits = False
    return fits
