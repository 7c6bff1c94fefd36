"""Free ports on loopback."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` consecutive free ports.

    Below the range that the kernel takes outgoing ports from, so that no connection of ours is in the way.
    """
    while True:
        first = random.randrange(10000, 32000)  # noqa: S311 - a port is no secret
        try:
            for port in range(first, first + count):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return first
