"""The array of statuses: how it is packed, compressed and read, and what of it is refused."""

from __future__ import annotations

import zlib

import pytest

from jwtgate.errors import StatusListRefusedError
from jwtgate.keys.encoding import encode_base64url
from jwtgate.revocation import StatusList, pack, read_status_list
from jwtgate.revocation.status_list import write_status_list


def claim(octets: bytes, bits: object = 1) -> dict[str, object]:
    return {"bits": bits, "lst": encode_base64url(zlib.compress(octets)).decode()}


# Token Status List, section 4: the arrays of its worked examples.
ONE_BIT = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
TWO_BITS = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("statuses", "bits", "octets"), [(ONE_BIT, 1, bytes([0xB9, 0xA3])), (TWO_BITS, 2, bytes([0xC9, 0x44, 0xF9]))]
)
def test_statuses_are_packed_as_the_specification_shows(statuses: list[int], bits: int, octets: bytes) -> None:
    packed = pack(dict(enumerate(statuses)), len(statuses), bits)
    assert packed.octets == octets
    assert [packed.status(index) for index in range(len(statuses))] == statuses
    assert read_status_list(write_status_list(packed)) == packed


def test_the_compressed_example_of_the_specification_is_read() -> None:
    read = read_status_list({"bits": 1, "lst": "eNrbuRgAAhcBXQ"})
    assert [read.status(index) for index in range(len(read))] == ONE_BIT


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_each_status_stands_alone(bits: int) -> None:
    size = 40
    for index in range(size):
        for status in (1, (1 << bits) - 1):
            packed = pack({index: status}, size, bits)
            assert [packed.status(each) for each in range(size)] == [
                status if each == index else 0 for each in range(size)
            ]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_an_index_beyond_the_end_has_no_status(bits: int) -> None:
    packed = pack({}, 16, bits)
    assert len(packed) == 16
    assert packed.status(15) == 0
    for index in (16, 17, 1 << 40, 10**300):
        assert packed.status(index) is None


@pytest.mark.parametrize(("index", "status"), [(-1, 1), (8, 1), (0, 2), (0, -1)])
def test_what_has_no_place_is_not_packed(index: int, status: int) -> None:
    with pytest.raises(ValueError, match="no place"):
        pack({index: status}, 8)


GOOD = claim(b"\x00" * 8)
BAD: dict[str, tuple[object, str]] = {
    "no object": ([], "status_list"),
    "null": (None, "status_list"),
    "three bits": (claim(b"\x00", 3), "bits"),
    "no bits": ({"lst": GOOD["lst"]}, "bits"),
    "bits as text": (claim(b"\x00", "1"), "bits"),
    "bits as true": (claim(b"\x00", True), "bits"),
    "bits as a float": (claim(b"\x00", 1.0), "bits"),
    "no lst": ({"bits": 1}, "lst"),
    "lst with padding": ({"bits": 1, "lst": f"{GOOD['lst']}="}, "base64url"),
    "lst of other letters": ({"bits": 1, "lst": "eNr\u00e4"}, "base64url"),
    "not ZLIB": ({"bits": 1, "lst": encode_base64url(b"\x1f\x8b\x08 gzip").decode()}, "ZLIB"),
    "truncated": ({"bits": 1, "lst": encode_base64url(zlib.compress(bytes(999))[:-5]).decode()}, "middle"),
    "a tail": ({"bits": 1, "lst": encode_base64url(zlib.compress(b"\x00") + b"x").decode()}, "follows"),
    "wrong checksum": ({"bits": 1, "lst": encode_base64url(zlib.compress(b"abc")[:-1] + b"x").decode()}, "ZLIB"),
}


@pytest.mark.parametrize(("bad", "said"), BAD.values(), ids=BAD.keys())
def test_what_is_no_list_is_refused(bad: object, said: str) -> None:
    with pytest.raises(StatusListRefusedError, match=said):
        read_status_list(bad)


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compressobj(9)
    compressed = b"".join([*(bomb.compress(bytes(1 << 20)) for _ in range(64)), bomb.flush()])
    assert len(compressed) < 1 << 17
    with pytest.raises(StatusListRefusedError, match="more than 8388608 bytes"):
        read_status_list({"bits": 1, "lst": encode_base64url(compressed).decode()})


def test_the_limit_itself_is_allowed() -> None:
    assert read_status_list(claim(bytes(64)), max_bytes=64) == StatusList(1, bytes(64))
    with pytest.raises(StatusListRefusedError):
        read_status_list(claim(bytes(65)), max_bytes=64)
