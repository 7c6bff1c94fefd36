"""What encrypts the private keys: a passphrase or random bytes, from a file or an environment variable.

It is never an argument of a command, which everybody on the machine could read. A passphrase that a person chose
is stretched by argon2id with a salt of the database's, so that who has stolen the database has to pay for each
guess.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from argon2.low_level import Type, hash_secret_raw
from sqlalchemy import insert, select

from jwtgate.errors import StartError
from jwtgate.signer.private_files import read_private
from jwtgate.signer.tables import facts

if TYPE_CHECKING:
    from jwtgate.plan import SignerPlace
    from jwtgate.signer.store import Store

_SALT: Final = "passphrase_salt"
_SALT_BYTES: Final = 16
_SHORTEST: Final = 8


def read_passphrase(place: SignerPlace) -> bytes | None:
    """The passphrase, or None when there is to be none. Raises StartError when it is not there."""
    if place.passphrase_file is not None:
        what, found = (
            f"passphrase file {place.passphrase_file}",
            read_private(place.passphrase_file, "passphrase file").rstrip(b"\r\n"),
        )
    elif place.passphrase_env is not None:
        what, found = (
            f"passphrase in {place.passphrase_env}",
            os.environ.get(place.passphrase_env, "").encode(),
        )
    else:
        return None
    if len(found) < _SHORTEST:
        raise StartError(f"{what}: shorter than {_SHORTEST} bytes. Make one: openssl rand -base64 32")
    return found


def encryption_key(store: Store, passphrase: bytes | None) -> bytes | None:
    """The passphrase as it encrypts: stretched, and hexadecimal because it becomes a PEM file's passphrase."""
    if passphrase is None:
        return None
    # RFC 9106, section 4: the second recommended option.
    raw = hash_secret_raw(
        passphrase, _salt(store), time_cost=3, memory_cost=65536, parallelism=4, hash_len=32, type=Type.ID
    )
    return raw.hex().encode()


def _salt(store: Store) -> bytes:
    found = select(facts.c.value).where(facts.c.name == _SALT)
    with store.exclusive() as connection:
        value = connection.execute(found).scalar()
        if value is None:
            value = secrets.token_hex(_SALT_BYTES)
            connection.execute(insert(facts).values(name=_SALT, value=value))
    return bytes.fromhex(value)
