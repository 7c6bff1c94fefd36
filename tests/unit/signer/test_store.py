"""The database: its tables, who may read it, and what happens when it is gone."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from starlette.testclient import TestClient

import jwtgate.signer.migrations
from jwtgate.errors import StartError, StoreError
from jwtgate.plan import SignerPlace
from jwtgate.signer import create_app, opened
from jwtgate.signer.clients import Client, add_client, list_clients
from jwtgate.signer.store import REVISION, open_store
from jwtgate.signer.tables import metadata
from support.gateway import wait_until
from support.signer import NOW, RunningSigner, settings

if TYPE_CHECKING:
    from support.postgresql import PostgreSQL


def test_the_migrations_make_the_tables(place: SignerPlace) -> None:
    store = open_store(place)
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    store.close()


def test_the_newest_migration_is_the_one_that_the_store_knows() -> None:
    assert ScriptDirectory(str(Path(jwtgate.signer.migrations.__file__).parent)).get_current_head() == REVISION


def test_clients_of_an_older_database_stay_and_exchange_to_nothing(place: SignerPlace) -> None:
    store = open_store(place)
    add_client(store, Client(id="orders", created=NOW, may_exchange=True), secret=True)
    with store.write() as connection:
        connection.execute(text("ALTER TABLE clients DROP COLUMN exchange_to"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    store.close()
    store = open_store(place)
    assert [(client.id, client.may_exchange, client.exchange_to) for client in list_clients(store)] == [
        ("orders", True, ())
    ]
    store.close()


def test_a_database_of_a_newer_version_is_refused(place: SignerPlace) -> None:
    store = open_store(place)
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StartError, match="of a newer jwtgate"):
        open_store(place)


def test_several_signers_may_open_a_new_database_at_once(place: SignerPlace) -> None:
    problems: list[BaseException] = []

    def start() -> None:
        try:
            open_store(place).close()
        except BaseException as error:  # noqa: BLE001 -- told by the assertion below
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_write_happens_whole_or_not_at_all(place: SignerPlace) -> None:
    store = open_store(place)

    def interrupted() -> None:
        with store.write() as connection:
            connection.execute(text("INSERT INTO facts (name, value) VALUES ('a', 'b')"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM facts")).scalar() == 0
    store.close()


def test_of_exclusive_changes_there_is_one_at_a_time(place: SignerPlace) -> None:
    stores = [open_store(place) for _ in range(2)]
    inside: list[int] = []
    most: list[int] = []

    def change(number: int) -> None:
        for _ in range(10):
            with stores[number % 2].exclusive():
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (40, 1)
    for store in stores:
        store.close()


# Who may read it


def test_everything_in_the_key_directory_is_the_owners_alone(tmp_path: Path) -> None:
    with RunningSigner(settings(tmp_path / "deep" / "keys")):
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "deep" / "keys").iterdir()}
        assert modes == dict.fromkeys(("signer.db", "signer.db-wal", "signer.db-shm"), 0o600)
        assert (tmp_path / "deep" / "keys").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("path", "mode"), [("", 0o750), ("", 0o701), ("signer.db", 0o640), ("signer.db", 0o604)])
def test_what_others_may_touch_is_not_used(tmp_path: Path, path: str, mode: int) -> None:
    place = SignerPlace(tmp_path / "keys")
    open_store(place).close()
    (tmp_path / "keys" / path).chmod(mode)
    with pytest.raises(StartError, match="other users have access"):
        open_store(place)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(0o700)
    elsewhere = tmp_path / "elsewhere.db"
    elsewhere.touch(0o600)
    (tmp_path / "keys" / "signer.db").symlink_to(elsewhere)
    with pytest.raises(StartError, match="cannot be opened"):
        open_store(SignerPlace(tmp_path / "keys"))


def test_a_file_is_no_key_directory(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(StartError, match="not a directory"):
        open_store(SignerPlace(tmp_path / "keys"))


def test_a_damaged_database_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(0o700)
    database = tmp_path / "keys" / "signer.db"
    database.write_bytes(b"not a database, " * 500)
    database.chmod(0o600)
    with pytest.raises(StartError, match="not a database"):
        open_store(SignerPlace(tmp_path / "keys"))
    assert database.read_bytes() == b"not a database, " * 500


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    url = "postgresql://signer:hunter2@127.0.0.1:1/signer"
    assert "hunter2" not in repr(SignerPlace(None, url))
    with pytest.raises(StartError) as refused:
        open_store(SignerPlace(None, url))
    assert "127.0.0.1:1/signer" in str(refused.value)
    assert "hunter2" not in str(refused.value)


# Gone for a while


def during(signer: RunningSigner) -> list[tuple[int, Any]]:
    """What a client, an introspection and a revocation get."""
    form = {"grant_type": "client_credentials"}
    answers = [signer.post("/token", "reports", **form), signer.post("/introspect", "reports", token="x.y.z")]
    return [(answer.status_code, answer.json().get("error")) for answer in answers]


UNAVAILABLE = (503, "temporarily_unavailable")


def test_a_postgresql_that_is_gone_for_a_while_costs_nothing_but_time(postgresql: PostgreSQL) -> None:
    place = SignerPlace(None, postgresql.new_database())
    with RunningSigner(settings(place)) as signer:
        signer.add("reports", may_introspect=True)
        token = signer.token("reports")
        jwks = signer.http.get("/jwk").json()
        postgresql.stop()
        try:
            assert during(signer) == [UNAVAILABLE] * 2
            answer = signer.post("/token", "reports", grant_type="client_credentials")
            assert int(answer.headers["retry-after"]) > 0
            with pytest.raises(StoreError):
                signer.signer.ring.refresh(signer.clock.now)
            signer.clock.now += 10
            assert signer.http.get("/ready").status_code == 503
            assert signer.http.get("/health").status_code == 200
            assert signer.http.get("/jwk").json() == jwks
        finally:
            postgresql.start()
        signer.signer.ring.refresh(signer.clock.now)
        assert signer.http.get("/ready").status_code == 200
        assert signer.post("/introspect", "reports", token=token).json()["active"] is True
        assert signer.token("reports")


def test_a_running_signer_recovers_by_itself(postgresql: PostgreSQL) -> None:
    given = settings(SignerPlace(None, postgresql.new_database()))
    with (
        opened(given, time.time()) as signer,
        TestClient(create_app(given, signer.store, signer.ring)) as http,
    ):
        assert http.get("/ready").status_code == 200
        postgresql.stop()
        try:
            wait_until(lambda: http.get("/ready").status_code == 503)
            assert http.get("/jwk").json()["keys"]
        finally:
            postgresql.start()
        wait_until(lambda: http.get("/ready").status_code == 200)


def test_a_sqlite_that_is_locked_for_a_while_costs_nothing_but_time(tmp_path: Path) -> None:
    with RunningSigner(settings(tmp_path / "keys")) as signer:
        signer.add("reports", may_introspect=True)
        token = signer.token("reports")
        holder = sqlite3.connect(tmp_path / "keys" / "signer.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        # Reading goes on (WAL); what has to be written waits for 5 s, and says so.
        assert signer.post("/introspect", "reports", token=token).json()["active"] is True
        answer = signer.post("/revoke", "reports", token=token)
        assert (answer.status_code, answer.json()["error"]) == UNAVAILABLE
        holder.execute("ROLLBACK")
        holder.close()
        assert signer.post("/introspect", "reports", token=token).json()["active"] is True
        assert signer.post("/revoke", "reports", token=token).status_code == 200


def test_a_copy_that_grows_old_is_cached_for_shorter(tmp_path: Path) -> None:
    """Another signer may have announced a key that this one has not heard of: it signs 330 s after that."""
    with RunningSigner(settings(tmp_path / "keys")) as signer:
        ages = {}
        for old in (0, 15, 16, 115, 315, 1000):
            signer.clock.now = NOW + old
            ages[old] = int(signer.http.get("/jwk").headers["cache-control"].partition("max-age=")[2])
    assert ages == {0: 300, 15: 300, 16: 299, 115: 200, 315: 0, 1000: 0}
    assert all(old + age <= 330 for old, age in ages.items() if age)
