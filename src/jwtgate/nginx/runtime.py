"""NGINX's configuration on disk, checked, and the NGINX process itself."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jwtgate.errors import NginxError

if TYPE_CHECKING:
    from jwtgate.nginx.binary import Nginx
    from jwtgate.nginx.site import Site


def write_configuration(text: str, path: Path) -> None:
    """Put `text` in place of `path` in one step, readable by its owner only."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".nginx-", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
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
    connection = _UnixConnection(site.control_socket)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/generation")
        return connection.getresponse().read().decode()
    return None


def _command(nginx: Nginx, configuration: Path) -> list[str]:
    # `-e`: before it has read `error_log`, NGINX writes to a file chosen when it was built, which may not be ours.
    return [str(nginx.path), "-p", str(configuration.parent), "-e", "stderr", "-c", str(configuration)]


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=1)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
