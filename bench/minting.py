"""Keys, and files of tokens: made once and kept for the day in .bench/, since signing takes its time."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.systems import AUDIENCE, issuer_of
from jwtgate.keys import generate_signing_key, load_signing_key, serialise_signing_key
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.keys import SigningKey

ALGORITHMS: Final = ("ES256", "RS256", "ES512")
KEPT: Final = Path(".bench")

_LIFETIME = 48 * 3600
_CHUNK = 2000


def keys() -> dict[str, SigningKey]:
    """A key for each algorithm. They sign tokens for gateways on loopback, and nothing else."""
    directory = KEPT / "keys"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = {}
    for algorithm in ALGORITHMS:
        path = directory / f"{algorithm}.pem"
        if not path.exists():
            _drop_tokens(algorithm)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(serialise_signing_key(generate_signing_key(algorithm), None))
        found[algorithm] = load_signing_key(path.read_bytes(), algorithm, None)
    return found


def token_file(algorithm: str, number: int) -> Path:
    """A file with at least `number` distinct tokens, one on each line, valid for a day at least."""
    directory = KEPT / "tokens"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{algorithm}.txt"
    meant = directory / f"{algorithm}.json"
    have = json.loads(meant.read_text()) if meant.exists() and path.exists() else {"number": 0, "made": 0}
    if have["made"] < time.time() - _LIFETIME / 2:
        _drop_tokens(algorithm)
        have = {"number": 0, "made": int(time.time())}
    if have["number"] < number:
        _append(path, algorithm, range(have["number"], number), have["made"])
        meant.write_text(json.dumps({"number": number, "made": have["made"]}))
    return path


def forged_file(algorithm: str) -> Path:
    """Tokens with everything right but the signature: each has another token's, of the same length."""
    path = KEPT / "tokens" / f"{algorithm}-forged.txt"
    tokens = list(lines(token_file(algorithm, 10_000), 10_000))
    signatures = [token.rpartition(".")[2] for token in tokens]
    with path.open("w") as file:
        for token, signature in zip(tokens, signatures[1:] + signatures[:1], strict=True):
            file.write(f"{token.rpartition('.')[0]}.{signature}\n")
    return path


def no_token_file() -> Path:
    """For what wants no token."""
    path = KEPT / "tokens" / "none.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("-\n")
    return path


def _append(path: Path, algorithm: str, numbers: range, made: int) -> None:
    key = serialise_signing_key(keys()[algorithm], None)
    chunks = [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool, path.open("a") as file:
        for tokens in pool.map(partial(_mint, pem=key, algorithm=algorithm, made=made), chunks):
            file.writelines(f"{token}\n" for token in tokens)


def _mint(numbers: range, pem: bytes, algorithm: str, made: int) -> list[str]:
    key = load_signing_key(pem, algorithm, None)
    claims = {"iss": issuer_of(algorithm), "aud": AUDIENCE, "iat": made, "exp": made + _LIFETIME}
    return [mint(claims | {"sub": f"user-{number}", "jti": f"token-{number:08}"}, key) for number in numbers]


def _drop_tokens(algorithm: str) -> None:
    for suffix in ("txt", "json"):
        (KEPT / "tokens" / f"{algorithm}.{suffix}").unlink(missing_ok=True)


def lines(path: Path, number: int) -> Iterator[str]:
    """The first lines of a file, without their ends."""
    with path.open() as file:
        for line, _ in zip(file, range(number), strict=False):
            yield line.rstrip("\n")
