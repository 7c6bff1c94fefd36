"""The signer as a process: keys first, then the address, then answers until SIGTERM or SIGINT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.serve import serve
from jwtgate.signer.app import create_app
from jwtgate.signer.key_directory import open_key_directory

if TYPE_CHECKING:
    from jwtgate.plan import SignerSettings


def run(settings: SignerSettings) -> None:
    """Serve the signer on `settings.listen` until told to stop. Call it in the main thread of a process.

    Nobody gets a token from it for the asking: that is the demo's (`create_app`). Raises StartError when the keys
    cannot be used or the address cannot be had.
    """
    keys = open_key_directory(settings.key_dir, settings.algorithm)
    serve(create_app(settings, keys), settings.listen)
