"""The statuses of many tokens in one array of 1, 2, 4 or 8 bits each (Token Status List, section 4).

Rules: what is inflated is bounded before it is there; the compressed stream is whole and nothing follows it; an
index beyond the array has no status, which is not the same as a status of 0.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from jwtgate.errors import StatusListRefusedError
from jwtgate.keys.encoding import decode_base64url, encode_base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

BITS: Final = (1, 2, 4, 8)  # section 4.2: "The allowed values for bits are 1, 2, 4 and 8"

MAX_BYTES: Final = 8 << 20
"""The largest array that is inflated: 64 million statuses of one bit."""

# Section 7.1, the registered statuses.
VALID: Final = 0
INVALID: Final = 1
SUSPENDED: Final = 2


class StatusList(msgspec.Struct, frozen=True, gc=False):
    """`octets` hold the statuses, `bits` each, the first one in the lowest bits of the first octet."""

    bits: int
    octets: bytes

    def __repr__(self) -> str:
        """The size only."""
        return f"StatusList(bits={self.bits}, {len(self)} statuses)"

    def __len__(self) -> int:
        """How many statuses there are."""
        return len(self.octets) * 8 // self.bits

    def status(self, index: int) -> int | None:
        """The status of the token with this index, which is 0 or more; None beyond the end."""
        at, shift = divmod(index * self.bits, 8)
        if at >= len(self.octets):
            return None
        return self.octets[at] >> shift & (1 << self.bits) - 1


def pack(statuses: Mapping[int, int], size: int, bits: int = 1) -> StatusList:
    """A list of `size` statuses: those of `statuses` by index, and 0.

    Raises ValueError for an index or a status that has no place in it.
    """
    octets = bytearray(-(-size * bits // 8))
    for index, status in statuses.items():
        if not 0 <= index < size or not 0 <= status < 1 << bits:
            raise ValueError(f"no place for status {status} at {index} in {size} statuses of {bits} bits")
        at, shift = divmod(index * bits, 8)
        octets[at] = octets[at] & ~((1 << bits) - 1 << shift) | status << shift
    return StatusList(bits, bytes(octets))


def write_status_list(statuses: StatusList) -> dict[str, Any]:
    """The `status_list` claim (section 4.2): compressed, base64url."""
    # Section 4.1: "using the highest compression level available" is recommended.
    compressed = zlib.compress(statuses.octets, level=9)
    return {"bits": statuses.bits, "lst": encode_base64url(compressed).decode()}


def read_status_list(claim: object, *, max_bytes: int = MAX_BYTES) -> StatusList:
    """The list that a `status_list` claim holds. Raises StatusListRefusedError; the text says why."""
    if not isinstance(claim, dict):
        raise StatusListRefusedError('it has no "status_list" object')
    bits, text = claim.get("bits"), claim.get("lst")
    if type(bits) is not int or bits not in BITS:
        raise StatusListRefusedError('"bits" is not one of 1, 2, 4 and 8')
    compressed = decode_base64url(text.encode()) if isinstance(text, str) and text.isascii() else None
    if compressed is None:
        raise StatusListRefusedError('"lst" is not base64url')
    return StatusList(bits, _inflate(compressed, max_bytes))


def _inflate(compressed: bytes, max_bytes: int) -> bytes:
    # Section 4.1: DEFLATE (RFC 1951) in the ZLIB format (RFC 1950).
    stream = zlib.decompressobj()
    try:
        octets = stream.decompress(compressed, max_bytes + 1)
    except zlib.error:
        raise StatusListRefusedError('"lst" is not a ZLIB stream') from None
    if len(octets) > max_bytes:
        raise StatusListRefusedError(f'"lst" inflates to more than {max_bytes} bytes')
    if not stream.eof:
        raise StatusListRefusedError('"lst" ends in the middle of its ZLIB stream')
    if stream.unused_data:
        raise StatusListRefusedError('something follows the ZLIB stream in "lst"')
    return octets
