"""`run_dir` alone, of files that may be wrong in all else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jwtgate.config import configured_run_dir
from jwtgate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("run_dir: run", "run"),
        ("run_dir: /run/gate", "/run/gate"),
        ("routes: 7\nrun_dir: '${NAME}/run'\nsecret: ${NOT_SET}", "gate/run"),
        ("realm: &name run\nrun_dir: *name", "run"),
        ("loop: &loop [*loop]\nrun_dir: run\nmerged: {<<: 1}\n? [a]\n: 1", "run"),
        ("run_dir: ${NOT_SET}", None),
        ("run_dir: ", None),
        ("run_dir: [run]", None),
        ("policies: {run_dir: run}", None),
        ("version: 1", None),
    ],
)
def test_it_is_found_whatever_else_is_wrong(text: str, found: str | None, tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    expected = None if found is None else tmp_path / found
    assert configured_run_dir(path, {"NAME": "gate"}) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty"),
        (b"- run_dir: run", "the file must be a mapping of keys to values"),
        (b"run_dir: run\nroutes: [", "this is not YAML"),
        (b"run_dir: \xff", "the file is not UTF-8 text"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_place(text: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as refused:
        configured_run_dir(path, {})
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: no such file or directory"):
        configured_run_dir(tmp_path / "none.yaml", {})
