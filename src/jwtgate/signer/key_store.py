"""The signing keys in the database: `jwtgate.keys.lifecycle`'s steps, carried out.

A change of the keys is one transaction, in which the rows are read, the steps decided and carried out, and of
which there is one at a time in all signers. So exactly one signer performs a rotation, and a signer that is killed
in the middle of it has changed nothing. A private key leaves here as a SigningKey only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import delete, insert, select, update

from jwtgate.errors import KeyRefusedError, SignerError, StartError
from jwtgate.keys import SigningKey, generate_signing_key, load_signing_key, serialise_signing_key
from jwtgate.keys.lifecycle import (
    Drop,
    Hasten,
    KeyState,
    KeyTimes,
    Make,
    Retire,
    RotationRules,
    Step,
    due,
    in_emergency,
    next_key,
)
from jwtgate.plan import SignerPlace, SignerSettings
from jwtgate.signer.tables import facts, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from jwtgate.signer.store import Store

_log = structlog.get_logger()

_SETTINGS = "settings"
_CAN_SIGN = (KeyState.ANNOUNCED, KeyState.SIGNING)


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key of the database. `signing` is None when it will not sign any more."""

    times: KeyTimes
    public: Mapping[str, str]
    signing: SigningKey | None = field(repr=False)


def no_checkpoint(_step: str) -> None:
    """Where a test may kill the process: after each step of a change."""


def rules_of(settings: SignerSettings) -> RotationRules:
    """What the settings say about keys."""
    return RotationRules(
        settings.algorithms, settings.jwks_max_age, settings.token_lifetime, settings.rotation_interval
    )


@dataclass(frozen=True, slots=True)
class KeyStore:
    """The keys of a store. `secret` encrypts them; None: they lie there as they are."""

    store: Store
    secret: bytes | None = field(default=None, repr=False)
    checkpoint: Callable[[str], None] = no_checkpoint

    def begin(self, settings: SignerSettings, now: float) -> None:
        """Make the settings known to all signers of this store, and the keys that they ask for.

        Rotation goes by the settings of the signer that started last. Raises StartError when the store belongs to
        another issuer, or a key cannot be read.
        """
        rules = rules_of(settings)
        with self.store.exclusive() as connection:
            before = _settings(connection)
            if before is not None and before["issuer"] != settings.issuer:
                raise StartError(f"its database belongs to another issuer, {before['issuer']}: choose another")
            _remember(connection, settings)
            self._encrypt_what_is_plain(connection)
            # A key signs longer tokens from now on, or is cached for longer: it has to stay for those.
            connection.execute(
                update(keys)
                .where(keys.c.longest_lifetime < rules.token_lifetime)
                .values(longest_lifetime=rules.token_lifetime)
            )
            connection.execute(
                update(keys)
                .where(keys.c.jwks_max_age < rules.jwks_max_age)
                .values(jwks_max_age=rules.jwks_max_age)
            )
            self._apply(connection, due(_times(connection), rules, now), rules, now)

    def tick(self, now: float) -> None:
        """Carry out what is due, if anything is."""
        with self.store.read() as connection:
            rules = _rules(connection)
            if not due(_times(connection), rules, now):
                return
        with self.store.exclusive() as connection:
            rules = _rules(connection)
            self._apply(connection, due(_times(connection), rules, now), rules, now)

    def rotate(self, now: float, algorithms: Sequence[str] = ()) -> tuple[KeyTimes, ...]:
        """Announce a next key for each of `algorithms`, or all. Returns the announced keys. Raises SignerError."""
        with self.store.exclusive() as connection:
            rules = _rules(connection)
            for algorithm in algorithms:
                if algorithm not in rules.algorithms:
                    raise SignerError(f"the signer does not sign by {algorithm}: {', '.join(rules.algorithms)}")
            wanted = tuple(algorithms) or rules.algorithms
            times = _times(connection)
            found = [next_key(times, algorithm, rules, now) for algorithm in wanted]
            self._apply(connection, tuple(step for step in found if isinstance(step, Make)), rules, now)
            states = {key.algorithm: key for key in _times(connection) if key.state(now) is KeyState.ANNOUNCED}
            return tuple(states[algorithm] for algorithm in wanted)

    def drop_now(self, now: float, kid: str | None = None) -> tuple[KeyTimes, ...]:
        """Drop a key, or all, this moment, and sign by new ones. Returns what was dropped. Raises SignerError."""
        with self.store.exclusive() as connection:
            rules, times = _rules(connection), _times(connection)
            if kid is not None and kid not in {key.kid for key in times}:
                raise SignerError(f"there is no key {kid}: jwtgate signer keys lists them")
            self._apply(connection, in_emergency(times, rules, now, kid=kid), rules, now)
            left = {key.kid for key in _times(connection)}
            return tuple(key for key in times if key.kid not in left)

    def load(self, now: float, known: Sequence[HeldKey] = ()) -> tuple[HeldKey, ...]:
        """All keys that are not gone. Those of `known` are not decrypted again. Raises StartError."""
        loaded = {held.times.kid: held.signing for held in known}
        with self.store.read() as connection:
            rows = connection.execute(select(keys)).all()
        return tuple(
            HeldKey(times, json.loads(row.public), self._signing(row, times, now, loaded))
            for row in rows
            if (times := _row_times(row)).state(now) is not KeyState.GONE
        )

    def _signing(
        self, row: Row[Any], times: KeyTimes, now: float, loaded: Mapping[str, SigningKey | None]
    ) -> SigningKey | None:
        if times.state(now) not in _CAN_SIGN:
            return None
        return loaded.get(times.kid) or self._decrypt(row)

    def _decrypt(self, row: Row[Any]) -> SigningKey:
        try:
            key = load_signing_key(row.private, row.algorithm, self.secret)
        except KeyRefusedError as error:
            raise StartError(f"signing key {row.kid}: {error}") from error
        if key.kid != row.kid:
            raise StartError(f"signing key {row.kid}: the database holds another key under this id")
        return key

    def _apply(self, connection: Connection, steps: Sequence[Step], rules: RotationRules, now: float) -> None:
        for step in steps:
            match step:
                case Make():
                    self._make(connection, step, rules, now)
                case Retire(kid, at):
                    connection.execute(update(keys).where(keys.c.kid == kid).values(signs_until=at))
                    _log.info("signing key retires", kid=kid)
                case Hasten(kid, at):
                    connection.execute(update(keys).where(keys.c.kid == kid).values(signs_from=at))
                    _log.info("signing key signs at once", kid=kid)
                case Drop(kid):
                    connection.execute(delete(keys).where(keys.c.kid == kid))
                    _log.info("signing key gone", kid=kid)
            self.checkpoint(type(step).__name__)
        self.checkpoint("before commit")

    def _make(self, connection: Connection, step: Make, rules: RotationRules, now: float) -> None:
        key = generate_signing_key(step.algorithm)
        self.checkpoint("generated")
        connection.execute(
            insert(keys).values(
                kid=key.kid,
                algorithm=step.algorithm,
                private=serialise_signing_key(key, self.secret),
                public=json.dumps(key.public_jwk()),
                announced=now,
                signs_from=step.signs_from,
                signs_until=None,
                longest_lifetime=rules.token_lifetime,
                jwks_max_age=rules.jwks_max_age,
            )
        )
        self.checkpoint("inserted")
        if step.replaces is not None:
            connection.execute(update(keys).where(keys.c.kid == step.replaces).values(signs_until=step.signs_from))
        _log.info("signing key made", algorithm=step.algorithm, kid=key.kid, signs_from=step.signs_from)

    def _encrypt_what_is_plain(self, connection: Connection) -> None:
        """Keys from before there was a passphrase."""
        if self.secret is None:
            return
        for row in connection.execute(select(keys)).all():
            try:
                key = load_signing_key(row.private, row.algorithm, None)
            except KeyRefusedError:
                continue  # encrypted already
            connection.execute(
                update(keys).where(keys.c.kid == row.kid).values(private=serialise_signing_key(key, self.secret))
            )
            _log.info("signing key encrypted", kid=row.kid)


