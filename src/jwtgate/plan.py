"""The waist: what gateway.yaml means, with nothing optional left and no name left to look up.

`config.compile` makes a Plan, `nginx.render` and the validator read it. Both read the same one, so they cannot
disagree about what a route requires. A Plan is frozen and deterministic: the same text gives an equal Plan.
All durations are seconds, all sizes bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jwtgate.keys.freshness import Pace
from jwtgate.policy import AUTHORIZATION, DEFAULT_CLAIM_NAMES, ClaimNames, Presence, inputs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jwtgate.policy import ClaimPath, Inputs, Requirement, TokenSource
    from jwtgate.reasons import Reason


KIB = 1024

# What the validator may add to a decision beside identity headers.
DECISION_HEADERS_BYTES = 2 * KIB

# Buffers for a client's request line and headers (large_client_header_buffers).
CLIENT_HEADER_BUFFERS = 4


@dataclass(frozen=True, slots=True)
class Fetching:
    """How an issuer's documents are fetched.

    Header values and the proxy may hold secrets: they appear in no repr.
    """

    connect_timeout: float = 3.0
    total_timeout: float = 10.0  # from the first byte sent to the last one received, redirects included
    max_bytes: int = 1 << 20
    max_keys: int = 100
    ca_file: Path | None = None  # PEM; only these are trusted. None: the system's
    client_certificate: Path | None = None  # PEM: chain and, unless client_key names it, private key
    client_key: Path | None = None
    proxy: str | None = field(default=None, repr=False)  # URL; the environment's proxies are not used
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class JwksUrl:
    """Keys come from a URL. It is https, or loopback, or the configuration said `insecure_http: true`."""

    url: str
    fetching: Fetching = field(default_factory=Fetching)


@dataclass(frozen=True, slots=True)
class Discovery:
    """Keys come from where the issuer's metadata says. The first of `urls` that answers counts."""

    issuer: str  # what the metadata must name, whole; that of all tenants names "{tenantid}" in their place
    urls: tuple[str, ...]
    fetching: Fetching = field(default_factory=Fetching)


@dataclass(frozen=True, slots=True)
class InlineJwks:
    """Keys stand in the configuration itself: a JWKS document."""

    jwks: bytes


@dataclass(frozen=True, slots=True)
class JwksFile:
    """Keys come from a JWKS file on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """One symmetric key, for HS256, HS384 and HS512 only. Its text appears in no repr."""

    secret: bytes = field(repr=False)


KeySource = JwksUrl | Discovery | JwksFile | InlineJwks | SharedSecret

# A part of a path that names one of a sharded issuer's lists (RFC 3986, section 2.3: unreserved).
_SHARD = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,127}")


@dataclass(frozen=True, slots=True)
class StatusLists:
    """Where an issuer publishes the statuses of its tokens, and how they are fetched."""

    uris: tuple[str, ...]  # fetched in the background from the start
    prefixes: tuple[str, ...]  # each with one more path segment: fetched when the first token names it
    max_stale: int  # seconds for which a list is used since the issuer last confirmed it
    fetching: Fetching

    def permits(self, uri: str) -> bool:
        """Whether a token of the issuer may refer to the list at `uri`."""
        return uri in self.uris or any(
            uri.startswith(prefix) and _SHARD.fullmatch(uri, len(prefix)) is not None for prefix in self.prefixes
        )


# When an issuer's keys must be there. require: before the gateway is ready. degrade: it starts without them, and
# answers issuer_unavailable. lazy: nobody asks for them before a token does.
StartMode = Literal["require", "degrade", "lazy"]


@dataclass(frozen=True, slots=True)
class Template:
    """An issuer of gateway.yaml that stands for several, one for each tenant."""

    name: str
    issuer: str  # with "{tenant}" in it


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer whose tokens are trusted, and the rules that its tokens must keep."""

    name: str
    issuer: str  # the `iss` claim, compared whole
    keys: KeySource
    audience: tuple[str, ...] | None  # any of these in `aud`; None only by `unsafe_any_audience: true`
    algorithms: tuple[str, ...]  # JWS `alg` values; all symmetric or all asymmetric
    leeway: int
    max_token_bytes: int
    types: tuple[str, ...] | None  # accepted `typ` header values, lower case; None: not looked at
    required_claims: tuple[str, ...]
    max_lifetime: int | None  # exp - iat at most
    pace: Pace = field(default_factory=Pace)  # how often its keys are fetched
    start: StartMode = "degrade"
    audience_claim: str = "aud"
    fixed_claims: tuple[tuple[str, str], ...] = ()  # each must have this value
    claim_names: ClaimNames = DEFAULT_CLAIM_NAMES  # where its tokens have scopes, roles and groups
    status_lists: StatusLists | None = None  # None: its tokens have no `status`, or are denied
    unsafe_ignore_status: bool = False
    tenant_of: Template | None = None  # None: it stands in gateway.yaml itself


