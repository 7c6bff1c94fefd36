"""What a start does not pay for when it does not need it."""

from __future__ import annotations

import subprocess
import sys


def test_a_gateway_without_a_signer_does_not_load_its_database() -> None:
    code = (
        "import jwtgate.cli.up, sys; print(sorted({'alembic', 'sqlalchemy', 'jwtgate.signer'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
