"""An issuer: an HTTP server that publishes a key set, and the tokens that go with it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from jwtgate.keys import SigningKey, generate_signing_key
from jwtgate.revocation import pack, status_claims
from jwtgate.revocation.status_token import TYP
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from types import TracebackType

URL = "https://issuer.example"
AUDIENCE = "services"


class Issuer:
    """Publishes `keys` at `jwks_url` while it is up. Its address stays the same over `down` and `up`.

    At `list_url` is the status list of its tokens, in which those of `revoked` (indices) are revoked.
    """

    def __init__(self, algorithm: str = "ES256", *, max_age: int = 300) -> None:
        self.algorithm = algorithm
        self.key = generate_signing_key(algorithm)
        self.keys: list[SigningKey] = [self.key]
        self.max_age = max_age
        self.fetches = 0
        self.revoked: set[int] = set()
        self.list_max_age = 2
        self.list_fetches = 0
        self.list_status = 200
        self._port = 0
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def jwks_url(self) -> str:
        """Where the key set is."""
        return f"http://127.0.0.1:{self._port}/jwks"

    @property
    def list_url(self) -> str:
        """Where the status list is."""
        return f"http://127.0.0.1:{self._port}/statuslists/1"

    def status(self, index: int) -> dict[str, Any]:
        """The `status` claim of the token with this index."""
        return {"status_list": {"idx": index, "uri": self.list_url}}

    def status_list(self) -> bytes:
        """The Status List Token, as of now."""
        self.list_fetches += 1
        statuses = pack(dict.fromkeys(self.revoked, 1), 1024)
        claims = status_claims(
            self.list_url, URL, statuses, issued_at=int(time.time()), lifetime=3600, ttl=self.list_max_age
        )
        return mint(claims, self.key, typ=TYP).encode()

    def up(self) -> None:
        """Begin to answer."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/statuslists/1":
                    self.answer(issuer.status_list(), "application/statuslist+jwt", issuer.list_max_age)
                    return
                issuer.fetches += 1
                body = json.dumps({"keys": [key.public_jwk() for key in issuer.keys]}).encode()
                self.answer(body, "application/jwk-set+json", issuer.max_age)

            def answer(self, body: bytes, media_type: str, max_age: int) -> None:
                self.send_response(issuer.list_status if "statuslist" in media_type else 200)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", f"max-age={max_age}")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Stop answering: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def token(self, *, key: SigningKey | None = None, typ: str = "JWT", **claims: Any) -> str:
        """A token that is good for five minutes, unless the claims say otherwise; None removes a claim."""
        now = int(time.time())
        every = {"iss": URL, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300} | claims
        return mint({name: value for name, value in every.items() if value is not None}, key or self.key, typ=typ)