@dataclass(frozen=True, slots=True)
class IdentityHeader:
    """A request header to the service that says something of the token's subject."""

    header: str
    claim: ClaimPath | None  # None: the whole payload, in base64url
    comma_list: bool = False  # an array is a list with commas; else JSON
    omit: bool = False  # when there is no room for it, it is left out; else the request is denied


@dataclass(frozen=True, slots=True)
class Policy:
    """What a request must bring, as one route or several share it.

    `id` is the policy's name and a digest of everything else here, issuers included. It is all that NGINX sends.
    """

    id: str
    name: str
    issuers: tuple[str, ...]  # names in Plan.issuers; a token of any of them will do
    bare_token: bool  # the Authorization header may hold the token without a scheme
    staleness: int  # how long NGINX may repeat an allow; 0: not at all
    identity: tuple[IdentityHeader, ...]
    requirement: Requirement | None = None  # beside a token that holds; None: nothing
    sources: tuple[TokenSource, ...] = AUTHORIZATION
    presence: Presence = "required"
    unsafe_allow_stale_status: bool = False  # a status list that cannot be had, or is too old, does not deny
    shadow: Policy | None = None  # evaluated too and never enforced; in no Plan.policies, so nobody can ask it

    @property
    def lines(self) -> int:
        """How many lines of a client's request, each as long as NGINX reads, can be in the cache's key."""
        return len(self.sources) + self.inputs.path + len(self.inputs.headers)

    @property
    def inputs(self) -> Inputs:
        """What it, or its shadow, reads of the request beside the token."""
        own = inputs_of(self.requirement)
        return own if self.shadow is None else own | self.shadow.inputs


@dataclass(frozen=True, slots=True)
class Server:
    """One address of an upstream: `host:port`, or `unix:/path`."""

    address: str
    is_name: bool = False  # `host` is a name, which somebody has to resolve

    @property
    def host(self) -> str:
        """The host, IPv6 in brackets."""
        return self.address.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How the services of an upstream are known by TLS, and how the gateway makes itself known to them."""

    server_name: str  # in SNI, and in the certificate
    ca_file: Path | None = None  # PEM; only these are trusted. None: the system's
    client_certificate: Path | None = None
    client_key: Path | None = None
    verify: bool = True  # False only by `insecure_skip_verify: true`


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service, with one address or several that share its load."""

    name: str
    servers: tuple[Server, ...]
    tls: UpstreamTls | None
    keepalive: int  # idle connections kept per NGINX worker
    resolve: Literal["always", "at_start"] = "always"  # when names are resolved


@dataclass(frozen=True, slots=True)
class Resolver:
    """The name servers that upstreams' names are asked of, as NGINX writes them."""

    servers: tuple[str, ...]
    valid: int | None = None  # how long an address is believed; None: as the answer says
    timeout: int = 3


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many requests somebody may make. Routes that name the same limit share its count."""

    name: str
    by: Literal["address", "subject"]
    count: int
    per: Literal["s", "m"]
    burst: int  # requests that may come at once


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets instead of the service's answer."""

    status: int
    content_type: str
    body: str
    headers: tuple[tuple[str, str], ...]
    trailers: tuple[tuple[str, str], ...] = ()
    challenge: tuple[ChallengeParameter, ...] = ()  # what `WWW-Authenticate` gets in addition, as the route needs
    login: str | None = None  # where a browser is sent instead; the address to return to follows


