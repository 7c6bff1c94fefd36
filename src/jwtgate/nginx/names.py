"""Host names on this machine: what /etc/hosts knows, and whom /etc/resolv.conf says to ask.

NGINX's own resolver asks name servers and nothing else. A name that stands in /etc/hosts is left to the system,
which NGINX asks when it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

_HOSTS = Path("/etc/hosts")
_RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Names:
    """Lower-case names that need no name server, and the name servers, IPv6 in brackets."""

    hosts: frozenset[str] = frozenset({"localhost"})
    servers: tuple[str, ...] = ("127.0.0.1",)  # resolv.conf(5): the default when none is named


def system_names(hosts: Path = _HOSTS, resolv_conf: Path = _RESOLV_CONF) -> Names:
    """What this machine's files say. A file that is not there says nothing."""
    return Names(
        hosts=frozenset({"localhost", *(name.lower() for line in _lines(hosts) for name in line[1:])}),
        servers=tuple(
            server
            for line in _lines(resolv_conf)
            if line[0] == "nameserver" and len(line) > 1 and (server := _server(line[1]))
        )
        or Names().servers,
    )


def _lines(file: Path) -> list[list[str]]:
    """The words of each line that has any, without comments."""
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return []
    lines = (line.partition("#")[0].partition(";")[0].split() for line in text.splitlines())
    return [words for words in lines if words]


def _server(text: str) -> str | None:
    """A name server as NGINX writes it; None for what it cannot ask: an address of one network interface only."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else f"[{address}]"
    return str(address)
