"""Files of tokens hold what they should, also when they were interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench import minting

from jwtgate.keys import generate_signing_key, serialise_signing_key

ROOT = Path(__file__).parents[3]

_MINT = """
import sys
from pathlib import Path
from bench.minting import at_least, by_key
from jwtgate.keys import load_signing_key
key = load_signing_key(Path(sys.argv[2]).read_bytes(), "ES256", None)
at_least(Path(sys.argv[1]), 300_000, by_key(key))
"""


def test_new_tokens_are_none_of_those_that_are_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repeated = list(minting.lines(minting.token_file("ES256", 300), 1000))
    fresh = list(minting.lines(minting.fresh_file("ES256", 300), 1000))
    assert len(repeated) == len(fresh) == 300
    # By what they say: an ECDSA signature of the same claims is another each time, an RSA signature is not.
    assert len({token.split(".")[1] for token in (*repeated, *fresh)}) == 600
    assert len({len(token) for token in (*repeated, *fresh)}) == 1


def test_a_file_that_grows_keeps_its_tokens_and_gets_others(tmp_path: Path) -> None:
    minter = minting.by_key(generate_signing_key("ES256"))
    path = tmp_path / "tokens"
    few = list(minting.lines(minting.at_least(path, 50, minter), 1000))
    many = list(minting.lines(minting.at_least(path, 120, minter), 1000))
    assert many[:50] == few
    assert len(many) == len(set(many)) == 120
    assert list(minting.lines(minting.at_least(path, 100, minter), 1000)) == many


def test_a_file_in_which_a_token_stands_twice_is_refused(tmp_path: Path) -> None:
    minter = minting.by_key(generate_signing_key("ES256"))
    path = minting.at_least(tmp_path / "tokens", 3, minter)
    first, *_ = lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, first]) + "\n")
    with pytest.raises(ValueError, match="9 different tokens, and 10"):
        minting.at_least(path, 10, minter)


def test_who_is_killed_while_making_tokens_leaves_the_former_ones(tmp_path: Path) -> None:
    key = generate_signing_key("ES256")
    minter = minting.by_key(key)
    pem = tmp_path / "key.pem"
    pem.write_bytes(serialise_signing_key(key, None))
    path = minting.at_least(tmp_path / "tokens" / "ES256.txt", 20, minter)
    former = path.read_bytes()
    with subprocess.Popen([sys.executable, "-c", _MINT, str(path), str(pem)], cwd=ROOT) as process:
        deadline = time.monotonic() + 30
        while not any(unfinished.stat().st_size > 20_000 for unfinished in path.parent.glob("*/ES256.txt")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert path.read_bytes() == former
    tokens = list(minting.lines(minting.at_least(path, 60, minter), 1000))
    assert len(set(tokens)) == 60
