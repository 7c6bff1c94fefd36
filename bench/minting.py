"""Keys, and files of tokens: made once and kept for the day in .bench/, since signing takes its time."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bench.machine import end_with_parent
from bench.systems import AUDIENCE, issuer_of
from jwtgate.keys import generate_signing_key, load_signing_key, serialise_signing_key
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jwtgate.keys import SigningKey

ALGORITHMS: Final = ("ES256", "RS256", "ES512")
KEPT: Final = Path(".bench")

_LIFETIME = 48 * 3600
_CHUNK = 2000
# The tokens of these numbers, made at `made` (seconds since the epoch). Another process calls it.
Minter: TypeAlias = "Callable[..., list[str]]"

# Tokens that come again are numbered from 0, tokens that come once from here: so none is both.
FRESH_FROM: Final = 10_000_000


def keys() -> dict[str, SigningKey]:
    """A key for each algorithm. They sign tokens for gateways on loopback, and nothing else."""
    directory = KEPT / "keys"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = {}
    for algorithm in ALGORITHMS:
        path = directory / f"{algorithm}.pem"
        if not path.exists():
            for tokens in (KEPT / "tokens").glob(f"{algorithm}-*.txt"):
                tokens.unlink()
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(serialise_signing_key(generate_signing_key(algorithm), None))
        found[algorithm] = load_signing_key(path.read_bytes(), algorithm, None)
    return found


def token_file(algorithm: str, number: int) -> Path:
    """A file with at least `number` distinct tokens, one on each line, valid for a day at least."""
    return at_least(_file(algorithm, "repeated"), number, by_key(keys()[algorithm]))


def fresh_file(algorithm: str, number: int) -> Path:
    """The same, of tokens of which none is in `token_file`."""
    return at_least(_file(algorithm, "fresh"), number, by_key(keys()[algorithm]), first=FRESH_FROM)


def by_key(key: SigningKey) -> Minter:
    """Tokens of the issuer that has this key."""
    return partial(_mint, pem=serialise_signing_key(key, None), algorithm=key.algorithm)


def at_least(path: Path, number: int, minter: Minter, *, first: int = 0) -> Path:
    """Make a file hold at least `number` tokens, numbered from `first`. Those that it has stay, if they are young.

    The file is written under another name, and gets its own when it is whole: who is interrupted leaves the former
    one, and who reads it meanwhile goes on with that. ValueError if not all tokens are different.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    have, made = _state(path)
    if made < time.time() - _LIFETIME / 2:
        have, made = 0, int(time.time())
    if have >= number:
        return path
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        whole = Path(directory) / path.name
        if have:
            shutil.copyfile(path, whole)
        _append(whole, minter, range(first + have, first + number), made)
        _assert_distinct(whole, number)
        whole.replace(path)
    return path


def forged_file(algorithm: str) -> Path:
    """Tokens with everything right but the signature: each has another token's, of the same length."""
    path = _file(algorithm, "forged")
    tokens = list(lines(token_file(algorithm, 10_000), 10_000))
    signatures = [token.rpartition(".")[2] for token in tokens]
    with path.open("w") as file:
        for token, signature in zip(tokens, signatures[1:] + signatures[:1], strict=True):
            file.write(f"{token.rpartition('.')[0]}.{signature}\n")
    return path


def no_token_file() -> Path:
    """For what wants no token."""
    path = _file("none", "none")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("-\n")
    return path


def _file(algorithm: str, kind: str) -> Path:
    return KEPT / "tokens" / f"{algorithm}-{kind}.txt"


def _state(path: Path) -> tuple[int, int]:
    """How many tokens a file holds, and when the first of them was made; (0, 0) if there is none."""
    if not path.exists():
        return 0, 0
    with path.open("rb") as file:
        head = file.readline()
        have = sum(chunk.count(b"\n") for chunk in iter(partial(file.read, 1 << 20), b"")) + 1
    payload = head.split(b".")[1]
    return have, json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))["iat"]


def _append(path: Path, minter: Minter, numbers: range, made: int) -> None:
    chunks = [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=end_with_parent) as pool, path.open("a") as file:
        for tokens in pool.map(partial(minter, made=made), chunks):
            file.writelines(f"{token}\n" for token in tokens)


def _mint(numbers: range, *, pem: bytes, algorithm: str, made: int) -> list[str]:
    key = load_signing_key(pem, algorithm, None)
    return [mint(claims_of(number, issuer_of(algorithm), made), key) for number in numbers]


def claims_of(number: int, issuer: str, made: int) -> dict[str, Any]:
    """What a token says. All are of one length, so that all cost the same."""
    who = {"sub": f"user-{number:08}", "jti": f"token-{number:08}"}
    return {"iss": issuer, "aud": AUDIENCE, "iat": made, "exp": made + _LIFETIME, **who}


def _assert_distinct(path: Path, number: int) -> None:
    with path.open("rb") as file:
        different = len({hash(line) for line in file})  # 64 bits of each: two alike by chance are 1 in 10⁸ runs
    if different != number:
        raise ValueError(f"{path}: {different:,} different tokens, and {number:,} were to be made")


def lines(path: Path, number: int) -> Iterator[str]:
    """The first lines of a file, without their ends."""
    with path.open() as file:
        for line, _ in zip(file, range(number), strict=False):
            yield line.rstrip("\n")
