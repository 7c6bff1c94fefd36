"""A real PostgreSQL for tests: Debian's, in a directory of its own, reached by a unix socket only."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

if TYPE_CHECKING:
    from types import TracebackType

_NUMBERS = itertools.count()


def binaries() -> Path | None:
    """Where Debian keeps the newest PostgreSQL's programs; None without one. They are not on PATH."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name)
    )
    if found:
        return found[-1].parent
    named = shutil.which("postgres")
    return None if named is None else Path(named).resolve().parent


class PostgreSQL:
    """A server. PostgreSQL refuses to run as root: then it runs as the package's own user."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = "postgres" if os.geteuid() == 0 else None
        self._directory = Path(tempfile.mkdtemp(prefix="jwtgate-pg-"))

    def __enter__(self) -> Self:
        try:
            if self._user is not None:
                shutil.chown(self._directory, self._user)
            self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-sync")
            self.start()
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def start(self) -> None:
        """Start the server, and wait for it."""
        # fsync: these tests kill our processes, never the machine.
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-l", str(self._directory / "log"), "start",
            "-o", f"-c listen_addresses='' -c unix_socket_directories={self._directory} -c fsync=off",
        )  # fmt: skip

    def stop(self) -> None:
        """End it at once, as a crash would: connections break, what was committed stays."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")

    def freeze(self) -> None:
        """It takes connections and answers nobody."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        os.kill(self._pid, signal.SIGCONT)

    @property
    def _pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def new_database(self) -> str:
        """The URL of a database that nobody has used."""
        name = f"signer{next(_NUMBERS)}"
        with psycopg.connect(
            host=str(self._directory), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self._directory}"

    def _run(self, program: str, *arguments: str) -> None:
        ended = subprocess.run(
            [self._programs / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            user=self._user,
            cwd="/",
            timeout=120,
        )
        if ended.returncode:
            raise RuntimeError(f"{program}: {ended.stderr.decode(errors='replace')}")
