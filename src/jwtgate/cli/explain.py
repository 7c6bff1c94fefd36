"""`jwtgate explain`: what would happen to this token on this route, step by step, and why."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, assert_never

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jwtgate.authenticate import Allow, Authenticator, Credential, Deny, NeedKeys, NeedStatus, Step
from jwtgate.cli.options import Config, load_plan
from jwtgate.errors import JwtgateError
from jwtgate.jwks import fetch_list_once, fetch_once
from jwtgate.policy import shown_path
from jwtgate.reasons import Reason
from jwtgate.revocation import Standing
from jwtgate.routing import match_route
from jwtgate.tokens import VerifiedTokens, parse, unverified_issuer
from jwtgate.validator import parse_authorization

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jwtgate.keys import KeySet
    from jwtgate.plan import Answer, Issuer, Plan, Policy
    from jwtgate.tokens import VerifiedToken

# What to do about a denial. It is read by whoever runs the gateway or calls it.
ADVICE: dict[Reason, str] = {
    Reason.TOKEN_MISSING: "send `Authorization: Bearer TOKEN`",
    Reason.CREDENTIALS_AMBIGUOUS: "send one token, in one Authorization header",
    Reason.TOKEN_MALFORMED: "a token is header.payload.signature, each base64url without padding (RFC 7515, 7.1)",
    Reason.TOKEN_TOO_LARGE: "ask for a smaller token, or raise `max_token_bytes` of the issuer",
    Reason.HEADER_INVALID: "check the scheme (`Bearer`), and the token's header; a token without a scheme needs "
    "`bare_token: true` on the route",
    Reason.CRIT_UNSUPPORTED: "the token's `crit` asks for extensions that are not implemented (RFC 7515, 4.1.11)",
    Reason.CLAIMS_UNREADABLE: "the payload must be a JSON object whose registered claims have their types "
    "(RFC 7519, 4.1), and identity headers must fit",
    Reason.ISSUER_UNKNOWN: "the token's `iss` must be, to the letter, the `issuer` of one that the policy names",
    Reason.KEY_UNKNOWN: "the issuer publishes no key that fits the token: was it signed by a key that is gone, or "
    "by another environment's issuer?",
    Reason.KEY_AMBIGUOUS: "several of the issuer's keys fit: let its tokens name one (`kid`)",
    Reason.ALGORITHM_NOT_ALLOWED: "add the algorithm to `algorithms` of the issuer, if you mean to trust it",
    Reason.SIGNATURE_INVALID: "the token was altered, or signed by another key under the same name",
    Reason.TOKEN_EXPIRED: "get a new token; if it is new, compare the clocks",
    Reason.TOKEN_NOT_YET_VALID: "compare the clocks of issuer and gateway, or raise `leeway`",
    Reason.TOKEN_TOO_OLD: "the token holds for longer than `max_lifetime` of the issuer allows",
    Reason.TOKEN_REVOKED: "get a new token",
    Reason.TOKEN_INACTIVE: "get a new token",
    Reason.STATUS_UNKNOWN: "the token's `status` names a list or an index that the gateway does not know: add its "
    "`uri` to `status_lists` of the issuer",
    Reason.AUDIENCE_MISMATCH: "ask the issuer for a token for this audience, or correct `audience` of the issuer",
    Reason.TYPE_MISMATCH: "the token's `typ` is not among `types` of the issuer: is it an ID token?",
    Reason.CLAIM_MISSING: "the token lacks `exp`, or one of `required_claims` of the issuer",
    Reason.PROOF_MISSING: "the token is bound to a key (`cnf`), and this route cannot check the proof",
    Reason.SCOPE_MISSING: "ask for a token with the scope that the route requires",
    Reason.ROLE_MISSING: "the subject lacks the role that the route requires",
    Reason.REQUIREMENT_FAILED: "the token does not meet what the route requires",
    Reason.STEP_UP_REQUIRED: "authenticate again, or more strongly (RFC 9470)",
    Reason.POLICY_ERROR: "the policy could not be evaluated",
    Reason.POLICY_UNKNOWN: "NGINX and validator run different configurations: restart both",
    Reason.INTERNAL_ERROR: "see NGINX's error log",
    Reason.INTROSPECTION_FAILED: "the issuer's introspection endpoint gave no usable answer",
    Reason.ISSUER_UNAVAILABLE: "the issuer's keys cannot be had: see the error above",
    Reason.STATUS_UNAVAILABLE: "the issuer's status list cannot be had, or is too old: see the error above",
    Reason.VALIDATOR_UNAVAILABLE: "are the validators running?",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step found. `passed` is None for a step that was not reached."""

    step: Step
    passed: bool | None
    text: str


