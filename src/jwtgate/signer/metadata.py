"""What clients find out by themselves: RFC 8414, and the same as OpenID Connect Discovery spells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jwtgate.plan import SIGNER_ALGORITHMS
from jwtgate.signer.authentication import METHODS
from jwtgate.signer.grants import CLIENT_CREDENTIALS, TOKEN_EXCHANGE

if TYPE_CHECKING:
    from jwtgate.plan import SignerSettings

OAUTH_PATH = "/.well-known/oauth-authorization-server"
OIDC_PATH = "/.well-known/openid-configuration"


def metadata_paths(settings: SignerSettings) -> tuple[str, ...]:
    """Where the document is. Of an issuer with a path, RFC 8414 puts it before the path, OpenID Connect behind."""
    path = urlsplit(settings.issuer).path.rstrip("/")
    return tuple(dict.fromkeys((OAUTH_PATH, OIDC_PATH, OAUTH_PATH + path, path + OIDC_PATH)))


def metadata(settings: SignerSettings) -> dict[str, Any]:
    """RFC 8414, section 2; OpenID Connect Discovery 1.0, section 3, as far as a server without people has it."""
    authentication = {
        f"{endpoint}_endpoint_{member}": values
        for endpoint in ("token", "introspection", "revocation")
        for member, values in (
            ("auth_methods_supported", list(METHODS)),
            ("auth_signing_alg_values_supported", list(SIGNER_ALGORITHMS)),
        )
    }
    return {
        "issuer": settings.issuer,
        "token_endpoint": f"{settings.url}/token",
        "introspection_endpoint": f"{settings.url}/introspect",
        "revocation_endpoint": f"{settings.url}/revoke",
        "jwks_uri": f"{settings.url}/.well-known/jwks.json",
        "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
        # Required by both documents; there is no authorization endpoint that could be asked for one.
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(settings.algorithms),
        **authentication,
    }
