"""What both ends of the control socket know: where it is, what can be asked, and how long that may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Command → seconds that a caller should wait for it. What each does: `jwtgate.control.commands`.
PATIENCE: Mapping[str, float] = {
    "status": 10.0,
    "view": 10.0,
    "flush": 200.0,
    "reload": 200.0,
    "keys": 10.0,
    "keys-refresh": 240.0,
    "shadow": 10.0,
    "revoke": 260.0,
}


def control_socket(run_dir: Path) -> Path:
    """Where a running gateway takes commands."""
    return run_dir / "control.sock"
