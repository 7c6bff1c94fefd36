"""An NGINX from a configuration on disk, started by the test itself: nobody watches it."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support.gateway import wait_until
from support.http import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def serving(nginx: Path, configuration: Path, address: str) -> Iterator[Path]:
    """Run it, with the directory of `configuration` as its prefix, until the block ends. `address` answers.

    The value is the file with what it says on standard error, which a RuntimeError tells if it does not start.
    """
    work = configuration.parent
    said = work / "said"
    command = [str(nginx), "-p", str(work), "-e", "stderr", "-c", str(configuration)]
    with said.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(address) or process.poll() is not None, patience=10)
        if process.poll() is not None:
            raise RuntimeError(said.read_text(errors="replace"))
        yield said
    finally:
        process.terminate()
        process.wait(10)


def _answers(address: str) -> bool:
    try:
        connect(address).close()
    except OSError:
        return False
    return True