# `scope` and `resource_metadata`, RFC 6750 and RFC 9728; `step_up`, RFC 9470: `acr_values` and `max_age`.
ChallengeParameter = Literal["scope", "step_up", "resource_metadata"]

Answers = tuple[tuple["Reason", Answer], ...]


@dataclass(frozen=True, slots=True)
class Cors:
    """What pages of other origins may do (Fetch, section 3.2). `pass_on`: the service answers preflights."""

    pass_on: bool = False
    origins: tuple[str, ...] = ()  # `https://*.example.com` and `*` stand for many
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 0


@dataclass(frozen=True, slots=True)
class Resource:
    """A protected resource that describes itself to clients (RFC 9728, section 3)."""

    metadata_url: str
    metadata_path: str  # of that URL, where the gateway answers
    metadata: str  # JSON


@dataclass(frozen=True, slots=True)
class Route:
    """A location of the gateway."""

    host: str | None  # exact or `*.example.com`; None: any
    path: str
    match: Literal["prefix", "exact"]
    upstream: str  # name in Plan.upstreams
    policy: str | None  # id in Plan.policies; None only by `public: true`
    strip_prefix: bool
    redirect_slash: bool  # `/a` is answered by a redirect to `/a/` instead of 404
    allow_encoded_slashes: bool  # `%2F`, and `%2E` outside of dot segments, are passed on instead of refused
    websocket: bool
    sse: bool
    grpc: bool
    rate_limit: str | None  # name in Plan.rate_limits
    cache_jwks: bool
    max_body: int  # 0: no limit
    connect_timeout: int
    read_timeout: int
    send_timeout: int
    answers: Answers  # this route's own denials, complete; empty: the gateway's
    strip_token: bool = False  # the service does not get the token
    cors: Cors | None = None
    login: str | None = None  # where browsers without a good token are sent
    resource: Resource | None = None


@dataclass(frozen=True, slots=True)
class Included:
    """What a location of somebody's own nginx.conf includes: the policy that it asks."""

    name: str
    policy: str  # id in Plan.policies
    strip_token: bool  # the service does not get the token
    answers: Answers  # its own denials, complete; empty: the gateway's


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate chain and private key, PEM files that NGINX reads."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that NGINX listens on: `127.0.0.1:8000`, `[::]:8000`, `0.0.0.0:8443`."""

    address: str
    tls: Tls | None
    http2: bool = False
    redirect_port: int | None = None  # serves nothing, and sends everyone to https on this port


@dataclass(frozen=True, slots=True)
class Host:
    """A host with a certificate of its own."""

    name: str  # exact or `*.example.com`
    tls: Tls


# W3C Trace Context to services: the client's, if well-formed; and a new one where there is none; always a new one.
TraceparentMode = Literal["forward", "generate", "replace"]
NginxScheduling = Literal["batch", "normal"]


@dataclass(frozen=True, slots=True)
class DecisionCache:
    """NGINX's cache of allows. `max_size` is its share of the file system that holds it."""

    max_size: int


SIGNER_ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "PS256", "Ed25519", "EdDSA", "ML-DSA-65")


@dataclass(frozen=True, slots=True)
class SignerPlace:
    """Where a signer's keys and clients are: a SQLite database in `key_dir`, or a PostgreSQL `database`.

    The passphrase itself is not here: only the signer's process reads it. The database's URL may hold a password,
    and appears in no repr.
    """

    key_dir: Path | None
    database: str | None = field(default=None, repr=False)
    passphrase_file: Path | None = None  # its content encrypts the private keys
    passphrase_env: str | None = None  # or this environment variable's