def list_keys(store: Store, now: float) -> tuple[tuple[KeyTimes, Mapping[str, str]], ...]:
    """Every key that is not gone, with its public JWK, in the order of their lives. Needs no passphrase."""
    with store.read() as connection:
        rows = connection.execute(select(keys).order_by(keys.c.signs_from)).all()
    return tuple(
        (times, json.loads(row.public))
        for row in rows
        if (times := _row_times(row)).state(now) is not KeyState.GONE
    )


def known_settings(store: Store, place: SignerPlace) -> SignerSettings:
    """The settings of the signer that started last with this store. Raises SignerError when none has."""
    with store.read() as connection:
        found = _settings(connection)
    if found is None:
        raise SignerError(_NEVER_STARTED)
    tuples = {name: tuple(found[name]) for name in ("audience", "algorithms")}
    return SignerSettings(**{**found, **tuples}, place=place)


def _times(connection: Connection) -> tuple[KeyTimes, ...]:
    return tuple(map(_row_times, connection.execute(select(keys)).all()))


def _row_times(row: Row[Any]) -> KeyTimes:
    return KeyTimes(
        row.kid,
        row.algorithm,
        row.announced,
        row.signs_from,
        row.signs_until,
        row.longest_lifetime,
        row.jwks_max_age,
    )


_NEVER_STARTED = "no signer has started with this database yet: jwtgate signer run"


def _rules(connection: Connection) -> RotationRules:
    found = _settings(connection)
    if found is None:
        raise SignerError(_NEVER_STARTED)
    return RotationRules(
        tuple(found["algorithms"]), found["jwks_max_age"], found["token_lifetime"], found["rotation_interval"]
    )


def _settings(connection: Connection) -> dict[str, Any] | None:
    text = connection.execute(select(facts.c.value).where(facts.c.name == _SETTINGS)).scalar()
    return None if text is None else dict(json.loads(text))


def _remember(connection: Connection, settings: SignerSettings) -> None:
    """Everything but where the database is, which who reads this knows."""
    text = json.dumps({name: value for name, value in asdict(settings).items() if name != "place"}, default=str)
    connection.execute(delete(facts).where(facts.c.name == _SETTINGS))
    connection.execute(insert(facts).values(name=_SETTINGS, value=text))
