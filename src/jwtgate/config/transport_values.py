"""Parsers of single values of the transport: redirects, name servers, rates. See `values`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from jwtgate.config.addresses import ip_host, port_number
from jwtgate.config.problems import Fault

_RATE = re.compile(r"([0-9]{1,6})\s*(?:r\s*)?/\s*(s|m)")


def redirect_to_https(value: Any) -> int | bool | Fault:
    """Whether, or to which port."""
    if isinstance(value, bool) or (isinstance(value, int) and 1 <= value <= 65535):
        return value
    return Fault("{field} must be true, false or a port from 1 to 65535, not {value}", "write true, or 443")


def name_server(value: Any) -> str | Fault:
    """`127.0.0.11`, `10.0.0.2:5353`, `[::1]` or `[::1]:5353`, as NGINX's `resolver` takes it."""
    fault = Fault("{value} is not the address of a name server", "write an IP address: 127.0.0.11 or [::1]:5353")
    if not isinstance(value, str):
        return fault
    host, colon, port = value, "", ""
    if value.count(":") == 1 or "]:" in value:
        host, colon, port = value.rpartition(":")
    address = ip_host(host) or ip_host(f"[{host}]")
    if address is None or (colon and port_number(port) is None):
        return fault
    return f"{address}:{int(port)}" if colon else address


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests per second or minute."""

    count: int
    per: Literal["s", "m"]


def rate(value: Any) -> Rate | Fault:
    """`10/s`, `300/m`."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        return Fault("{field} must be a rate, not {value}", "write requests per second or minute: 10/s, 300/m")
    return Rate(int(match[1]), "s" if match[2] == "s" else "m")
