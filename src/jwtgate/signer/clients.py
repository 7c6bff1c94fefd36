"""The clients: who may ask for tokens, and for which.

A client has a secret, or public keys for private_key_jwt, or both. What is not granted to it, it does not get.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from jwtgate.errors import KeyRefusedError, SignerError
from jwtgate.keys import public_half, read_jwks
from jwtgate.keys.encoding import read_json_object
from jwtgate.plan import SIGNER_ALGORITHMS
from jwtgate.signer.secret_hashes import hash_secret, new_secret
from jwtgate.signer.tables import clients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from jwtgate.signer.store import Store

# Narrower than RFC 6749, appendix A.1: such a name is the same in a form, in Basic credentials and in a log.
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# RFC 6749, section 3.3.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Client:
    """What is registered. `audience` and `algorithm`: empty and None are the signer's own; times in seconds.

    `exchange_to`: audiences that a token which it exchanges may get without having had them.
    """

    id: str
    created: float
    scopes: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    algorithm: str | None = None
    token_lifetime: int | None = None
    may_exchange: bool = False
    may_introspect: bool = False
    exchange_to: tuple[str, ...] = ()
    jwks: str | None = None
    secret_hash: str | None = field(default=None, repr=False)
    old_secret_hash: str | None = field(default=None, repr=False)
    old_secret_until: float | None = None

    def secret_hashes(self, now: float) -> tuple[str, ...]:
        """The hashes of the secrets that hold at `now`."""
        old = self.old_secret_hash if now < (self.old_secret_until or 0) else None
        return tuple(found for found in (self.secret_hash, old) if found is not None)


def add_client(store: Store, client: Client, *, secret: bool) -> str | None:
    """Register a client. Returns its secret, which cannot be shown again; None without one. Raises SignerError."""
    _check(client)
    if not secret and client.jwks is None:
        raise SignerError("a client without a secret needs public keys: --public-key jwks.json")
    made = new_secret() if secret else None
    with store.exclusive() as connection:
        if connection.execute(select(clients.c.id).where(clients.c.id == client.id)).first():
            raise SignerError(f"there is a client {client.id} already: rotate-secret gives it a new secret")
        connection.execute(
            insert(clients).values(
                id=client.id,
                created=client.created,
                secret_hash=None if made is None else hash_secret(made),
                jwks=client.jwks,
                scopes=json.dumps(client.scopes),
                audience=json.dumps(client.audience),
                algorithm=client.algorithm,
                token_lifetime=client.token_lifetime,
                may_exchange=client.may_exchange,
                may_introspect=client.may_introspect,
                exchange_to=json.dumps(client.exchange_to),
            )
        )
    return made


def find_client(store: Store, name: str) -> Client | None:
    """The client with this id."""
    if _CLIENT_ID.fullmatch(name) is None:  # PostgreSQL would fail with some of them
        return None
    with store.read() as connection:
        row = connection.execute(_BY_ID, {"id": name}).first()
    return None if row is None else _client(row)


# Compiled once: it stands in the way of every token.
_BY_ID: Final = select(clients).where(clients.c.id == bindparam("id"))


def list_clients(store: Store) -> tuple[Client, ...]:
    """All clients, by name."""
    with store.read() as connection:
        return tuple(map(_client, connection.execute(select(clients).order_by(clients.c.id)).all()))


def rotate_secret(store: Store, name: str, *, now: float, keep_old: int) -> str:
    """A new secret for a client; its old one holds for `keep_old` more seconds. Raises SignerError."""
    made = new_secret()
    hashed = hash_secret(made)
    with store.exclusive() as connection:
        row = connection.execute(select(clients).where(clients.c.id == name)).first()
        if row is None:
            raise _unknown(name)
        connection.execute(
            update(clients)
            .where(clients.c.id == name)
            .values(secret_hash=hashed, old_secret_hash=row.secret_hash, old_secret_until=now + keep_old)
        )
    return made


def remove_client(store: Store, name: str) -> None:
    """Remove a client: it gets no token any more. Raises SignerError."""
    with store.exclusive() as connection:
        if connection.execute(delete(clients).where(clients.c.id == name)).rowcount == 0:
            raise _unknown(name)


def public_keys(document: bytes) -> str:
    """The JWK Set in a file, private members left out, to register for private_key_jwt. Raises SignerError."""
    found = read_json_object(document)
    entries: Sequence[Any] = [] if found is None else [found] if "kty" in found else found.get("keys") or []
    text = json.dumps({"keys": [public_half(entry) for entry in entries if isinstance(entry, dict)]})
    try:
        keys = read_jwks(text.encode())
    except KeyRefusedError as error:
        raise SignerError(f"not usable as public keys: {error}") from None
    if not any(algorithm in SIGNER_ALGORITHMS for key in keys.keys for algorithm in key.algorithms):
        raise SignerError("not usable as public keys: expected a JWK Set or a JWK with a public key")
    return text


def _check(client: Client) -> None:
    if _CLIENT_ID.fullmatch(client.id) is None:
        raise SignerError(f"{client.id!a} cannot be a client's name: letters, digits, dot, - and _, at most 64")
    for scope in client.scopes:
        if _SCOPE.fullmatch(scope) is None:
            raise SignerError(f"{scope!a} cannot be a scope: printable ASCII without spaces and quotes")
    if "" in (*client.audience, *client.exchange_to):
        raise SignerError("an audience is empty")
    if client.token_lifetime is not None and client.token_lifetime < 1:
        raise SignerError("tokens that last for no time are of no use: 1s at least")
    if client.algorithm is not None and client.algorithm not in SIGNER_ALGORITHMS:
        raise SignerError(f"{client.algorithm!a}: choose one of {', '.join(SIGNER_ALGORITHMS)}")


def _unknown(name: str) -> SignerError:
    return SignerError(f"there is no client {name!a}: jwtgate signer client list")


def _client(row: Row[Any]) -> Client:
    return Client(
        id=row.id,
        created=row.created,
        scopes=tuple(json.loads(row.scopes)),
        audience=tuple(json.loads(row.audience)),
        algorithm=row.algorithm,
        token_lifetime=row.token_lifetime,
        may_exchange=row.may_exchange,
        may_introspect=row.may_introspect,
        exchange_to=tuple(json.loads(row.exchange_to)),
        jwks=row.jwks,
        secret_hash=row.secret_hash,
        old_secret_hash=row.old_secret_hash,
        old_secret_until=row.old_secret_until,
    )
