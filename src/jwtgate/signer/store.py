"""The signer's database: SQLite in a directory of its own, or PostgreSQL when several signers share it.

Three kinds of transaction. `read` sees one state. `write` is on disk when it has ended, or did not happen. Of
`exclusive` there is one at a time, in all signers together: SQLite's write lock, an advisory lock of PostgreSQL. A
process that is killed in any of them leaves the state before it.

Everything here waits: call it in a thread, never in the event loop.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url, text

from jwtgate.errors import StartError, StoreError
from jwtgate.signer.private_files import locked_directory, make_private

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from jwtgate.plan import SignerPlace

DATABASE_FILE: Final = "signer.db"
REVISION: Final = "0002"  # of the newest migration

_WRITES: Final = "jwtgate_writes"
_PATIENCE: Final = 5  # seconds that a statement waits for others
_LOCK: Final = 0x6A77746761746531  # PostgreSQL's advisory locks are numbers; ours spells "jwtgate1"


class Store:
    """The database, and its three kinds of transaction. Raises StoreError when it cannot be used."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One state of the tables."""
        with _plain_errors(), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Changes that happen all or not at all."""
        with _plain_errors(), self._engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """Changes that follow from what is read here: nobody else makes such changes meanwhile."""
        with self.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection

    def close(self) -> None:
        """Give the connections up."""
        self._engine.dispose()


def open_store(place: SignerPlace) -> Store:
    """The signer's database, its tables brought up to date. Raises StartError."""
    return open_database(place.database) if place.database else open_directory(place.key_dir)


def open_directory(directory: Path | None) -> Store:
    """The SQLite database in `directory`, which is made when it is missing. Raises StartError."""
    if directory is None:
        raise StartError("the signer has neither a key_dir nor a database")
    with locked_directory(directory):
        path = directory / DATABASE_FILE
        make_private(path, "database")  # SQLite gives its other files the same mode
        return _opened(URL.create("sqlite", database=str(path)), str(path))


def open_database(url: str) -> Store:
    """The PostgreSQL database at `url`. Raises StartError."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    return _opened(parsed, parsed.render_as_string(hide_password=True))


def _opened(url: URL, shown: str) -> Store:
    try:
        store = Store(_engine(url))
    except ModuleNotFoundError as error:
        raise StartError(f'database {shown}: {error.name} is missing: pip install "jwtgate[postgresql]"') from None
    try:
        with store.exclusive() as connection:
            _migrate(connection)
    except StoreError as error:
        store.close()
        raise StartError(f"database {shown}: {error}") from error
    return store


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        # PostgreSQL has its own limits; SQLite's connections cost next to nothing.
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _PATIENCE}, pool_size=16)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # statement_timeout bounds waiting for the advisory lock too. pre_ping: a database that was restarted costs
    # nobody an error.
    arguments = {"connect_timeout": 3, "options": f"-c statement_timeout={_PATIENCE}s -c timezone=UTC"}
    return create_engine(
        url,
        hide_parameters=True,
        connect_args=arguments,
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=0,
        pool_timeout=_PATIENCE,
    )


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later can fail in between; one that says so at once waits its turn.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Connection) -> None:
    tables = connection.dialect.get_table_names(connection)
    if "alembic_version" in tables:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if found == REVISION:
            return
        if str(found) > REVISION:
            raise StoreError(f"its tables are of a newer jwtgate (version {found}; this one knows {REVISION})")
    # Slow to import, and needed only when the tables change.
    from alembic.command import upgrade
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "jwtgate.signer:migrations")
    config.attributes["connection"] = connection
    upgrade(config, REVISION)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """SQLAlchemy's errors as ours. Their first line says what is wrong, and holds no values."""
    try:
        yield
    except exc.IntegrityError:
        raise
    except exc.DBAPIError as error:
        lines = str(error.orig).splitlines() or [type(error.orig).__name__]
        raise StoreError(lines[0]) from error
    except exc.TimeoutError as error:
        raise StoreError("all connections are in use") from error
