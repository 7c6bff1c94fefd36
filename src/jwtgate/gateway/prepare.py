"""The next configuration, made ready in a process of its own.

What a broken gateway.yaml can do to whoever reads it (an endless loop, a fault in a parser, all the memory), it
does to that process. The supervisor gets a Plan that NGINX has checked, or the reason why there is none. It is
handed over in a file that exists in memory only, for it may hold secrets.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jwtgate.errors import ControlError, JwtgateError
from jwtgate.nginx.names import system_names
from jwtgate.nginx.render import render
from jwtgate.nginx.runtime import check, write_configuration
from jwtgate.supervisor import Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jwtgate.nginx.binary import Nginx
    from jwtgate.nginx.site import Site
    from jwtgate.plan import Plan
    from jwtgate.supervisor import Supervisor

# Seconds to load, render and check: 10,000 routes take some five.
PATIENCE = 90.0

_LIMIT = 1 << 30  # bytes of a handed-over Plan


@dataclass(frozen=True, slots=True)
class Prepared:
    """A Plan, and the configuration that it stands for at this Site."""

    plan: Plan
    site: Site
    configuration: str


def prepare(supervisor: Supervisor, load: Callable[[], Plan], site: Site, binary: Nginx) -> Prepared:
    """Load a Plan, render its configuration, have NGINX check it. Raises ControlError."""
    descriptor = os.memfd_create("jwtgate-plan")
    try:
        program = Program("prepare", lambda: _prepare(load, site, binary, descriptor))
        ended = supervisor.run_once(program, patience=PATIENCE)
        handed_over = os.pread(descriptor, _LIMIT, 0)
    finally:
        os.close(descriptor)
    if not ended or not handed_over:
        raise ControlError(
            "the configuration could not be read: the process that tried has failed, or took longer than "
            f"{PATIENCE:.0f} s; its log says more"
        )
    prepared: Prepared | str = pickle.loads(handed_over)  # noqa: S301 - our own child has written it
    if isinstance(prepared, str):
        raise ControlError(prepared)
    return prepared


def _prepare(load: Callable[[], Plan], site: Site, binary: Nginx, descriptor: int) -> None:
    result: Prepared | str
    try:
        plan = load()
        site = replace(site, workers=plan.workers, names=system_names(), counts=plan.admin is not None)
        configuration = render(plan, site)
        _check(binary, configuration, site.configuration.with_suffix(".new"))
        result = Prepared(plan, site, configuration)
    except JwtgateError as error:
        result = str(error)
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        pickle.dump(result, file)


def _check(binary: Nginx, configuration: str, file: Path) -> None:
    """In the directory of the running configuration: relative paths mean the same."""
    try:
        write_configuration(configuration, file)
        check(binary, file)
    finally:
        file.unlink(missing_ok=True)
