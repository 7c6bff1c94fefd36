"""The steps of `jwtgate explain`: what a validator does with a token, and what each step of it found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from jwtgate.authenticate import Allow, Authenticator, Credential, Deny, NeedKeys, NeedStatus, Step
from jwtgate.errors import JwtgateError
from jwtgate.jwks import fetch_list_once, fetch_once
from jwtgate.policy import NO_REQUEST, Request, shown_path
from jwtgate.reasons import Reason
from jwtgate.revocation import Standing
from jwtgate.tokens import VerifiedTokens, parse, unverified_issuer
from jwtgate.trial.keys import ThrowAwayKeys
from jwtgate.validator import parse_authorization

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jwtgate.keys import KeySet
    from jwtgate.plan import Issuer, Plan, Policy
    from jwtgate.tokens import VerifiedToken


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step found. `passed` is None for a step that was not reached, or skipped."""

    step: Step
    passed: bool | None
    text: str
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A token made of the parts that were given, and the throw-away keys that verify it."""

    token: str
    keysets: dict[str, KeySet]


def unsigned_token(plan: Plan, policy: Policy, given: bytes, now: float) -> Unsigned:
    """Raises BadParameter for what is no header and claims."""
    try:
        parts = msgspec.json.decode(given, type=_Parts)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = 'write {"header": {"alg": "RS256"}, "claims": {"iss": "…"}}'
        raise typer.BadParameter(f"{error}: {hint}", param_hint="TOKEN") from None
    own = [plan.issuers[name] for name in policy.issuers]
    issuer = next((each for each in own if each.issuer == parts.claims.get("iss")), own[0])
    # Nothing is added to the claims; which key signed is not known, and not asked.
    claims = {**dict.fromkeys(("iss", "aud", "iat", "exp")), **parts.claims}
    keys = ThrowAwayKeys()
    alg = parts.header.get("alg", issuer.algorithms[0])
    if alg in issuer.algorithms:
        issuer = replace(issuer, algorithms=(alg, *(each for each in issuer.algorithms if each != alg)))
    header = {**parts.header, "kid": None, "x5t#S256": None}
    return Unsigned(keys.token(issuer, header, claims, now), keys.keysets)


class _Parts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    claims: dict[str, Any]
    header: dict[str, Any] = {}


def examine(
    plan: Plan,
    policy: Policy,
    given: bytes,
    now: float,
    request: Request = NO_REQUEST,
    *,
    unsigned: Unsigned | None = None,
) -> tuple[list[Finding], Allow | Deny]:
    """Authenticate a token as a validator would, and say what each step found.

    `given` is a token, or a whole value of the Authorization header; `unsigned` stands in for it.
    """
    credential: Credential | Reason
    if unsigned is not None:
        credential = Credential(unsigned.token)
    else:
        credential = parse_authorization(given if b" " in given or not given else b"Bearer " + given)
    keysets: dict[str, KeySet] = dict(unsigned.keysets) if unsigned is not None else {}
    standing = Standing()
    authenticate = Authenticator(plan, VerifiedTokens(0), standing)
    outcome = authenticate(keysets, policy.id, credential, now, request)
    trouble = ""
    if isinstance(outcome, NeedKeys):
        try:
            keysets[outcome.issuer] = asyncio.run(fetch_once(plan.issuers[outcome.issuer]))
        except JwtgateError as error:
            trouble = str(error)
        outcome = authenticate(keysets, policy.id, credential, now, request)
    if isinstance(outcome, NeedStatus):
        issuer = plan.issuers[outcome.issuer]
        trouble = asyncio.run(fetch_list_once(issuer, outcome.uri, standing)) or ""
        outcome = authenticate(keysets, policy.id, credential, now, request)
    decided = outcome.otherwise if isinstance(outcome, NeedKeys | NeedStatus) else outcome
    denied_at = list(Step).index(decided.step) if isinstance(decided, Deny) else len(Step)
    texts = _texts(plan, policy, credential, keysets, decided, now)
    findings = []
    for number, step in enumerate(Step):
        said = texts.get(step, "")
        if number == denied_at and isinstance(decided, Deny):
            said = ": ".join(filter(None, (str(decided.reason), trouble or said)))
        if unsigned is not None and step in (Step.KEY, Step.VERIFY) and number != denied_at:
            findings.append(Finding(step, None, "skipped: the token is not signed", skipped=True))
            continue
        findings.append(
            Finding(step, None if number > denied_at else number < denied_at, said if number <= denied_at else "")
        )
    return findings, decided


def _texts(
    plan: Plan,
    policy: Policy,
    credential: Credential | Reason,
    keysets: Mapping[str, KeySet],
    outcome: Allow | Deny,
    now: float,
) -> dict[Step, str]:
    """What there is to say at each step, as far as it got."""
    texts = {Step.POLICY: f"{policy.name}: a valid token of {_either(policy.issuers)}"}
    if isinstance(credential, Reason):
        return texts
    texts[Step.CREDENTIAL] = f"{'bare' if credential.bare else 'bearer'} token, {_bytes(len(credential.token))}"
    limit = max(plan.issuers[name].max_token_bytes for name in policy.issuers)
    texts[Step.PARSE] = f"expected three segments of base64url, at most {limit} bytes"
    token = parse(credential.token, max_bytes=limit)
    if isinstance(token, Reason):
        return texts
    texts[Step.PARSE] = ", ".join(
        f"{name} {value}"
        for name, value in (("alg", token.algorithm), ("kid", token.kid), ("typ", token.typ))
        if value
    )
    claimed = unverified_issuer(token)
    issuer = _issuer_of(plan, policy, claimed)
    if issuer is None:
        expected = _either(repr(plan.issuers[name].issuer) for name in policy.issuers)
        texts[Step.ISSUER] = (
            "the payload is not a JSON object"
            if claimed is Reason.TOKEN_MALFORMED
            else f"iss {'is missing' if isinstance(claimed, Reason) else repr(claimed)}, expected {expected}"
        )
        return texts
    texts[Step.ISSUER] = f"{issuer.name}: iss {issuer.issuer!r}"
    keyset = keysets.get(issuer.name)
    texts[Step.KEY] = f"allowed {', '.join(issuer.algorithms)}"
    if keyset:
        texts[Step.KEY] += f"; published {', '.join(key.kid or '(no kid)' for key in keyset.keys) or 'no key'}"
        texts[Step.KEY] += "".join(f"; {note}" for note in keyset.notes)
    texts[Step.VERIFY] = f"{token.algorithm} over header and payload"
    verified = outcome.token
    if verified is not None:
        texts[Step.CLAIMS] = _claims_text(issuer, verified, now)
        texts[Step.STATUS] = _status_text(issuer, verified)
    if isinstance(outcome, Allow):
        texts[Step.IDENTITY] = ", ".join(f"{name}: {value}" for name, value in outcome.identity) or "no headers"
    elif policy.identity:
        texts[Step.IDENTITY] = ", ".join(
            f"{each.header} from {shown_path(each.claim) if each.claim else 'the payload'}"
            for each in policy.identity
        )
    return texts


def _status_text(issuer: Issuer, token: VerifiedToken) -> str:
    if "status" not in token.claims:
        return "the token refers to no status list"
    if issuer.unsafe_ignore_status:
        return "not looked at (unsafe_ignore_status)"
    return f"status {token.claims['status']!r}"


def _issuer_of(plan: Plan, policy: Policy, claimed: str | Reason) -> Issuer | None:
    if isinstance(claimed, Reason):
        return None
    return next((plan.issuers[name] for name in policy.issuers if plan.issuers[name].issuer == claimed), None)


def _claims_text(issuer: Issuer, token: VerifiedToken, now: float) -> str:
    wanted = "any audience" if issuer.audience is None else f"expected {_either(issuer.audience)}"
    parts = [f"{issuer.audience_claim} {token.claims.get(issuer.audience_claim)!r} ({wanted})"]
    parts += [f"{name} {token.claims.get(name)!r} (expected {value})" for name, value in issuer.fixed_claims]
    parts += [
        f"{name} {_moment(token.claims[name], now)}" for name in ("iat", "nbf", "exp") if name in token.claims
    ]
    parts.append(f"leeway {issuer.leeway} s")
    parts += [f"{name} is missing" for name in ("exp", *issuer.required_claims) if token.claims.get(name) is None]
    return ", ".join(parts)


def _moment(value: object, now: float) -> str:
    """A NumericDate as people read it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{value!r} (not a date)"
    try:
        moment = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(value)
    away = abs(value - now)
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if away >= 2 * seconds:
            return f"{moment} ({away / seconds:.0f} {unit} {'ago' if value < now else 'from now'})"
    return f"{moment} ({away:.0f} s {'ago' if value < now else 'from now'})"


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)


def _bytes(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"
