"""Keys in the database: rotated by one, seen by all, encrypted, and never lost by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from jwtgate.errors import SignerError, StartError
from jwtgate.plan import SIGNER_ALGORITHMS, SignerPlace
from jwtgate.signer import opened
from jwtgate.signer.key_store import KeyStore, known_settings, list_keys
from jwtgate.signer.passphrase import encryption_key, read_passphrase
from jwtgate.signer.ring import KeyRing
from jwtgate.signer.store import open_store
from support.signer import NOW, settings

if TYPE_CHECKING:
    from jwtgate.signer.store import Store

PASSPHRASE = "correct horse battery staple"
LEAD = 330  # 300 s and a tenth


def states(store: Store, now: float) -> list[tuple[str, str]]:
    """Algorithm and state of each key, in the order of their lives."""
    return [(times.algorithm, str(times.state(now))) for times, _ in list_keys(store, now)]


def test_a_key_lives_its_life(place: SignerPlace) -> None:
    with opened(settings(place), NOW) as signer:
        (first,) = signer.ring.published(NOW).keys.keys
        assert states(signer.store, NOW) == [("ES256", "signing")]
        (announced,) = signer.keys.rotate(NOW + 10)
        assert announced.signs_from == NOW + 10 + LEAD
        assert signer.keys.rotate(NOW + 11) == (announced,)  # once more is no second one
        signer.ring.refresh(NOW + 11)
        assert states(signer.store, NOW + 11) == [("ES256", "signing"), ("ES256", "announced")]
        assert len(signer.ring.published(NOW + 11).keys.keys) == 2
        assert signer.ring.signing(NOW + 10 + LEAD - 1).kid == first.kid
        # Nothing is written at the change itself: the copy in memory knows of it.
        assert signer.ring.signing(NOW + 10 + LEAD).kid == announced.kid
        last_token = NOW + 10 + LEAD + 3600
        assert states(signer.store, last_token) == [("ES256", "retiring"), ("ES256", "signing")]
        assert len(signer.ring.published(last_token).keys.keys) == 2
        signer.ring.refresh(last_token + 60)
        assert [key.kid for key in signer.ring.published(last_token + 60).keys.keys] == [announced.kid]


def test_rotation_comes_by_itself(place: SignerPlace) -> None:
    with opened(settings(place, rotation_interval=86400), NOW) as signer:
        before = signer.ring.signing(NOW).kid
        signer.ring.refresh(NOW + 86400 - LEAD - 1)
        assert states(signer.store, NOW) == [("ES256", "signing")]
        signer.ring.refresh(NOW + 86400 - LEAD)
        assert signer.ring.signing(NOW + 86400 - 1).kid == before
        assert signer.ring.signing(NOW + 86400).kid != before


def test_every_algorithm_signs_at_once_and_clients_choose(tmp_path: Path) -> None:
    with opened(settings(tmp_path / "keys", algorithms=SIGNER_ALGORITHMS), NOW) as signer:
        for algorithm in SIGNER_ALGORITHMS:
            assert signer.ring.signing(NOW, algorithm).algorithm == algorithm
        assert signer.ring.signing(NOW).algorithm == "ES256"
        assert signer.ring.signing(NOW, "ES256K").algorithm == "ES256"


def test_the_algorithm_can_be_changed_without_a_gap(place: SignerPlace) -> None:
    with opened(settings(place), NOW) as signer:
        old = signer.ring.signing(NOW).kid
    with opened(settings(place, algorithms=("ML-DSA-65",)), NOW + 60) as signer:
        assert signer.ring.signing(NOW + 60).kid == old
        change = NOW + 60 + LEAD
        assert signer.ring.signing(change - 1).kid == old
        assert signer.ring.signing(change).algorithm == "ML-DSA-65"
        signer.ring.refresh(change)
        assert states(signer.store, change) == [("ES256", "retiring"), ("ML-DSA-65", "signing")]


def test_an_emergency_leaves_nothing_of_the_old_keys(place: SignerPlace) -> None:
    with opened(settings(place), NOW) as signer:
        signer.keys.rotate(NOW)
        old = {times.kid for times, _ in list_keys(signer.store, NOW)}
        dropped = signer.keys.drop_now(NOW + 1)
        assert {key.kid for key in dropped} == old
        signer.ring.refresh(NOW + 1)
        (new,) = signer.ring.published(NOW + 1).keys.keys
        assert new.kid not in old
        assert signer.ring.signing(NOW + 1).kid == new.kid
        with pytest.raises(SignerError, match="there is no key nosuch"):
            signer.keys.drop_now(NOW + 1, "nosuch")


def test_a_longer_lifetime_keeps_the_keys_for_longer(place: SignerPlace) -> None:
    with opened(settings(place), NOW) as signer:
        signer.keys.rotate(NOW)
    with opened(settings(place, token_lifetime=7200), NOW + 1):
        pass
    with opened(settings(place, token_lifetime=60), NOW + 2) as signer:
        (times, _), _ = list_keys(signer.store, NOW)
        assert times.gone_at == NOW + LEAD + 7200 + 60


def test_settings_are_known_to_all_and_another_issuer_is_refused(place: SignerPlace) -> None:
    given = settings(place, audience=("a", "b"), rotation_interval=None)
    with opened(given, NOW) as signer:
        assert known_settings(signer.store, place) == given
    assert "belongs to another issuer" in refuse_to_open(place, issuer="https://other.example")


def test_a_store_that_no_signer_has_used_says_so(place: SignerPlace) -> None:
    store = open_store(place)
    with pytest.raises(SignerError, match="no signer has started"):
        KeyStore(store).rotate(NOW)
    with pytest.raises(SignerError, match="no signer has started"):
        known_settings(store, place)
    store.close()


def refuse_to_open(place: SignerPlace, **changes: Any) -> str:
    """What a signer says that does not start."""
    with pytest.raises(StartError) as refused, opened(settings(place, **changes), NOW):
        pass
    return str(refused.value)


# Several signers


def test_exactly_one_of_several_signers_rotates_and_all_see_it(place: SignerPlace) -> None:
    given = settings(place, rotation_interval=86400)
    with opened(given, NOW):
        pass
    stores = [open_store(place) for _ in range(4)]
    rings = [KeyRing(KeyStore(store), ("ES256",), 300) for store in stores]
    at = NOW + 86400
    barrier = threading.Barrier(len(rings))

    def tick(ring: KeyRing) -> None:
        barrier.wait()
        ring.refresh(at)

    threads = [threading.Thread(target=tick, args=(ring,)) for ring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states(stores[0], at) == [("ES256", "signing"), ("ES256", "announced")]
    for ring in rings:
        ring.refresh(at)
    assert len({ring.published(at).document for ring in rings}) == 1
    assert len({ring.signing(at + LEAD).kid for ring in rings}) == 1
    for store in stores:
        store.close()


# Encrypted


def pems(store: Store) -> list[bytes]:
    with store.read() as connection:
        return [bytes(row) for row in connection.execute(text("SELECT private FROM keys")).scalars()]


def with_passphrase(place: SignerPlace, tmp_path: Path, words: str = PASSPHRASE) -> SignerPlace:
    file = tmp_path / f"passphrase-{len(words)}"
    file.touch(0o600)
    file.write_text(words + "\n")
    return replace(place, passphrase_file=file)


def test_private_keys_are_encrypted_where_there_is_a_passphrase(place: SignerPlace, tmp_path: Path) -> None:
    secret = with_passphrase(place, tmp_path)
    with opened(settings(secret), NOW) as signer:
        kid = signer.ring.signing(NOW).kid
        assert all(pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY") for pem in pems(signer.store))
        assert PASSPHRASE not in repr(signer.keys)
    with opened(settings(secret), NOW) as signer:
        assert signer.ring.signing(NOW).kid == kid
    assert "is encrypted, and no passphrase was given" in refuse_to_open(place)
    wrong = with_passphrase(place, tmp_path, PASSPHRASE + "!")
    assert "wrong passphrase" in refuse_to_open(wrong)


def test_a_passphrase_that_comes_later_encrypts_what_is_there(place: SignerPlace, tmp_path: Path) -> None:
    with opened(settings(place), NOW) as signer:
        kid = signer.ring.signing(NOW).kid
        (plain,) = pems(signer.store)
    with opened(settings(with_passphrase(place, tmp_path)), NOW) as signer:
        assert signer.ring.signing(NOW).kid == kid
        assert all(pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY") for pem in pems(signer.store))
    if place.key_dir is not None:  # SQLite: nothing of it is left in a free page either
        body = plain.splitlines()[1]
        assert not any(body in path.read_bytes() for path in place.key_dir.iterdir())


def test_an_emergency_takes_a_new_passphrase(place: SignerPlace, tmp_path: Path) -> None:
    with opened(settings(with_passphrase(place, tmp_path)), NOW):
        pass
    new = with_passphrase(place, tmp_path, "another one, longer than the first")
    store = open_store(new)
    KeyStore(store, encryption_key(store, read_passphrase(new))).drop_now(NOW)
    store.close()
    with opened(settings(new), NOW) as signer:
        assert signer.ring.signing(NOW).algorithm == "ES256"


def test_a_passphrase_comes_from_the_environment_too(tmp_path: Path) -> None:
    place = SignerPlace(tmp_path / "keys", passphrase_env="JWTGATE_TEST_NO_SUCH_VARIABLE")
    assert "JWTGATE_TEST_NO_SUCH_VARIABLE: shorter than 8 bytes" in refuse_to_open(place)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_passphrase_file_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    place = with_passphrase(SignerPlace(tmp_path / "keys"), tmp_path)
    assert place.passphrase_file is not None
    place.passphrase_file.chmod(mode)
    assert "other users have access" in refuse_to_open(place)


# Killed

# Does something to the keys once for each step, in a process of its own that dies at that step, and prints how it
# ended and which keys there are then.
PROGRAM = """
    import os, signal, sys
    from pathlib import Path
    from jwtgate.plan import SignerPlace
    from jwtgate.signer.key_store import KeyStore, list_keys
    from jwtgate.signer.store import open_store
    from support.signer import NOW, settings

    what, key_dir, database, *steps = sys.argv[1:]
    place = SignerPlace(Path(key_dir) if key_dir else None, database or None)
    actions = {
        "begin": lambda keys: keys.begin(settings(place), NOW),
        "rotate": lambda keys: keys.rotate(NOW),
        "tick": lambda keys: keys.tick(NOW + 40 * 86400),
        "emergency": lambda keys: keys.drop_now(NOW),
    }
    for step in steps:
        child = os.fork()
        if child == 0:
            def die(reached):
                if reached == step:
                    os.kill(os.getpid(), signal.SIGKILL)

            actions[what](KeyStore(open_store(place), checkpoint=die))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        store = open_store(place)
        print(status, *sorted(times.kid for times, _ in list_keys(store, NOW)), file=sys.stderr)
        store.close()