def explain(
    config: Config,
    token: Annotated[str, typer.Argument(metavar="TOKEN|-", help="The token; - reads it from standard input.")],
    route: Annotated[
        str, typer.Option("--route", "-r", metavar="PATH", help="A path, as a client would ask for it.")
    ],
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="The host, where routes differ by host.")
    ] = None,
    now: Annotated[
        float | None, typer.Option(metavar="UNIXTIME", help="Decide as of this time. Default: now.")
    ] = None,
) -> None:
    """Say which step would deny a token on a route, and why.

    It fetches the issuer's keys as the gateway does. Exit code 0: it would be let through; 1: it would be denied.

    Example: [bold]jwtgate explain gateway.yaml --route /b/ -[/bold], with the token on standard input
    """
    if now is not None and not math.isfinite(now):
        raise typer.BadParameter("write seconds since 1970, such as 1767225600", param_hint="--now")
    if not route.startswith("/"):
        raise typer.BadParameter("write a path as a client asks for it, such as /b/", param_hint="--route")
    plan = load_plan(config)
    matched = match_route(plan, host, route)
    if matched is None:
        raise typer.BadParameter(_no_route(plan, config, host, route), param_hint="--route")
    console = Console(highlight=False, soft_wrap=True)
    if matched.policy is None:
        console.print(f"Route {matched.path} is public: whoever asks is let through, and no token is looked at.")
        return
    policy = plan.policies[matched.policy]
    given = sys.stdin.buffer.read() if token == "-" else os.fsencode(token)
    findings, outcome = examine(plan, policy, given.strip(), time.time() if now is None else now)
    console.print(f"Route {matched.path}, policy {policy.name}, {_issuers(policy)}\n", markup=False)
    console.print(_table(findings))
    if isinstance(outcome, Allow):
        console.print(f"\n[green]allowed[/green]\n\n{_how_long(outcome, policy)}")
        return
    answer = dict(matched.answers or plan.answers)[outcome.reason]
    console.print(f"\n[red]denied[/red]: {outcome.reason}\n")
    console.print(f"What to do: {ADVICE[outcome.reason]}.", markup=False)
    console.print(f"The client gets: {_answer_line(answer)}", markup=False)
    raise typer.Exit(1)


def _no_route(plan: Plan, config: Path, host: str | None, path: str) -> str:
    slashed = match_route(plan, host, f"{path}/")
    if slashed is not None and slashed.path == f"{path}/":
        does = "redirects to it" if slashed.redirect_slash else "answers 404"
        return f"no route of {config} matches {path}, but {path}/ is one: the gateway {does}"
    return f"no route of {config} matches {path}: the gateway answers 404"


def examine(plan: Plan, policy: Policy, given: bytes, now: float) -> tuple[list[Finding], Allow | Deny]:
    """Authenticate a token as a validator would, and say what each step found.

    `given` is a token, or a whole value of the Authorization header.
    """
    credential = parse_authorization(given if b" " in given or not given else b"Bearer " + given)
    keysets: dict[str, KeySet] = {}
    standing = Standing()
    authenticate = Authenticator(plan, VerifiedTokens(0), standing)
    outcome = authenticate(keysets, policy.id, credential, now)
    trouble = ""
    if isinstance(outcome, NeedKeys):
        try:
            keysets[outcome.issuer] = asyncio.run(fetch_once(plan.issuers[outcome.issuer]))
        except JwtgateError as error:
            trouble = str(error)
        outcome = authenticate(keysets, policy.id, credential, now)
    if isinstance(outcome, NeedStatus):
        issuer = plan.issuers[outcome.issuer]
        trouble = asyncio.run(fetch_list_once(issuer, outcome.uri, standing)) or ""
        outcome = authenticate(keysets, policy.id, credential, now)
    decided = outcome.otherwise if isinstance(outcome, NeedKeys | NeedStatus) else outcome
    denied_at = list(Step).index(decided.step) if isinstance(decided, Deny) else len(Step)
    texts = _texts(plan, policy, credential, keysets, decided, now)
    findings = []
    for number, step in enumerate(Step):
        said = texts.get(step, "")
        if number == denied_at and isinstance(decided, Deny):
            said = ": ".join(filter(None, (str(decided.reason), trouble or said)))
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
        texts[Step.KEY] += "".join(f"; skipped {note}" for note in keyset.notes)
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
    parts = [f"aud {token.claims.get('aud')!r} ({wanted})"]
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


def _issuers(policy: Policy) -> str:
    return f"issuer{'s' if len(policy.issuers) > 1 else ''} {', '.join(policy.issuers)}"


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)


def _bytes(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"


def _how_long(outcome: Allow, policy: Policy) -> str:
    if not outcome.cacheable_until:
        return "NGINX asks again for each request."
    return f"NGINX may repeat this for up to {policy.staleness} s without asking again."


def _answer_line(answer: Answer) -> str:
    return f"{answer.status} {answer.body}".rstrip()


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        match finding.passed:
            case True:
                mark, style = "✓", "green"
            case False:
                mark, style = "✗", "red"
            case None:
                mark, style = "·", "dim"
            case other:
                assert_never(other)
        table.add_row(Text(mark, style), Text(finding.step, style), Text(finding.text or "not reached", style=""))
    return table
