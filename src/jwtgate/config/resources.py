"""`resource:` of a route → what the gateway tells clients about it (RFC 9728)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jwtgate.plan import Resource
from jwtgate.policy import scopes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.plan import Issuer, Policy

_WELL_KNOWN = "/.well-known/oauth-protected-resource"


def compile_resource(url: str, policy: Policy, issuers: Mapping[str, Issuer]) -> Resource:
    """The metadata of the resource at `url`, and where it is."""
    parts = urlsplit(url)
    # RFC 9728, section 3.1: it is inserted between host and path; a path of "/" is removed first.
    path = _WELL_KNOWN + ("" if parts.path == "/" else parts.path)
    servers = [issuers[name].issuer for name in policy.issuers if name in issuers]
    scopes = scopes_of(policy.requirement)
    # Section 2.
    metadata = {
        "resource": url,
        "authorization_servers": servers,
        **({"scopes_supported": list(scopes)} if scopes else {}),
        "bearer_methods_supported": ["header"],
    }
    return Resource(f"{parts.scheme}://{parts.netloc}{path}", path, json.dumps(metadata))
