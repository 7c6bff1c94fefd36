"""Parsers of addresses: listeners, networks, hosts, upstream servers, URLs of keys. See `values`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from jwtgate.config.problems import Fault
from jwtgate.config.values import CONTROL

_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)


def listener_address(value: Any) -> str | Fault:
    """`0.0.0.0:8000` from `8000`, `127.0.0.1:8000` or `[::1]:8000`."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return Fault("{field} must be a port or an address, not {value}", "write 8000 or 127.0.0.1:8000")
    host, _, port = str(value).rpartition(":")
    if port_number(port) is None:
        return Fault("{value} has no port from 1 to 65535", "write 8000, 127.0.0.1:8000 or [::1]:8000")
    address = ip_host(host or "0.0.0.0")  # noqa: S104, a gateway's port is for everyone unless an address is given
    if address is None:
        return Fault(
            "{value} does not begin with an IP address", "write 127.0.0.1:8000, 0.0.0.0:8000 or [::]:8000"
        )
    return f"{address}:{int(port)}"


def admin_address(value: Any) -> str | Fault | None:
    """`127.0.0.1:9145` from `9145` or an address and a port; None from `off`."""
    # YAML 1.2 reads `off` as text; who writes `false` means the same.
    if value is False or value == "off":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"127.0.0.1:{value}"
    address = listener_address(value)
    if not isinstance(address, Fault):
        return address
    return Fault(
        "the admin address must be off, a port, or an IP address and a port, not {value}",
        "write 9145, 127.0.0.1:9145, [::1]:9145 or off",
    )


def is_loopback_address(address: str) -> bool:
    """Whether an address with a port, as `admin_address` gives it, is reached from this machine only."""
    return _is_loopback(address.rpartition(":")[0])


def port_number(value: str) -> int | None:
    """A TCP or UDP port; None if it is none."""
    if not _PORT.fullmatch(value) or not 1 <= int(value) <= 65535:
        return None
    return int(value)


def ip_host(value: str) -> str | None:
    """An IP address as it stands before a port, IPv6 in brackets and in its shortest form."""
    bracketed = value.startswith("[") and value.endswith("]")
    try:
        address = ip_address(value[1:-1] if bracketed else value)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) != bracketed or getattr(address, "scope_id", None):
        return None
    return f"[{address}]" if bracketed else str(address)


def network(value: str) -> str | Fault:
    """A CIDR block, from a block or a single address."""
    try:
        return str(ip_network(value))
    except ValueError:
        pass
    try:
        hint = f"write {ip_network(value, strict=False)}"
    except ValueError:
        hint = "write a block like 10.0.0.0/8, or one address"
    return Fault("{value} is not a CIDR block", hint)


def host(value: str) -> str | Fault:
    """A host of a route: exact, or `*.example.com`. Lower case."""
    if len(value) <= 253 and _HOST.fullmatch(value.removeprefix("*.")):
        return value.lower()
    return Fault(
        "{value} is not a host name",
        "write api.example.com or *.example.com, without scheme and port, other alphabets in their xn-- form",
    )


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """An address of an upstream: `host:port` or `unix:/path`."""

    address: str
    tls: bool
    is_name: bool = False  # a host name, which somebody has to resolve


_DEFAULT_PORTS = {"http": 80, "https": 443}


def server_address(value: Any) -> ServerAddress | Fault:
    """An upstream server, from `http://host:port`, `https://host` or `unix:/path`."""
    how = "write http://host:3000, https://host or unix:/path/to.sock"
    if not isinstance(value, str):
        return Fault("{field} must be a URL, not {value}", how)
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        if path.startswith("/") and not re.search(r"[\s:;{}\"'\\$]", path) and not CONTROL.search(path):
            return ServerAddress(value, tls=False)
        return Fault("{value} is not the path of a socket", "write unix: and an absolute path without spaces")
    parsed = _url(value)
    if isinstance(parsed, Fault):
        return parsed if parsed.message else Fault("{value} is not the URL of a server", how)
    if parsed.rest:
        return Fault(
            "{value} has a path, and an upstream is only an address",
            f"write {parsed.scheme}://{parsed.netloc}; a route's strip_prefix removes its own path",
        )
    is_name = ip_host(parsed.host) is None
    return ServerAddress(f"{parsed.host}:{parsed.port}", parsed.scheme == "https", is_name)