@dataclass(frozen=True, slots=True)
class SignerSettings:
    """The token issuer that `jwtgate up` starts beside the gateway."""

    issuer: str
    url: str  # where clients reach it: what its endpoints' URLs begin with, without a slash at the end
    audience: tuple[str, ...]  # of a token whose client has no audience of its own
    algorithms: tuple[str, ...]  # the first signs, unless a client has one of its own
    listen: str  # host:port
    token_lifetime: int  # of the longest token
    jwks_max_age: int
    rotation_interval: int | None  # how long a key signs; None: until somebody says `rotate`
    status_list_uri: str  # `status.status_list.uri` of its tokens
    place: SignerPlace
    status_list_max_age: int = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a gateway does."""

    listeners: tuple[Listener, ...]
    run_dir: Path | None  # None: chosen at start
    state_dir: Path | None  # where issuers' keys are kept over restarts; None: they are not
    trusted_proxies: tuple[str, ...]  # CIDR blocks
    realm: str
    access_log: str | None  # a path, or None for none
    admin: str | None  # address and port of what may be read: liveness, readiness; None for nowhere
    issuers: Mapping[str, Issuer]  # by name
    policies: Mapping[str, Policy]  # by id
    upstreams: Mapping[str, Upstream]  # by name
    routes: tuple[Route, ...]
    answers: Answers  # one for each reason
    cache: DecisionCache
    workers: int  # validator processes
    signer: SignerSettings | None
    hosts: Mapping[str, Host] = field(default_factory=dict)  # by name
    rate_limits: Mapping[str, RateLimit] = field(default_factory=dict)  # by name
    resolver: Resolver | None = None  # None: what the system uses
    traceparent: TraceparentMode = "forward"
    nginx_scheduling: NginxScheduling = "batch"
    shutdown_timeout: int = 5
    max_connection_age: int | None = None
    identity_bytes: int = 4096  # for all identity headers of a request
    drain_timeout: int = 60
    included: tuple[Included, ...] = ()  # for `jwtgate render --include`
    deny_list: Path | None = None  # what the operator denies; see `jwtgate.revocation.deny_list`

    @property
    def max_token_bytes(self) -> int:
        """The largest token that any issuer allows."""
        return max((issuer.max_token_bytes for issuer in self.issuers.values()), default=0)

    @property
    def header_buffer(self) -> int:
        """Bytes for a client's longest header line: the largest token, its header's name, its scheme."""
        return _power_of_two(self.max_token_bytes + KIB)

    @property
    def decision_buffer(self) -> int:
        """Bytes for a cached decision, key and headers, in memory and at most in a file.

        A key that does not fit costs a line in the error log per request, so whatever header a client can send
        fits. A cache file counts in 16 bits (ngx_http_file_cache_header_t): more than 64k would be of no use.

        No larger than need be: musl, the C library of Alpine, maps what is larger than 26k anew each time.
        """
        lines = min(max((each.lines for each in self.policies.values()), default=1), CLIENT_HEADER_BUFFERS)
        key = lines * self.header_buffer
        return min(64 * KIB, _pages(key + DECISION_HEADERS_BYTES + self.identity_bytes))

    @property
    def tells_who(self) -> bool:
        """Whether NGINX has a use for whose token a decision is about: for the log, the metrics, a rate limit."""
        logged = self.access_log is not None or self.admin is not None or bool(self.included)
        return logged or any(limit.by == "subject" for limit in self.rate_limits.values())

    @property
    def identity_headers(self) -> tuple[str, ...]:
        """Every identity header that any policy sets, sorted: each is set or cleared on every route."""
        return tuple(sorted({each.header for policy in self.policies.values() for each in policy.identity}))


def _pages(least: int) -> int:
    """Whole pages of memory that hold so many bytes."""
    return -(-least // (4 * KIB)) * 4 * KIB


def _power_of_two(least: int) -> int:
    return max(4 * KIB, 1 << (least - 1).bit_length())
