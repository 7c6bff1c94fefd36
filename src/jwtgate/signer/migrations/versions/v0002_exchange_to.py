"""The audiences that a client may exchange tokens to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From 0001. Clients from before have none: they narrow only."""
    op.add_column("clients", sa.Column("exchange_to", sa.Text, nullable=False, server_default="[]"))
