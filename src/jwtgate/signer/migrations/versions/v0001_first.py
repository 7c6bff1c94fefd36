"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "facts",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("kid", sa.String(64), primary_key=True),
        sa.Column("algorithm", sa.String(20), nullable=False),
        sa.Column("private", sa.LargeBinary, nullable=False),
        sa.Column("public", sa.Text, nullable=False),
        sa.Column("announced", sa.Float, nullable=False),
        sa.Column("signs_from", sa.Float, nullable=False),
        sa.Column("signs_until", sa.Float),
        sa.Column("longest_lifetime", sa.Integer, nullable=False),
        sa.Column("jwks_max_age", sa.Integer, nullable=False),
    )
    op.create_table(
        "clients",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("secret_hash", sa.Text),
        sa.Column("old_secret_hash", sa.Text),
        sa.Column("old_secret_until", sa.Float),
        sa.Column("jwks", sa.Text),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("algorithm", sa.String(20)),
        sa.Column("token_lifetime", sa.Integer),
        sa.Column("may_exchange", sa.Boolean, nullable=False),
        sa.Column("may_introspect", sa.Boolean, nullable=False),
    )
    op.create_table(
        "assertions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.create_index("ix_assertions_expires", "assertions", ["expires"])
    op.create_table(
        "status_blocks",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("free_from", sa.Float, nullable=False),
    )
    op.create_table(
        "revocations",
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("revoked", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
