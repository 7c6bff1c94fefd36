"""The signer as a process: its address, its store and keys, then answers until SIGTERM or SIGINT."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jwtgate.errors import StartError, StoreError
from jwtgate.serve import bind, serve_socket
from jwtgate.signer.app import create_app
from jwtgate.signer.key_store import KeyStore
from jwtgate.signer.passphrase import encryption_key, read_passphrase
from jwtgate.signer.ring import KeyRing
from jwtgate.signer.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.plan import SignerSettings


@dataclass(frozen=True, slots=True)
class Signer:
    """Everything that the endpoints stand on, opened."""

    store: Store
    keys: KeyStore
    ring: KeyRing


@contextlib.contextmanager
def opened(settings: SignerSettings, now: float) -> Iterator[Signer]:
    """The signer's store and keys, made on the first start. Raises StartError."""
    passphrase = read_passphrase(settings.place)
    store = open_store(settings.place)
    try:
        keys = KeyStore(store, encryption_key(store, passphrase))
        keys.begin(settings, now)
        ring = KeyRing(keys, settings.algorithms, settings.jwks_max_age)
        ring.refresh(now)
        yield Signer(store, keys, ring)
    except StoreError as error:
        raise StartError(f"the signer's database: {error}") from error
    finally:
        store.close()


def run(settings: SignerSettings, *, unsafe_example_token: bool = False) -> None:
    """Serve the signer on `settings.listen` until told to stop. Call it in the main thread of a process.

    `unsafe_example_token`: whoever asks gets a token; that is the demo's (`create_app`). Raises StartError when
    the keys cannot be used or the address cannot be had.
    """
    # The address first: who asks while the keys are being opened waits a moment, instead of being refused.
    with bind(settings.listen) as listener, opened(settings, time.time()) as signer:
        app = create_app(settings, signer.store, signer.ring, unsafe_example_token=unsafe_example_token)
        serve_socket(app, listener)
