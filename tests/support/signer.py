"""Signers for tests: settings, and one with clients behind Starlette's test client."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from starlette.testclient import TestClient

from jwtgate.plan import SignerPlace, SignerSettings
from jwtgate.signer import create_app, opened
from jwtgate.signer.clients import Client, add_client

if TYPE_CHECKING:
    from types import TracebackType

    from jwtgate.signer.run import Signer

ISSUER = "https://signer.example"
NOW = 1_800_000_000.75

SETTINGS = SignerSettings(
    issuer=ISSUER,
    url=ISSUER,
    audience=("services",),
    algorithms=("ES256",),
    listen="127.0.0.1:0",
    token_lifetime=3600,
    jwks_max_age=300,
    rotation_interval=30 * 86400,
    status_list_uri=f"{ISSUER}/status-list",
    place=SignerPlace(Path("never-read")),
)


def settings(place: SignerPlace | Path, **changes: Any) -> SignerSettings:
    """Settings that differ from SETTINGS in a few things."""
    return replace(SETTINGS, place=SignerPlace(place) if isinstance(place, Path) else place, **changes)


@dataclass
class Clock:
    """A clock that tests set."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


class RunningSigner:
    """The signer's application over Starlette's test client, on a clock of its own."""

    def __init__(self, given: SignerSettings, *, unsafe_example_token: bool = False) -> None:
        self.settings = given
        self.clock = Clock()
        self._unsafe_example_token = unsafe_example_token
        self._opened = opened(given, self.clock())

    def __enter__(self) -> Self:
        self.signer: Signer = self._opened.__enter__()
        app = create_app(
            self.settings,
            self.signer.store,
            self.signer.ring,
            unsafe_example_token=self._unsafe_example_token,
            clock=self.clock,
        )
        # Without its lifespan: nothing happens in the background, tests refresh when they mean it.
        self.http = TestClient(app, follow_redirects=False)
        self.secrets: dict[str, str] = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def add(self, name: str, **facts: Any) -> str:
        """Register a client; its secret is also kept in `secrets`."""
        client = Client(id=name, created=self.clock(), **facts)
        secret = add_client(self.signer.store, client, secret=client.jwks is None) or ""
        self.secrets[name] = secret
        return secret

    def post(self, path: str, client: str, **form: Any) -> Any:
        """A form, with the client's own credentials."""
        return self.http.post(path, data=form, auth=(client, self.secrets[client]))

    def token(self, client: str, **form: Any) -> str:
        """A token by client_credentials."""
        answer = self.post("/token", client, grant_type="client_credentials", **form)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["access_token"]
        return found