"""
KILLED = str(-signal.SIGKILL)


@pytest.mark.parametrize(
    ("what", "steps"),
    [
        ("begin", ["generated", "inserted", "Make", "before commit"]),
        ("rotate", ["generated", "inserted", "Make", "before commit"]),
        ("tick", ["generated", "inserted", "Make", "before commit"]),
        ("emergency", ["Drop", "generated", "inserted", "Make", "before commit"]),
    ],
)
def test_a_kill_at_any_step_leaves_the_state_before_it(place: SignerPlace, what: str, steps: list[str]) -> None:
    before: list[str] = []
    if what != "begin":
        with opened(settings(place), NOW) as signer:
            before = [signer.ring.signing(NOW).kid]
    ended = subprocess.run(
        [
            *(sys.executable, "-c", textwrap.dedent(PROGRAM)),
            *(what, str(place.key_dir or ""), place.database or "", *steps, "never"),
        ],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,  # the log
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    *killed, done = (line.split() for line in ended.stderr.splitlines())
    assert killed == [[KILLED, *before]] * len(steps)
    # Nothing holds a lock: the next one does it.
    assert done[0] == "0"
    assert done[1:] != before
    with opened(settings(place), NOW) as signer:
        assert signer.ring.signing(NOW).algorithm == "ES256"
        assert {times.kid for times, _ in list_keys(signer.store, NOW)} == set(done[1:])
