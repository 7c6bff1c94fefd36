"""The token issuer: a key directory, the JWKS that it publishes, and the process that serves it."""

from __future__ import annotations

from jwtgate.signer.app import create_app
from jwtgate.signer.key_directory import SignerKeys, open_key_directory
from jwtgate.signer.run import run

__all__ = ["SignerKeys", "create_app", "open_key_directory", "run"]
