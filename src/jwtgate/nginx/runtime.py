"""NGINX's configuration on disk, checked, and the NGINX process itself."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jwtgate.errors import NginxError
from jwtgate.unix_http import ask

if TYPE_CHECKING:
    from jwtgate.nginx.binary import Nginx
    from jwtgate.nginx.site import Site


def write_configuration(text: str, path: Path, *, mode: int = 0o600) -> None:
    """Put `text` in place of `path` in one step, by default readable by its owner only."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".nginx-", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def check(nginx: Nginx, configuration: Path) -> None:
    """`nginx -t`. Raises NginxError with NGINX's own words and the line that they are about."""
    result = subprocess.run(  # noqa: S603 - an NGINX that find_nginx has inspected
        [*_command(nginx, configuration), "-t", "-q"], capture_output=True, text=True, check=False, timeout=60
    )
    if result.returncode == 0:
        return
    said = result.stderr.strip()
    about = re.search(re.escape(str(configuration)) + r":(\d+)", said)
    line = configuration.read_text().splitlines()[int(about[1]) - 1].strip() if about else ""
    raise NginxError(
        f"NGINX {nginx.version_text} refuses the configuration that was made for it:\n{said}"
        + (f"\n  {line}" if line else "")
    )


def execute(nginx: Nginx, configuration: Path) -> NoReturn:
    """Become NGINX's master process."""
    os.execv(nginx.path, _command(nginx, configuration))  # noqa: S606 - an NGINX that find_nginx has inspected


def running_generation(site: Site) -> str | None:
    """The generation of the configuration that the running NGINX answers by; None when none answers."""
    answer = ask(site.control_socket, "/generation")
    return answer[1] if answer else None


def _command(nginx: Nginx, configuration: Path) -> list[str]:
    # `-e`: before it has read `error_log`, NGINX writes to a file chosen when it was built, which may not be ours.
    return [str(nginx.path), "-p", str(configuration.parent), "-e", "stderr", "-c", str(configuration)]
