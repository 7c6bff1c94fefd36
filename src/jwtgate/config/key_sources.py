"""Where an issuer's keys are: one of several settings, and what goes with it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from jwtgate.config.fetching import compile_discovery, compile_fetching, discovered_from
from jwtgate.config.secrets import compile_secret
from jwtgate.errors import KeyRefusedError
from jwtgate.keys import SYMMETRIC, import_jwk, read_jwks
from jwtgate.keys.keyset import MAX_FILE_BYTES, MAX_OWN_KEYS
from jwtgate.plan import InlineJwks, JwksFile, JwksUrl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jwtgate.config.addresses import KeyUrl
    from jwtgate.config.document import Path
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report
    from jwtgate.config.schema import IssuerSection
    from jwtgate.plan import Discovery, KeySource

_PUBLIC = ("jwks", "discovery", "jwks_file", "keys")
_SECRET = ("secret_env", "secret_file")


def compile_keys(
    section: IssuerSection, path: Path, environ: Mapping[str, str], files: Files, report: Report
) -> KeySource | None:
    """Where the keys of an issuer are; None after a report."""
    name = path[-1]
    written = [key for key in (*_PUBLIC, *_SECRET) if getattr(section, key) is not None]
    if len(written) > 1:
        listed = " and ".join(f'"{key}"' for key in written)
        hint = "keep one of them: an issuer's keys come from one place"
        report.error((*path, written[1]), f'issuer "{name}" has {listed}', hint, at_key=True)
        return None
    right = _algorithms_fit(section, path, report)
    address = section.jwks or discovered_from(section, path, report)
    fetched = [*([] if address is None else [address]), *(section.status_lists or [])]
    if section.insecure_http and not any(each.plain_remote for each in fetched):
        report.warn(
            (*path, "insecure_http"),
            f'issuer "{name}" does not need "insecure_http": nothing of it comes over plain HTTP from elsewhere',
            "remove it",
            at_key=True,
        )
    _check_fetch_is_used(section, path, report)
    keys: KeySource | None = None
    if address is not None:
        keys = _from_url(section, address, path, files, report) if right else None
    elif section.jwks_file is not None:
        keys = _from_file(section, section.jwks_file, (*path, "jwks_file"), files, report)
    elif section.keys is not None:
        keys = _inline(section, (*path, "keys"), report)
    elif written and written[0] in _SECRET:
        keys = compile_secret(section, path, environ, files, report) if right else None
    elif not written:
        report.error(
            path,
            f'issuer "{name}" has no keys',
            "add jwks: https://…, or discovery: true, or jwks_file: …, or keys: […], "
            "or for HS* algorithms secret_env: … or secret_file: …",
            at_key=True,
        )
    return keys if right else None


def _inline(section: IssuerSection, path: Path, report: Report) -> InlineJwks | None:
    """The keys that stand in gateway.yaml, each of which must be fit for use."""
    right = True
    allowed = set(section.algorithms)
    if not section.keys:
        report.error(path, '"keys" is empty', "write the issuer's public keys, each a JWK")
        right = False
    for index, jwk in enumerate(section.keys or ()):
        at = (*path, index)
        if jwk.get("kty") == "oct":
            hint = "write its name as secret_env: …, or its file as secret_file: …"
            report.error_beside_a_secret(at, "a secret does not belong into this file", hint)
            right = False
            continue
        try:
            key = import_jwk(jwk)
        except KeyRefusedError as error:
            # It may be a private key.
            hint = "write the issuer's public key as its JWK"
            report.error_beside_a_secret(at, f"this key cannot be used: {error}", hint)
            right = False
            continue
        if key.algorithms.isdisjoint(allowed):
            message = f"this key is for {_listed(key.algorithms)}, and the issuer signs by {_listed(allowed)}"
            report.error(at, message, "add its algorithm to algorithms, or remove the key")
            right = False
    # Sorted, so that the order in which members were written makes no other Plan.
    return InlineJwks(json.dumps({"keys": section.keys}, sort_keys=True).encode()) if right else None


def _from_file(section: IssuerSection, name: str, path: Path, files: Files, report: Report) -> JwksFile | None:
    """The keys in a file. It is watched and may be replaced, but now it must be a JWK Set."""
    file = files.readable(path, name, report)
    if file is None:
        return None
    shown = report.shown(path, name)
    with file.open("rb") as opened:
        body = opened.read(MAX_FILE_BYTES + 1)
    try:
        algorithms, note = _looked_into(body)
    except KeyRefusedError as error:
        hint = 'write the issuer\'s public keys as a JWK Set: {"keys": [{"kty": "EC", …}]}'
        report.error(path, f"the file {shown} cannot be used: {error}", hint)
        return None
    if algorithms.isdisjoint(section.algorithms):
        message = f"no key in the file {shown} verifies {_listed(section.algorithms)}{note}"
        report.warn(path, message, "its tokens get 503, issuer_unavailable, until there is one")
    return JwksFile(file)


@lru_cache(maxsize=4)
def _looked_into(body: bytes) -> tuple[frozenset[str], str]:
    """The algorithms of the keys in a JWK Set, and why one of them is not used, for the end of a sentence.

    Once for all issuers that have the same file. Raises KeyRefusedError.
    """
    if len(body) > MAX_FILE_BYTES:
        raise KeyRefusedError(f"larger than {MAX_FILE_BYTES} bytes, the limit for a key set")
    keyset = read_jwks(body, max_keys=MAX_OWN_KEYS)
    algorithms = frozenset(name for key in keyset.keys for name in key.algorithms)
    return algorithms, f": {keyset.notes[0]}" if keyset.notes else ""


def _listed(algorithms: Iterable[str]) -> str:
    return " or ".join(sorted(algorithms))


def _algorithms_fit(section: IssuerSection, path: Path, report: Report) -> bool:
    """Whether the algorithms are all symmetric or all asymmetric, as the key source is (CVE-2022-29217)."""
    problems = len(report.problems)
    symmetric = [algorithm in SYMMETRIC for algorithm in section.algorithms]
    secret = any(getattr(section, key) is not None for key in _SECRET)
    public = any(getattr(section, key) is not None for key in _PUBLIC)
    for index, algorithm in enumerate(section.algorithms):
        at = (*path, "algorithms", index)
        if algorithm in section.algorithms[:index]:
            report.error(at, f'the algorithm "{algorithm}" is here twice', "remove one of them")
        elif any(symmetric) and not all(symmetric):
            if symmetric[index] != symmetric[0]:
                kinds = f'"{section.algorithms[0]}" and "{algorithm}"'
                hint = "a secret signs by HS*, a key pair by the others: make two issuers"
                report.error(at, f"one issuer cannot have both {kinds}", hint)
        elif symmetric[index] and public:
            hint = "HS* needs secret_env or secret_file; keys of a JWK Set sign by ES256, RS256 and the like"
            report.error(at, f'"{algorithm}" needs a shared secret, and this issuer has a JWK Set', hint)
        elif not symmetric[index] and secret:
            hint = "a shared secret signs by HS256, HS384 or HS512; other algorithms need jwks"
            report.error(at, f'"{algorithm}" needs a public key, and this issuer has a shared secret', hint)
    return len(report.problems) == problems


def _check_fetch_is_used(section: IssuerSection, path: Path, report: Report) -> None:
    """`fetch` and the like beside keys that are not fetched are a misunderstanding."""
    if section.jwks is not None or section.discovery:
        return
    fetch_unused = section.fetch is not None and section.status_lists is None
    for setting, written in (("fetch", fetch_unused), ("refresh", section.refresh is not None)):
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