TENANT = "{tenant}"  # where a tenant's name stands in a template


@dataclass(frozen=True, slots=True)
class KeyUrl:
    """The URL of a JWKS, or a template of one."""

    url: str
    plain_remote: bool  # http, and not to a loopback address


def jwks_url(value: Any, example: str = "https://issuer.example.com/jwks.json") -> KeyUrl | Fault:
    """A URL that keys, or what leads to them, may be fetched from."""
    if not isinstance(value, str):
        return Fault("{field} must be a URL, not {value}", f"write {example}")
    parsed = _url(value.replace(TENANT, "tenant"))
    if isinstance(parsed, Fault):
        return parsed if parsed.message else Fault("{value} is not a URL", f"write {example}")
    if "#" in value:
        return Fault("{field} has a fragment, which is never sent", 'remove the "#" and what follows')
    return KeyUrl(value, plain_remote=parsed.scheme == "http" and not _is_loopback(parsed.host))


def signer_url(value: Any) -> str | Fault:
    """The URL of an authorization server. RFC 8414, section 2: without query and fragment."""
    how = "write https://gateway.example.com/signer"
    if not isinstance(value, str):
        return Fault("{field} must be a URL, not {value}", how)
    parsed = _url(value)
    if isinstance(parsed, Fault):
        return parsed if parsed.message else Fault("{value} is not a URL", how)
    if "?" in value or "#" in value:
        return Fault("{field} has a query or a fragment", how)
    return value


def status_url(value: Any) -> KeyUrl | Fault:
    """A URL that a status list may be fetched from. Its last path segment may be `*`."""
    how = "write https://issuer.example.com/statuslists/1, or https://issuer.example.com/statuslists/*"
    if not isinstance(value, str):
        return Fault("{field} must be a URL, not {value}", how)
    found = jwks_url(value)
    if isinstance(found, Fault):
        return found if "is not a URL" not in found.message else Fault("{value} is not a URL", how)
    path = urlsplit(value).path
    if "*" in value and not (value.count("*") == 1 and value.endswith("/*") and path.endswith("/*")):
        return Fault("{value} has a * that is not its whole last path segment", how)
    return found


def login_url(value: Any) -> str | Fault:
    """Where people sign in, as the beginning of a URL that the encoded address to return to completes."""
    found = _own_url(value, "https://login.example.com/start?return_to=")
    if isinstance(found, Fault) or found.endswith("="):
        return found
    return f"{found}{'&' if '?' in found else '?'}return_to="


def resource_url(value: Any) -> str | Fault:
    """The identifier of a protected resource (RFC 9728, section 1.2): a URL without query and fragment."""
    how = "https://api.example.com/orders"
    found = _own_url(value, how)
    if not isinstance(found, Fault) and "?" in found:
        return Fault("{field} has a query", f"write a URL without one: {how}")
    return found


def _own_url(value: Any, how: str) -> str | Fault:
    parsed = _url(value) if isinstance(value, str) else Fault("")
    if isinstance(parsed, Fault):
        return parsed if parsed.message else Fault("{value} is not a URL", f"write {how}")
    if "#" in value:
        return Fault("{field} has a fragment", 'remove the "#" and what follows')
    if parsed.scheme == "http" and not _is_loopback(parsed.host):
        return Fault("{field} is not https, and everyone on the way could change it", f"write {how}")
    return str(value)


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Url:
    scheme: str
    netloc: str
    host: str  # IPv6 in brackets
    port: int
    rest: str  # path, query and fragment


def _url(value: str) -> _Url | Fault:
    """An http or https URL. A Fault without words means that it is none at all."""
    if re.search(r"[^\x21-\x7e]|[\"'\\<>{}^`|]", value):
        return Fault("")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return Fault("")
    if parts.username is not None or parts.password is not None:
        # Not repeated: it may hold a password.
        return Fault("{field} has a user name or a password in it", "remove what stands before the @")
    netloc = parts.netloc
    name = netloc[: netloc.rindex(":")] if port is not None else netloc.removesuffix(":")
    valid = ip_host(name) if name.startswith("[") else _HOST.fullmatch(name)
    if parts.scheme not in _DEFAULT_PORTS or not valid or port == 0:
        return Fault("")
    rest = value[value.index(netloc) + len(netloc) :]
    return _Url(parts.scheme, netloc, name, port or _DEFAULT_PORTS[parts.scheme], rest)
