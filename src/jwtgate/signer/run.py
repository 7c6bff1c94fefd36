"""The signer as a process: keys first, then the address, then answers until SIGTERM or SIGINT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from jwtgate.serve import serve
from jwtgate.signer.app import create_app
from jwtgate.signer.key_directory import open_key_directory

if TYPE_CHECKING:
    from jwtgate.plan import SignerSettings

_log = structlog.get_logger()


def run(settings: SignerSettings, *, unsafe_example_token: bool = False) -> None:
    """Serve the signer on `settings.listen` until told to stop. Call it in the main thread of a process.

    Raises StartError when the keys cannot be used or the address cannot be had.
    """
    keys = open_key_directory(settings.key_dir, settings.algorithm)
    if unsafe_example_token:
        _log.warning(
            "unsafe_example_token: whoever reaches /example-token gets a valid token", listen=settings.listen
        )
    serve(create_app(settings, keys, unsafe_example_token=unsafe_example_token), settings.listen)
