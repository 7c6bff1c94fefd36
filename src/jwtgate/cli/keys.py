"""`jwtgate keys …`: the keys of the issuers that a running gateway trusts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from jwtgate.cli.help_text import help_text
from jwtgate.cli.options import OptionalConfig, RunDir, running_in
from jwtgate.control.client import ask_gateway
from jwtgate.jwks import IssuerView, KeyView, StatusListView

_Json = Annotated[bool, typer.Option("--json", help="Everything there is to say, as JSON.")]

_WIDTH = 160  # columns that a table may take

_ORIGINS = {
    "fetched": "fetched",
    "snapshot": "from disk, not confirmed since the start",
    "file": "a file",
    "inline": "inline keys",
    "secret": "a shared secret",
}

# What is shown instead of keys that nobody has asked for yet.
_COMING = {
    "kept": "on disk, not read yet: its first token reads them",
    "pending": "not fetched yet: its first token fetches them",
}


class _Group(TyperGroup):
    """Without the name of a command, it is the first one: `jwtgate keys gateway.yaml`, as with other commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not {*args[:1]} & {*self.commands} and not {*args} & {*ctx.help_option_names}:
            name = next((word for word in args if word in self.commands), "show")
            first = args[0] if args else ""
            if first.isalpha() and not Path(first).exists():
                ctx.fail(
                    f"{first!r} is neither a file nor a command: expected gateway.yaml, or one of "
                    f"{', '.join(self.commands)} (an issuer is named by --issuer)"
                )
            args = [name, *(word for word in args if word != name)]
        return super().parse_args(ctx, args)


keys = typer.Typer(cls=_Group, subcommand_metavar="[show | refresh] [GATEWAY.YAML] …")


def about() -> None:
    """Show the keys of the issuers that a running gateway trusts, or fetch them now.

    Example: [bold]jwtgate keys gateway.yaml[/bold]
    """


def show(config: OptionalConfig = None, run_dir: RunDir = None, as_json: _Json = False) -> None:
    """Show the keys of each issuer as a running gateway has them: where from, how old, when used.

    Then its status lists and the deny-list: how old, how many entries, what is wrong. This is what `jwtgate keys`
    does when no command is named.

    Example: [bold]jwtgate keys show gateway.yaml --json[/bold]
    """
    _print(ask_gateway(running_in(config, run_dir), "keys"), as_json=as_json)


def refresh(
    config: OptionalConfig = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Those of one issuer: a name in gateway.yaml, or a tenant's. Default: all."
        ),
    ] = None,
    run_dir: RunDir = None,
    as_json: _Json = False,
) -> None:
    """Fetch keys now, in all workers, and forget the decisions that older keys allowed.

    When it returns with 0, a key that its issuer has removed is no longer accepted.

    Example: [bold]jwtgate keys refresh gateway.yaml --issuer idp[/bold]
    """
    told = ask_gateway(running_in(config, run_dir), "keys-refresh", {"issuer": issuer})
    _print(told, as_json=as_json)
    if told["answering"] < told["workers"] or told["without_answer"] or "not_flushed" in told:
        raise typer.Exit(1)


def _views(told: dict[str, Any]) -> tuple[IssuerView, ...]:
    return msgspec.convert(told["issuers"], tuple[IssuerView, ...])


def _print(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    # A terminal that is too narrow breaks lines; a thumbprint in pieces is of no use to anybody.
    console = Console(highlight=False, soft_wrap=True, width=max(Console().width, _WIDTH))
    now = time.time()
    for number, view in enumerate(_views(told)):
        if number:
            console.print()
        _print_issuer(console, view, now)
    _print_revocation(console, told)
    if told["answering"] < told["workers"]:
        missing = told["workers"] - told["answering"]
        console.print(Text(f"\n{missing} of {told['workers']} validators did not answer", "red"))
    if told.get("without_answer"):
        which = f"{told['without_answer']} of {told['workers']} validators"
        text = f"\nin {which} a fetch has failed, or has not ended: they go on with the keys that they had"
        console.print(Text(text, "red"))
    if "flushed" in told:
        console.print(Text(f"\n{told['flushed']}", "dim"))
    if "not_flushed" in told:
        text = f"\ncached decisions hold until the end of their staleness: {told['not_flushed']}"
        console.print(Text(text, "yellow"))


def _print_revocation(console: Console, told: dict[str, Any]) -> None:
    """The status lists and the deny-list, where there are any; nothing after a fetch of keys."""
    for view in msgspec.convert(told.get("status_lists", ()), tuple[StatusListView, ...]):
        console.print(Text.assemble(("\nstatus list", "bold"), f"  {view.uri} of {view.issuer}"))
        if view.age is None:
            console.print(Text("  not there: tokens that name it get 503", "red"))
        else:
            console.print(Text(f"  confirmed {_ago(view.age)}", "dim"))
        if view.error is not None:
            console.print(Text(f"  failing: {view.error}", "red"))
    denied = told.get("deny_list", {})
    if denied.get("file") is not None:
        console.print(Text.assemble(("\ndeny-list", "bold"), f"  {denied['file']}"))
        console.print(Text(f"  entries in use: {denied['entries']}", "dim"))
        if denied["error"] is not None:
            console.print(Text(f"  cannot be used as it is, the last good one is: {denied['error']}", "red"))


def _print_issuer(console: Console, view: IssuerView, now: float) -> None:
    whose = f"{view.issuer} ({view.tenants} tenants)" if view.tenants > 1 else view.issuer
    console.print(Text.assemble((view.name, "bold"), "  ", whose))
    facts = [view.source]
    if view.origin in _ORIGINS:
        facts.append(_ORIGINS[view.origin])
    if view.age is not None:
        facts.append(f"confirmed {_ago(view.age)}")
    if view.next_refresh is not None:
        facts.append(f"next refresh in {_span(view.next_refresh)}")
    console.print(Text(f"  {', '.join(facts)}", "dim"))
    if view.origin in _COMING:
        console.print(Text(f"  {_COMING[view.origin]}", "yellow"))
    elif not view.available:
        console.print(Text("  unavailable: its tokens get 503", "red"))
    if view.last_error is not None and view.last_error_at is not None:
        tense, style = ("failing", "red") if view.failing else ("last error", "yellow")
        console.print(Text(f"  {tense}, {_ago(now - view.last_error_at)}: {view.last_error}", style))
    for note in view.ignored:
        console.print(Text(f"  {note}", "yellow"))
    if view.keys:
        console.print(_table(view.keys, now), crop=False)


def _table(shown: tuple[KeyView, ...], now: float) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for heading in ("kid", "alg", "thumbprint", "first seen", "last used"):
        table.add_column(heading, overflow="fold", min_width=43 if heading == "thumbprint" else None)
    for key in shown:
        table.add_row(
            Text(key.kid if key.kid is not None else "(none)"),
            Text(", ".join(key.algorithms)),
            Text(key.thumbprint or "(a secret)"),
            Text(_ago(now - key.first_seen)),
            Text("never" if key.last_used is None else _ago(now - key.last_used)),
        )
    return table


def _ago(seconds: float) -> str:
    return f"{_span(seconds)} ago"


def _span(seconds: float) -> str:
    """A length of time in its two largest units, `3 min`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


keys.callback(help=help_text(about))(about)
for command in (show, refresh):
    keys.command(help=help_text(command))(command)
