"""`jwtgate explain`: what would happen to this token on this route, step by step, and why."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, assert_never

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jwtgate.authenticate import Allow, Authenticator, Credential, Deny, NeedKeys, NeedStatus, Step
from jwtgate.cli.explain_requirements import explain_requirements, requirement_tree
from jwtgate.cli.options import Config, load_plan
from jwtgate.errors import JwtgateError
from jwtgate.jwks import fetch_list_once, fetch_once
from jwtgate.policy import NO_REQUEST, Request, describe, shown_path, walk
from jwtgate.reasons import Reason
from jwtgate.revocation import Standing
from jwtgate.routing import match_route
from jwtgate.tokens import VerifiedTokens, parse, unverified_issuer
from jwtgate.trial.keys import ThrowAwayKeys
from jwtgate.validator import parse_authorization

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jwtgate.cli.explain_requirements import Explained
    from jwtgate.keys import KeySet
    from jwtgate.plan import Answer, Issuer, Plan, Policy, Route
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


_WIDTH = 160  # columns that a requirement may take


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step found. `passed` is None for a step that was not reached, or skipped."""

    step: Step
    passed: bool | None
    text: str
    skipped: bool = False


def explain(
    config: Config,
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN|-",
            help='The token, or unsigned {"header": {…}, "claims": {…}}; - reads it from standard input.',
        ),
    ],
    route: Annotated[
        str, typer.Option("--route", "-r", metavar="PATH", help="A path, as a client would ask for it.")
    ],
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="The host, where routes differ by host.")
    ] = None,
    now: Annotated[
        float | None, typer.Option(metavar="UNIXTIME", help="Decide as of this time. Default: now.")
    ] = None,
    method: Annotated[str, typer.Option(metavar="METHOD", help="The request's method.")] = "GET",
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header that the policy reads."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything there is to say, as JSON.")] = False,
) -> None:
    """Say which step would deny a token on a route, and why.

    It fetches the issuer's keys as the gateway does. Exit code 0: it would be let through; 1: it would be denied.
    A token that is given by its header and claims alone is explained as if its signature were good.

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
        public = f"Route {matched.path} is public: whoever asks is let through, and no token is looked at."
        console.print(
            json.dumps({"route": matched.path, "verdict": "public"}) if as_json else public, markup=False
        )
        return
    policy = plan.policies[matched.policy]
    given = (sys.stdin.buffer.read() if token == "-" else os.fsencode(token)).strip()
    moment = time.time() if now is None else now
    request = _request(method, route, host, header or [])
    unsigned = _unsigned(plan, policy, given, moment) if given.startswith(b"{") else None
    findings, outcome = examine(plan, policy, given, moment, request, unsigned=unsigned)
    requirements = explain_requirements(policy, outcome, request, moment)
    answer = dict(matched.answers or plan.answers)[outcome.reason] if isinstance(outcome, Deny) else None
    if as_json:
        console.print(_json(matched, policy, findings, requirements, outcome, answer), markup=False)
    else:
        console.print(f"Route {matched.path}, policy {policy.name}, {_issuers(policy)}\n", markup=False)
        console.print(_table(findings))
        if requirements:
            Console(highlight=False, width=max(console.width, _WIDTH)).print(requirement_tree(requirements))
        _print_outcome(console, policy, outcome, answer)
    if isinstance(outcome, Deny):
        raise typer.Exit(1)


def _print_outcome(console: Console, policy: Policy, outcome: Allow | Deny, answer: Answer | None) -> None:
    if isinstance(outcome, Allow) or answer is None:
        how_long = _how_long(outcome, policy) if isinstance(outcome, Allow) else ""
        console.print(f"\n[green]allowed[/green]\n\n{how_long}")
        return
    console.print(f"\n[red]denied[/red]: {outcome.reason}\n")
    console.print(f"What to do: {_advice(policy, outcome)}.", markup=False)
    console.print(f"The client gets: {_answer_line(answer)}", markup=False)


def _advice(policy: Policy, outcome: Deny) -> str:
    """What to do about a denial, with the requirement that was not met."""
    failed = [
        each for each in walk(policy.requirement) if each.position == outcome.position
    ] if policy.requirement is not None and outcome.position else []  # fmt: skip
    return ADVICE[outcome.reason] + (f": {describe(failed[0])}" if failed else "")


def _json(
    route: Route,
    policy: Policy,
    findings: list[Finding],
    requirements: list[Explained],
    outcome: Allow | Deny,
    answer: Answer | None,
) -> str:
    """For tools; the names of its members are stable."""
    denied = isinstance(outcome, Deny)
    told = {
        "route": route.path,
        "policy": policy.name,
        "issuers": policy.issuers,
        "verdict": "denied" if denied else "allowed",
        "reason": outcome.reason if isinstance(outcome, Deny) else None,
        "position": outcome.position if isinstance(outcome, Deny) else None,
        "key": outcome.token.kid if outcome.token else None,
        "steps": [
            {"step": each.step, "passed": each.passed, "skipped": each.skipped, "text": each.text}
            for each in findings
        ],
        "requirements": requirements,
        "advice": _advice(policy, outcome) if isinstance(outcome, Deny) else None,
        "answer": asdict(answer) if answer is not None else None,
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _request(method: str, route: str, host: str | None, headers: list[str]) -> Request:
    pairs = [each.partition(":") for each in headers]
    if any(not colon for _, colon, _ in pairs):
        raise typer.BadParameter("write 'X-Name: value'", param_hint="--header")
    read = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(method, route.partition("?")[0], (host or "").lower(), read)


@dataclass(frozen=True, slots=True)
class _Unsigned:
    """A token made of the parts that were given, and the throw-away keys that verify it."""

    token: str
    keysets: dict[str, KeySet]


def _unsigned(plan: Plan, policy: Policy, given: bytes, now: float) -> _Unsigned:
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
    return _Unsigned(keys.token(issuer, header, claims, now), keys.keysets)


class _Parts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    claims: dict[str, Any]
    header: dict[str, Any] = {}


def _no_route(plan: Plan, config: Path, host: str | None, path: str) -> str:
    slashed = match_route(plan, host, f"{path}/")
    if slashed is not None and slashed.path == f"{path}/":
        does = "redirects to it" if slashed.redirect_slash else "answers 404"
        return f"no route of {config} matches {path}, but {path}/ is one: the gateway {does}"
    return f"no route of {config} matches {path}: the gateway answers 404"


def examine(
    plan: Plan,
    policy: Policy,
    given: bytes,
    now: float,
    request: Request = NO_REQUEST,
    *,
    unsigned: _Unsigned | None = None,
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
