"""`jwtgate explain`: what would happen to this token on this route, step by step, and why."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, assert_never

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jwtgate.authenticate import Allow, Deny
from jwtgate.cli.explain_advice import advice
from jwtgate.cli.explain_requirements import explain_requirements, requirement_tree
from jwtgate.cli.explain_steps import examine, unsigned_token
from jwtgate.cli.options import Config, load_plan
from jwtgate.plan import Route
from jwtgate.policy import Request
from jwtgate.routing import match_route

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.cli.explain_requirements import Explained
    from jwtgate.cli.explain_steps import Finding
    from jwtgate.plan import Answer, Included, Plan, Policy

_WIDTH = 160  # columns that a requirement may take


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
        str | None, typer.Option("--route", "-r", metavar="PATH", help="A path, as a client would ask for it.")
    ] = None,
    include: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An entry of `include:`; --route is then a path that its policy reads."),
    ] = None,
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
    if route is None and include is None:
        raise typer.BadParameter("write --route with a path, or --include with a name", param_hint="--route")
    if route is not None and not route.startswith("/"):
        raise typer.BadParameter("write a path as a client asks for it, such as /b/", param_hint="--route")
    plan = load_plan(config)
    path = route or "/"
    matched = _matched(plan, config, host, path) if include is None else _included(plan, include)
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
    request = _request(method, path, host, header or [])
    unsigned = unsigned_token(plan, policy, given, moment) if given.startswith(b"{") else None
    findings, outcome = examine(plan, policy, given, moment, request, unsigned=unsigned)
    requirements = explain_requirements(policy, outcome, request, moment)
    answer = dict(matched.answers or plan.answers)[outcome.reason] if isinstance(outcome, Deny) else None
    if as_json:
        console.print(_json(matched, policy, findings, requirements, outcome, answer), markup=False)
    else:
        where = f"Route {matched.path}" if isinstance(matched, Route) else f"Include {matched.name}"
        console.print(f"{where}, policy {policy.name}, {_issuers(policy)}\n", markup=False)
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
    console.print(f"What to do: {advice(policy, outcome)}.", markup=False)
    console.print(f"The client gets: {_answer_line(answer)}", markup=False)


def _json(
    asked: Route | Included,
    policy: Policy,
    findings: list[Finding],
    requirements: list[Explained],
    outcome: Allow | Deny,
    answer: Answer | None,
) -> str:
    """For tools; the names of its members are stable."""
    denied = isinstance(outcome, Deny)
    told = {
        **({"route": asked.path} if isinstance(asked, Route) else {"include": asked.name}),
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
        "advice": advice(policy, outcome) if isinstance(outcome, Deny) else None,
        "answer": asdict(answer) if answer is not None else None,
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _request(method: str, route: str, host: str | None, headers: list[str]) -> Request:
    pairs = [each.partition(":") for each in headers]
    if any(not colon for _, colon, _ in pairs):
        raise typer.BadParameter("write 'X-Name: value'", param_hint="--header")
    read = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(method, route.partition("?")[0], (host or "").lower(), read)


def _matched(plan: Plan, config: Path, host: str | None, path: str) -> Route:
    matched = match_route(plan, host, path)
    if matched is None:
        raise typer.BadParameter(_no_route(plan, config, host, path), param_hint="--route")
    return matched


def _included(plan: Plan, name: str) -> Included:
    found = next((each for each in plan.included if each.name == name), None)
    if found is None:
        names = ", ".join(each.name for each in plan.included)
        said = f"there is none of that name: {names}" if names else "this gateway.yaml has no include:"
        raise typer.BadParameter(said, param_hint="--include")
    return found


def _no_route(plan: Plan, config: Path, host: str | None, path: str) -> str:
    if not plan.routes:
        return f"{config} has no routes: name an entry of its include: by --include NAME"
    slashed = match_route(plan, host, f"{path}/")
    if slashed is not None and slashed.path == f"{path}/":
        does = "redirects to it" if slashed.redirect_slash else "answers 404"
        return f"no route of {config} matches {path}, but {path}/ is one: the gateway {does}"
    return f"no route of {config} matches {path}: the gateway answers 404"


def _issuers(policy: Policy) -> str:
    return f"issuer{'s' if len(policy.issuers) > 1 else ''} {', '.join(policy.issuers)}"


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
