"""What the signer keeps, as tables. `migrations/` makes them; a test compares the two.

Times are Unix time in seconds. Lists are JSON. Nothing here but `keys.private` and the hashes in `clients` is
worth stealing, and both can be told apart from what a thief could use at once: keys are encrypted when there is a
passphrase, secrets are hashed.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

# Small facts, by name: the settings of the signer that started last, the salt of the passphrase.
facts = Table(
    "facts", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False)
)

keys = Table(
    "keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("algorithm", String(20), nullable=False),
    Column("private", LargeBinary, nullable=False),  # PKCS#8 PEM
    Column("public", Text, nullable=False),  # JWK
    Column("announced", Float, nullable=False),
    Column("signs_from", Float, nullable=False),
    Column("signs_until", Float),
    Column("longest_lifetime", Integer, nullable=False),
    Column("jwks_max_age", Integer, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created", Float, nullable=False),
    Column("secret_hash", Text),  # argon2id, in PHC form
    Column("old_secret_hash", Text),
    Column("old_secret_until", Float),
    Column("jwks", Text),  # public keys for private_key_jwt
    Column("scopes", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("algorithm", String(20)),
    Column("token_lifetime", Integer),
    Column("may_exchange", Boolean, nullable=False),
    Column("may_introspect", Boolean, nullable=False),
    Column("exchange_to", Text, nullable=False, server_default="[]"),
)

# The client assertions (private_key_jwt) that were used, until they expire: none is used twice.
assertions = Table(
    "assertions",
    metadata,
    Column("digest", String(64), primary_key=True),  # of client and jti
    Column("expires", Float, nullable=False, index=True),
)

# Blocks of status list indexes that were handed out, and when their last token will have expired.
status_blocks = Table(
    "status_blocks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("free_from", Float, nullable=False),
)

# The tokens that were revoked before they expired, by their index in the status list.
revocations = Table(
    "revocations",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("revoked", Float, nullable=False),
    Column("expires", Float, nullable=False),
)
