"""The key directory: real files, real permissions."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from jwtgate.errors import StartError
from jwtgate.keys import generate_signing_key, serialise_signing_key
from jwtgate.signer import open_key_directory

if TYPE_CHECKING:
    from pathlib import Path

ROOT = os.geteuid() == 0
OTHER_USER = 65534


@pytest.fixture
def key_dir(tmp_path: Path) -> Path:
    """Where the keys will be; it is not there yet."""
    return tmp_path / "state" / "keys"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(key_dir: Path) -> list[str]:
    return sorted(file.name for file in key_dir.iterdir())


def put(key_dir: Path, name: str, content: bytes) -> Path:
    """A private file, as the signer would have written it."""
    key_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = key_dir / name
    file.touch(mode=0o600)
    file.write_bytes(content)
    return file


def put_key(key_dir: Path, algorithm: str, *, age: int) -> str:
    """A key that was written `age` seconds ago; gives its kid."""
    key = generate_signing_key(algorithm)
    file = put(key_dir, f"{algorithm}-{key.kid}.pem", serialise_signing_key(key, None))
    written = file.stat().st_mtime_ns - age * 10**9
    os.utime(file, ns=(written, written))
    return key.kid


@pytest.mark.parametrize("algorithm", ["ES512", "ES256", "EdDSA", "RS256"])
def test_the_first_start_makes_a_key_and_later_starts_keep_it(key_dir: Path, algorithm: str) -> None:
    first = open_key_directory(key_dir, algorithm)
    assert first.signing.algorithm == algorithm
    assert first.published == (first.signing,)
    assert names(key_dir) == [f"{algorithm}-{first.signing.kid}.pem"]
    again = open_key_directory(key_dir, algorithm)
    assert again.signing.kid == first.signing.kid
    assert again.signing.public_jwk() == first.signing.public_jwk()
    assert names(key_dir) == [f"{algorithm}-{first.signing.kid}.pem"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_directory_and_file_are_private_whatever_the_umask(key_dir: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        keys = open_key_directory(key_dir, "ES256")
    finally:
        os.umask(before)
    assert mode(key_dir) == 0o700
    assert mode(key_dir / f"ES256-{keys.signing.kid}.pem") == 0o600


def test_a_new_key_is_logged_by_its_kid_and_a_known_one_is_not(key_dir: Path) -> None:
    with capture_logs() as log:
        keys = open_key_directory(key_dir, "ES256")
        open_key_directory(key_dir, "ES256")
    assert log == [
        {
            "event": "signing key made",
            "log_level": "info",
            "algorithm": "ES256",
            "kid": keys.signing.kid,
            "key_dir": str(key_dir),
        }
    ]


def test_another_algorithm_gets_a_key_of_its_own_and_the_old_one_stays_published(key_dir: Path) -> None:
    old = open_key_directory(key_dir, "ES512").signing
    keys = open_key_directory(key_dir, "ES256")
    assert keys.signing.algorithm == "ES256"
    assert [key.kid for key in keys.published] == [keys.signing.kid, old.kid]


def test_going_back_to_an_algorithm_goes_back_to_its_key(key_dir: Path) -> None:
    old = open_key_directory(key_dir, "ES512").signing
    other = open_key_directory(key_dir, "ES256").signing
    keys = open_key_directory(key_dir, "ES512")
    assert [key.kid for key in keys.published] == [old.kid, other.kid]
    assert len(names(key_dir)) == 2


def test_the_newest_key_of_the_algorithm_signs_and_all_are_published(key_dir: Path) -> None:
    oldest = put_key(key_dir, "ES256", age=3000)
    newest = put_key(key_dir, "ES256", age=1000)
    middle = put_key(key_dir, "ES256", age=2000)
    other = put_key(key_dir, "EdDSA", age=0)
    keys = open_key_directory(key_dir, "ES256")
    assert keys.signing.kid == newest
    assert [key.kid for key in keys.published] == [newest, other, middle, oldest]


def test_two_signers_that_start_at_once_agree_on_one_key(key_dir: Path) -> None:
    together = threading.Barrier(4)

    def start(_: int) -> str:
        together.wait()
        return open_key_directory(key_dir, "ES256").signing.kid

    with ThreadPoolExecutor(4) as pool:
        kids = set(pool.map(start, range(4)))
    assert len(kids) == 1
    assert names(key_dir) == [f"ES256-{kids.pop()}.pem"]


@pytest.mark.parametrize("shared", [0o750, 0o705, 0o720, 0o702, 0o701])
def test_a_directory_that_others_can_enter_is_refused(key_dir: Path, shared: int) -> None:
    open_key_directory(key_dir, "ES256")
    key_dir.chmod(shared)
    with pytest.raises(StartError) as refused:
        open_key_directory(key_dir, "ES256")
    assert f"key directory {key_dir}: other users have access (mode {shared:04o})" in str(refused.value)
    assert f"chmod 700 {key_dir}" in str(refused.value)
    assert mode(key_dir) == shared


@pytest.mark.parametrize("shared", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_key_that_others_can_touch_is_refused(key_dir: Path, shared: int) -> None:
    open_key_directory(key_dir, "ES256")
    (file,) = key_dir.iterdir()
    file.chmod(shared)
    with pytest.raises(StartError) as refused:
        open_key_directory(key_dir, "ES256")
    assert f"key file {file}: other users have access (mode {shared:04o})" in str(refused.value)
    assert f"chmod 600 {file}" in str(refused.value)
    assert mode(file) == shared


@pytest.mark.skipif(not ROOT, reason="only root can give a directory to somebody else")
@pytest.mark.parametrize("what", ["directory", "file"])
def test_what_belongs_to_another_user_is_refused(key_dir: Path, what: str) -> None:
    open_key_directory(key_dir, "ES256")
    (file,) = key_dir.iterdir()
    path = {"directory": key_dir, "file": file}[what]
    os.chown(path, OTHER_USER, -1)
    with pytest.raises(StartError, match=re.escape(f"key {what} {path}: belongs to user {OTHER_USER}")):
        open_key_directory(key_dir, "ES256")


@pytest.mark.skipif(ROOT, reason="root can read everything")
def test_an_unreadable_key_is_refused(key_dir: Path) -> None:
    open_key_directory(key_dir, "ES256")
    (file,) = key_dir.iterdir()
    file.chmod(0o000)
    with pytest.raises(StartError, match=re.escape(f"key file {file}: cannot be opened: Permission denied")):
        open_key_directory(key_dir, "ES256")


GOOD = generate_signing_key("ES256")
GOOD_PEM = serialise_signing_key(GOOD, None)
RS256_PEM = serialise_signing_key(generate_signing_key("RS256"), None)


@pytest.mark.parametrize(
    ("algorithm", "content"),
    [
        pytest.param("ES256", b"", id="empty"),
        pytest.param("ES256", GOOD_PEM[: len(GOOD_PEM) // 2], id="half"),
        pytest.param("ES256", bytes(300), id="zeros"),
        pytest.param("ES256", GOOD_PEM.replace(b"M", b"N"), id="changed"),
        pytest.param("ES256", RS256_PEM, id="a key of another type"),
        pytest.param("ES512", GOOD_PEM, id="a key of another curve"),
        pytest.param("XS256", GOOD_PEM, id="an unknown algorithm"),
        pytest.param(
            "ES256", serialise_signing_key(generate_signing_key("ES256"), None), id="a key with another kid"
        ),
        pytest.param("ES256", serialise_signing_key(GOOD, b"secret"), id="encrypted"),
        pytest.param("ES256", GOOD_PEM + bytes(70000), id="too large"),
    ],
)
def test_a_damaged_key_is_refused_and_left_as_it_is(key_dir: Path, algorithm: str, content: bytes) -> None:
    file = put(key_dir, f"{algorithm}-{GOOD.kid}.pem", content)
    with pytest.raises(StartError) as refused:
        open_key_directory(key_dir, "ES256")
    text = str(refused.value)
    assert text.startswith(f"key file {file}: ")
    assert "Restore it from a backup, or move it away" in text
    assert names(key_dir) == [file.name]
    assert file.read_bytes() == content
    # What the file holds is in neither the error nor what led to it.
    told = text + repr(refused.value.__cause__)
    assert not any(line in told for line in content.decode(errors="replace").splitlines() if line)


@pytest.mark.parametrize("what", ["link", "directory", "pipe", "socket"])
def test_what_is_named_like_a_key_and_is_no_ordinary_file_is_refused(key_dir: Path, what: str) -> None:
    key_dir.mkdir(mode=0o700, parents=True)
    file = key_dir / f"ES256-{GOOD.kid}.pem"
    match what:
        case "link":
            target = put(key_dir.parent / "elsewhere", "key", GOOD_PEM)
            file.symlink_to(target)
        case "directory":
            file.mkdir(mode=0o700)
        case "pipe":
            os.mkfifo(file, 0o600)
        case _:
            with socket.socket(socket.AF_UNIX) as listener:
                # The path of a socket is short; the directory is reached by its descriptor.
                directory = os.open(key_dir, os.O_RDONLY)
                listener.bind(f"/proc/self/fd/{directory}/{file.name}")
                os.close(directory)
    with pytest.raises(StartError, match=re.escape(f"key file {file}: ")):
        open_key_directory(key_dir, "ES256")


@pytest.mark.parametrize(
    "name", ["mine.pem", "ES256.pem", f"ES256-{GOOD.kid}x.pem"], ids=["no algorithm", "no kid", "kid too long"]
)
def test_a_pem_file_of_somebody_else_is_refused(key_dir: Path, name: str) -> None:
    file = put(key_dir, name, GOOD_PEM)
    with pytest.raises(StartError, match=re.escape(f"key file {file}: the signer did not write this")):
        open_key_directory(key_dir, "ES256")
    assert names(key_dir) == [name]


def test_other_files_in_the_directory_do_not_matter(key_dir: Path) -> None:
    put(key_dir, ".gitkeep", b"")
    put(key_dir, "README", b"keys")
    assert len(open_key_directory(key_dir, "ES256").published) == 1
    assert {".gitkeep", "README"} < set(names(key_dir))


@pytest.mark.parametrize("leftover", [b"", GOOD_PEM[:50]])
def test_what_an_interrupted_start_left_costs_no_key(key_dir: Path, leftover: bytes) -> None:
    kid = open_key_directory(key_dir, "ES256").signing.kid
    put(key_dir, ".unfinished", leftover)
    assert open_key_directory(key_dir, "ES256").signing.kid == kid
    new = open_key_directory(key_dir, "EdDSA")
    assert [key.kid for key in new.published] == [new.signing.kid, kid]
    assert names(key_dir) == sorted([f"ES256-{kid}.pem", f"EdDSA-{new.signing.kid}.pem"])


def test_a_key_that_cannot_be_written_whole_leaves_everything_as_it_was(key_dir: Path) -> None:
    kid = open_key_directory(key_dir, "ES256").signing.kid
    program = (
        "import resource, sys; from pathlib import Path; from jwtgate.signer import open_key_directory\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
        "open_key_directory(Path(sys.argv[1]), 'EdDSA')"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(key_dir)], capture_output=True, text=True, check=False, timeout=30
    )
    assert f"StartError: key directory {key_dir}: File too large" in run.stderr
    assert names(key_dir) == [f"ES256-{kid}.pem"]
    assert open_key_directory(key_dir, "ES256").signing.kid == kid


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("not a directory")
    with pytest.raises(StartError, match=re.escape(f"key directory {file}: this is not a directory")):
        open_key_directory(file, "ES256")
    with pytest.raises(StartError, match=re.escape(f"key directory {file / 'below'}: Not a directory")):
        open_key_directory(file / "below", "ES256")
