"""A validator's answer, taken apart."""

from __future__ import annotations


def taken_apart(answer: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Status and headers, the names in lower case; that there is no body is asserted."""
    head, end, body = answer.partition(b"\r\n\r\n")
    assert (end, body) == (b"\r\n\r\n", b"")
    status, *lines = head.split(b"\r\n")
    version, code, _ = status.split(b" ", 2)
    assert version == b"HTTP/1.1"
    pairs = [line.split(b": ", 1) for line in lines]
    return int(code), [(name.lower(), value) for name, value in pairs]
