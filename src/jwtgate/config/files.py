"""Files that gateway.yaml names: relative to its own directory, and readable where they must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.config.document import Path as Place
    from jwtgate.config.report import Report


@dataclass(frozen=True, slots=True)
class Files:
    """The directory of gateway.yaml, absolute."""

    directory: Path

    def path(self, name: str) -> Path:
        """The absolute path of a file or directory; it need not exist."""
        return self.directory / name

    def readable(self, place: Place, name: str, report: Report) -> Path | None:
        """The absolute path of a file that can be read now; None if it cannot, which is then reported."""
        path = self.path(name)
        try:
            with path.open("rb") as file:
                file.read(1)
        except OSError as error:
            reason = (error.strerror or "it cannot be read").lower()
            hint = "the path is relative to the directory of this file"
            report.error(place, f"the file {report.shown(place, name)} cannot be read: {reason}", hint)
            return None
        return path
