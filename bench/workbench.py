"""What a scenario works with: a directory, the service behind all gateways, keys, how long to measure, and a line
on the terminal that says what is happening."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import minting, preflight
from bench.interleaved import REPEATS
from bench.interrupted import directory_in_memory
from bench.load import Tokens
from bench.systems import SYSTEMS, Setting
from bench.systems.nginx import service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.results import Saved
    from bench.systems import Running
    from jwtgate.keys import SigningKey


@dataclass(frozen=True, slots=True)
class Bench:
    """`rounds` runs of `seconds` each. `step` says what comes next."""

    work: Path
    service: str
    keys: dict[str, SigningKey]
    rounds: int
    seconds: int
    step: Callable[[str], None]
    quick: bool = False
    saved: Saved | None = None  # samples of `interleaved.measure`

    def setting(self, staleness: int = 60) -> Setting:
        """What systems are started with."""
        return Setting(self.work, self.service, self.keys, staleness)

    @contextlib.contextmanager
    def systems(self, names: Sequence[str], staleness: int = 60) -> Iterator[dict[str, Running]]:
        """These systems, all of them running, and seen to refuse bad tokens."""
        with contextlib.ExitStack() as stack:
            found = {}
            for name in names:
                self.step(f"starting {name}")
                found[name] = stack.enter_context(SYSTEMS[name](self.setting(staleness)))
                if name not in preflight.WITHOUT_AUTHENTICATION:
                    preflight.check(name, found[name].address, self.keys)
            yield found

    def repeated(self, algorithm: str, distinct: int = 100) -> Tokens:
        """So many tokens, in turn."""
        self.step(f"minting {algorithm}")
        return Tokens(minting.token_file(algorithm, distinct), distinct)

    def no_token(self) -> Tokens:
        """Requests without a token."""
        return Tokens(minting.no_token_file(), 1)

    def fresh(self, algorithm: str, a_run: int, runs: int, *, first: int = 0) -> Tokens:
        """Tokens of which none is sent twice: so many for each run, and for samples that are repeated.

        The `first` ones of all are left out.
        """
        number = first + a_run * (runs + REPEATS)
        self.step(f"minting {algorithm}: {number:,}")
        return Tokens(minting.fresh_file(algorithm, number), a_run, fresh=True, first=first)


@contextlib.contextmanager
def set_up(
    *, rounds: int, seconds: int, step: Callable[[str], None], quick: bool, saved: Saved | None = None
) -> Iterator[Bench]:
    """A work directory in memory, and the service."""
    with directory_in_memory() as work:
        work.chmod(0o711)  # as root, NGINX's workers are somebody else
        with service(work) as backend:
            yield Bench(work, backend, minting.keys(), rounds, seconds, step, quick, saved)
