"""Who is asking: client_secret_basic, client_secret_post (RFC 6749, section 2.3.1) and private_key_jwt (RFC 7523).

One request has one of them. What fails is invalid_client, whatever the reason was: the reason is for the log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote_plus

import structlog
from sqlalchemy import delete, insert, select

from jwtgate.keys import read_jwks
from jwtgate.plan import SIGNER_ALGORITHMS
from jwtgate.reasons import Reason
from jwtgate.signer.attempts import Attempts
from jwtgate.signer.clients import Client, find_client
from jwtgate.signer.forms import Form, optional
from jwtgate.signer.oauth_errors import OAuthError
from jwtgate.signer.secret_hashes import SecretChecker
from jwtgate.signer.tables import assertions
from jwtgate.tokens import ClaimRules, parse, verify_token
from jwtgate.tokens.parse import unverified_issuer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwtgate.signer.store import Store

_log = structlog.get_logger()

METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, section 2.2
MAX_ASSERTION_LIFETIME: Final = 3600  # seconds; some clients ask for no less
_LEEWAY: Final = 30


@dataclass(frozen=True, slots=True)
class Secret:
    """A client id and a secret."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A JWT that the client signed. The id is what it says, until it is verified."""

    client_id: str
    token: str = field(repr=False)


Credentials = Secret | Assertion


def read_credentials(form: Form, authorization: Sequence[str]) -> Credentials:
    """What the request says about who sends it. Raises OAuthError."""
    given = [
        *("client_secret_basic" for _ in authorization),
        *(["client_secret_post"] if "client_secret" in form else []),
        *(["private_key_jwt"] if "client_assertion" in form or "client_assertion_type" in form else []),
    ]
    # RFC 6749, section 2.3: "The client MUST NOT use more than one authentication method in each request."
    if len(given) > 1:
        raise OAuthError("invalid_request", "more than one way of client authentication in one request")
    if not given:
        raise OAuthError("invalid_client", "the client must authenticate")
    named = optional(form, "client_id")
    match given[0]:
        case "client_secret_basic":
            credentials: Credentials = _basic(authorization[0])
        case "client_secret_post":
            if named is None:
                raise OAuthError("invalid_request", "the parameter client_id is missing")
            credentials = Secret(named, form["client_secret"][0])
        case _:
            credentials = _assertion(form)
    if named not in (None, credentials.client_id):
        raise OAuthError("invalid_request", "client_id names another client than the one that authenticates")
    return credentials


def _basic(header: str) -> Secret:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthError("invalid_client", "expected Authorization: Basic")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise OAuthError("invalid_client", "the Basic credentials cannot be read") from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise OAuthError("invalid_client", "the Basic credentials cannot be read")
    # RFC 6749, section 2.3.1: each is form-encoded before. Ours need no encoding: both ways are understood.
    return Secret(unquote_plus(client_id), unquote_plus(secret))


def _assertion(form: Form) -> Assertion:
    if optional(form, "client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}")
    token = optional(form, "client_assertion")
    if token is None:
        raise OAuthError("invalid_request", "the parameter client_assertion is missing")
    parsed = parse(token, max_bytes=8192)
    issuer = parsed if isinstance(parsed, Reason) else unverified_issuer(parsed)
    if isinstance(issuer, Reason) or issuer is None:
        raise OAuthError("invalid_client", "the client assertion cannot be read")
    return Assertion(issuer, token)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Checks credentials against the store. `audiences` are what an assertion may name as its `aud`."""

    store: Store
    audiences: tuple[str, ...]
    secrets: SecretChecker = field(default_factory=SecretChecker)
    attempts: Attempts = field(default_factory=Attempts)

    def authenticate(self, credentials: Credentials, now: float) -> Client:
        """The client. Raises OAuthError, and StoreError when it cannot be known."""
        client = find_client(self.store, credentials.client_id)
        hashes = client.secret_hashes(now) if client else ()
        if client and isinstance(credentials, Secret) and self.secrets.remembers(hashes, credentials.secret):
            return client
        match credentials:
            case Secret():
                reason = self._refuse_secret(credentials, hashes, now)
            case Assertion():
                # Not limited: nobody guesses a signature, and a limit would be a way to lock the client out.
                reason = self._refuse_assertion(client, credentials, now)
        if client is None or reason is not None:
            _fail(client, reason)
        return client

    def _refuse_secret(self, given: Secret, hashes: Sequence[str], now: float) -> str | None:
        """Why the secret is not the client's; None when it is. Raises OAuthError after too many wrong ones."""
        wait = self.attempts.wait(given.client_id, now)
        if wait:
            description = "too many failed authentications"
            raise OAuthError(
                "temporarily_unavailable", description, status=HTTPStatus.TOO_MANY_REQUESTS, retry_after=wait
            )
        if self.secrets.check(hashes, given.secret):
            return None
        self.attempts.failed(given.client_id, now)
        return "wrong secret"

    def _refuse_assertion(self, client: Client | None, assertion: Assertion, now: float) -> str | None:
        """Why the assertion does not prove that it is this client; None when it does (RFC 7523, section 3)."""
        if client is None or client.jwks is None:
            return "no public keys are registered"
        rules = ClaimRules(
            issuer=client.id,
            audience=self.audiences,
            leeway=_LEEWAY,
            required=("sub", "jti", "exp"),
        )
        verified = verify_token(
            assertion.token, read_jwks(client.jwks.encode()), algorithms=SIGNER_ALGORITHMS, rules=rules, now=now
        )
        if isinstance(verified, Reason):
            return str(verified)
        if verified.claims["sub"] != client.id:
            return "sub is another than iss"
        expires = float(verified.claims["exp"])
        if expires > now + MAX_ASSERTION_LIFETIME + _LEEWAY:
            return f"the assertion is valid for more than {MAX_ASSERTION_LIFETIME} s"
        return None if self._is_first_use(client, str(verified.claims["jti"]), expires, now) else "replayed"

    def _is_first_use(self, client: Client, jti: str, expires: float, now: float) -> bool:
        """Remember an assertion until it has expired (RFC 7523, section 3, item 7)."""
        digest = hashlib.sha256(f"{client.id}\n{jti}".encode()).hexdigest()
        with self.store.exclusive() as connection:
            connection.execute(delete(assertions).where(assertions.c.expires < now))
            if connection.execute(select(assertions.c.digest).where(assertions.c.digest == digest)).first():
                return False
            connection.execute(insert(assertions).values(digest=digest, expires=expires + 2 * _LEEWAY))
        return True


def _fail(client: Client | None, reason: str | None) -> NoReturn:
    # A stranger's text is not logged: people type secrets into the wrong field.
    _log.warning("client authentication failed", client=client.id if client else None, reason=reason or "unknown")
    raise OAuthError("invalid_client", "client authentication failed")
