"""The shape of gateway.yaml: one pydantic model per section, and the JSON Schema that editors read.

The models check one value at a time and normalise the short forms (`listen: 8000` becomes a list of one
listener). What takes two values to judge is the business of `compile`, as is every default that depends on
another setting: here an optional value that is not written is None.
"""

from jwtgate.config.schema.admin import AdminSection
from jwtgate.config.schema.cors import CorsSection
from jwtgate.config.schema.denials import Denials, DenialSection
from jwtgate.config.schema.fields import FAULT, Section
from jwtgate.config.schema.gateway import VERSION, CacheSection, Gateway
from jwtgate.config.schema.include import IncludeSection
from jwtgate.config.schema.issuers import (
    MAX_TOKEN_BYTES,
    MIN_TOKEN_BYTES,
    ClaimNamesSection,
    FetchSection,
    IssuerSection,
    RefreshSection,
)
from jwtgate.config.schema.json_schema import json_schema
from jwtgate.config.schema.listeners import HostSection, ListenerSection, TlsSection
from jwtgate.config.schema.policies import PolicySection
from jwtgate.config.schema.rate_limits import RateLimitSection
from jwtgate.config.schema.resolver import ResolverSection
from jwtgate.config.schema.routes import DefaultsSection, RouteSection
from jwtgate.config.schema.signer import SignerSection
from jwtgate.config.schema.upstreams import UpstreamSection, UpstreamTlsSection

__all__ = [
    "FAULT",
    "MAX_TOKEN_BYTES",
    "MIN_TOKEN_BYTES",
    "VERSION",
    "AdminSection",
    "CacheSection",
    "ClaimNamesSection",
    "CorsSection",
    "DefaultsSection",
    "DenialSection",
    "Denials",
    "FetchSection",
    "Gateway",
    "HostSection",
    "IncludeSection",
    "IssuerSection",
    "ListenerSection",
    "PolicySection",
    "RateLimitSection",
    "RefreshSection",
    "ResolverSection",
    "RouteSection",
    "Section",
    "SignerSection",
    "TlsSection",
    "UpstreamSection",
    "UpstreamTlsSection",
    "json_schema",
]
