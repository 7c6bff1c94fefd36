"""`jwtgate demo`: the reference scenario, whole."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jwtgate.cli.options import NginxOption, nginx_text
from jwtgate.config import load
from jwtgate.demo import microservice_a, microservice_b
from jwtgate.errors import StartError
from jwtgate.gateway import run_gateway
from jwtgate.nginx import find_nginx
from jwtgate.run_directory import default_run_dir, remove_abandoned, working_directory
from jwtgate.serve import bind, is_listening, serve
from jwtgate.signer import run as run_signer
from jwtgate.supervisor import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.nginx import Nginx, Site
    from jwtgate.plan import Plan, SignerSettings

_PORT = 58080

# How the run_dir's name begins, which goes on with the port; and that of the directory of keys and log. Both may
# be in the same place, and neither is taken for the other.
_RUN_DIR = "jwtgate-demo-"
_FILES = "jwtgate-demo-files-"

# The ports after the gateway's, in this order.
_SERVICES = ("SIGNER", "A", "B")

Part = Literal["gateway", "signer", "microservice-a", "microservice-b"]
_LAST_PORT = 65535 - len(_SERVICES)


def demo(
    port: Annotated[
        int,
        typer.Option(
            min=1, max=_LAST_PORT, metavar="PORT", help="The gateway's port; its services take the next three."
        ),
    ] = _PORT,
    only: Annotated[
        Part | None,
        typer.Option("--only", help="Run this part alone, as in a container; the environment says where all are."),
    ] = None,
    nginx: NginxOption = None,
) -> None:
    """Start a gateway, a signer and two services on this machine, to try everything out.

    Ctrl-C ends it and leaves nothing behind. What one that was killed has left, the next one removes.

    Example: [bold]jwtgate demo[/bold], then in another terminal [bold]curl 127.0.0.1:58080/b/[/bold]
    """
    if only is not None:
        raise typer.Exit(_run_alone(only, nginx))
    found = find_nginx(nginx)
    _require_ports(port)
    run_dir = default_run_dir(f"{_RUN_DIR}{port}")
    remove_abandoned(run_dir.parent, f"{_RUN_DIR}[0-9]*")
    with working_directory(_FILES) as work:
        plan = _plan(port, work)
        code = run_gateway(
            _without_signer(plan),
            found,
            load=lambda: _without_signer(_plan(port, work)),
            run_dir=run_dir,
            beside=_programs(plan, port),
            is_ready=lambda: all(is_listening(f"127.0.0.1:{port + number}") for number in (1, 2, 3)),
            on_ready=lambda site: _welcome(plan, found, site, port),
        )
    typer.echo("\nThe demo has ended; nothing is left behind.", err=True)
    raise typer.Exit(code)


def _plan(port: int, work: Path) -> Plan:
    addresses = {f"JWTGATE_DEMO_{name}": f"127.0.0.1:{port + number}" for number, name in enumerate(_SERVICES, 1)}
    return _plan_for(
        os.environ
        | addresses
        | {
            "JWTGATE_DEMO_LISTEN": f"127.0.0.1:{port}",
            "JWTGATE_DEMO_SIGNER_LISTEN": addresses["JWTGATE_DEMO_SIGNER"],
            "JWTGATE_DEMO_KEY_DIR": str(work / "keys"),
            "JWTGATE_DEMO_ACCESS_LOG": str(work / "access.log"),
        }
    )


def _plan_for(environment: Mapping[str, str]) -> Plan:
    with as_file(files("jwtgate.demo") / "gateway.yaml") as path:
        return load(path, environment).plan


def _without_signer(plan: Plan) -> Plan:
    """The demo starts its own, which hands out tokens."""
    return replace(plan, signer=None)


def _run_alone(part: Part, nginx: str | None) -> int:
    """One part, as compose.yaml runs it. Returns the exit code."""
    plan = _plan_for(os.environ)
    listen = os.environ.get("JWTGATE_DEMO_LISTEN", f"127.0.0.1:{_PORT}")
    match part:
        case "gateway":
            return run_gateway(
                _without_signer(plan),
                find_nginx(nginx),
                load=lambda: _without_signer(_plan_for(os.environ)),
                on_ready=_say_ready,
            )
        case "signer":
            run_signer(_signer_of(plan), unsafe_example_token=True)
        case "microservice-a":
            serve(microservice_a.create_app(os.environ.get("JWTGATE_DEMO_GATEWAY", f"http://{listen}")), listen)
        case "microservice-b":
            serve(microservice_b.create_app(), listen)
    return 0


def _say_ready(site: Site) -> None:
    typer.echo(f"jwtgate: the demo's gateway is serving, run_dir {site.run_dir}", err=True)


def _signer_of(plan: Plan) -> SignerSettings:
    if plan.signer is None:
        raise StartError("the demo's gateway.yaml has no signer")
    return plan.signer


def _require_ports(port: int) -> None:
    for number in range(port, port + 1 + len(_SERVICES)):
        try:
            bind(f"127.0.0.1:{number}").close()
        except StartError as error:
            other = port + 10 if port + 10 <= _LAST_PORT else _PORT
            raise StartError(
                f"{error}.\nThe demo needs the ports {port} to {port + len(_SERVICES)}; "
                f"try others: jwtgate demo --port {other}"
            ) from error


def _programs(plan: Plan, port: int) -> list[Program]:
    settings = _signer_of(plan)
    gateway = f"http://127.0.0.1:{port}"
    return [
        Program("signer", lambda: run_signer(settings, unsafe_example_token=True)),
        Program("microservice-a", lambda: serve(microservice_a.create_app(gateway), f"127.0.0.1:{port + 2}")),
        Program("microservice-b", lambda: serve(microservice_b.create_app(), f"127.0.0.1:{port + 3}")),
    ]


def _welcome(plan: Plan, nginx: Nginx, site: Site, port: int) -> None:
    gateway = f"http://127.0.0.1:{port}"
    parts = (
        ("gateway", gateway, nginx_text(nginx)),
        ("validators", f"{plan.workers} processes", str(site.sockets)),
        ("signer", f"http://127.0.0.1:{port + 1}", "behind the gateway at /signer/"),
        ("microservice A", f"http://127.0.0.1:{port + 2}", "behind the gateway at /a/; calls B"),
        ("microservice B", f"http://127.0.0.1:{port + 3}", "behind the gateway at /b/"),
    )
    typer.echo("\nThe demo is running.\n")
    for name, where, what in parts:
        typer.echo(f"  {name:<16}{where:<24}{what}")
    typer.echo("\nTry it in another terminal:\n")
    for line in (
        f"""token=$(curl -s {gateway}/signer/example-token | cut -d '"' -f 4)""",
        f'curl -i -H "Authorization: Bearer $token" {gateway}/b/',
        f'curl -i -H "Authorization: Bearer $token" {gateway}/a/',
        f"curl -i {gateway}/b/",
    ):
        typer.echo(f"  {line}")
    typer.echo("\nWho was let through, who was not, and why:\n")
    typer.echo(f"  tail -f {plan.access_log}")
    typer.echo("\n/signer/example-token gives a valid token to whoever asks: only the demo has it.")
    typer.echo("Ctrl-C ends the demo.\n")
