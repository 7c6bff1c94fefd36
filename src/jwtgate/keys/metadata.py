"""Where an issuer's keys are, from its metadata: OpenID Connect Discovery 1.0 and RFC 8414.

Both documents name the issuer and the `jwks_uri`. The issuer in the document must be the configured one, whole.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from jwtgate.errors import KeyFetchError
from jwtgate.keys.encoding import read_json_object
from jwtgate.keys.looks import BYTE_ORDER_MARK

ANY_TENANT = "{tenantid}"
"""What stands in the place of a tenant where Entra ID speaks of all of them: in the `issuer` of the metadata of
`common` and `organizations`, and in the `issuer` of keys that are common to its tenants."""

_LONGEST_SHOWN = 200


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where the metadata of `issuer` can be: OpenID Connect's place first, then that of RFC 8414."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    return (
        # OpenID Connect Discovery 1.0, section 4.1: the string is appended, a final "/" removed before.
        urlunsplit((parts.scheme, parts.netloc, f"{path}/.well-known/openid-configuration", "", "")),
        # RFC 8414, section 3.1: it is inserted between the host and the path.
        urlunsplit((parts.scheme, parts.netloc, f"/.well-known/oauth-authorization-server{path}", "", "")),
    )


def read_metadata(body: bytes, issuer: str, place: str) -> str:
    """The `jwks_uri` of a metadata document of `issuer` that was read from `place`, a URL.

    Raises KeyFetchError when the document is about another issuer, or names no URL that may be fetched.
    """
    document = read_json_object(body.removeprefix(BYTE_ORDER_MARK))
    if document is None:
        raise KeyFetchError(f"{place}: not a metadata document: expected one JSON object")
    # RFC 8414, section 3.3: the issuer "MUST be identical"; if not, the data "MUST NOT be used".
    named = document.get("issuer")
    if named != issuer:
        advice = "write the issuer exactly as its metadata does"
        if isinstance(named, str) and ANY_TENANT in named:
            advice = f"it is for many tenants: write {{tenant}} in the place of {ANY_TENANT}, and list the tenants"
        raise KeyFetchError(f"{place}: is the metadata of {_shown(named)}, expected {issuer!r}; {advice}")
    uri = document.get("jwks_uri")
    if not isinstance(uri, str):
        raise KeyFetchError(f"{place}: has no jwks_uri; configure the URL of the key set instead")
    # What was found over TLS must not lead to something without it.
    if not uri.startswith("https://") and not (uri.startswith("http://") and place.startswith("http://")):
        raise KeyFetchError(f"{place}: jwks_uri is not an https URL: {_shown(uri)}")
    return uri


def _shown(value: object) -> str:
    """What a stranger wrote, escaped and cut."""
    return ascii(value)[:_LONGEST_SHOWN]
