"""A bounded run of each fuzz target: the kept corpus, and mutations of it. The long run is `script/fuzz`."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fuzz.targets import GENUINE, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ATHERIS = importlib.util.find_spec("atheris") is not None


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((HERE / "corpus" / name).iterdir())]


def mutations(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Small damage done to seeds, the same in every run."""
    dice = random.Random(seed)  # noqa: S311 -- test data
    pieces = (b"", b"\0", b'"', b":", b",", b"{", b"[", b"}", b"\xff", b"=", b".", b" ", b"1e999", b'"iss":"x"')
    for _ in range(count):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 4)):
            place = dice.randint(0, len(data))
            match dice.randint(0, 3):
                case 0:
                    data[place:place] = dice.choice(pieces)
                case 1:
                    del data[place : place + dice.randint(1, 8)]
                case 2:
                    other = dice.choice(seeds)
                    cut = dice.randint(0, len(other))
                    data[place : place + 8] = other[cut : cut + dice.randint(0, 32)]
                case _ if place < len(data):
                    data[place] = dice.randint(0, 255)
        yield bytes(data)


@pytest.mark.parametrize("name", list(TARGETS))
def test_the_kept_corpus_and_mutations_of_it_find_nothing(name: str) -> None:
    seeds = corpus(name)
    assert seeds
    for data in [*seeds, GENUINE.encode(), *mutations(seeds, 2000, seed=len(name))]:
        TARGETS[name](data)


@pytest.mark.skipif(not ATHERIS, reason="atheris is not installed here")
@pytest.mark.parametrize("name", list(TARGETS))
def test_a_short_run_under_the_fuzzer_finds_nothing(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "run.py"), name, "-runs=3000", "-max_len=4096", "-timeout=20"]
    found = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/", str(tmp_path), str(HERE / "corpus" / name)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        timeout=300,
    )
    assert found.returncode == 0, found.stderr.decode(errors="replace")[-3000:]
