"""What Alembic runs: the steps, on the connection that the store gives it, in its transaction."""

from __future__ import annotations

from alembic import context

from jwtgate.signer.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
