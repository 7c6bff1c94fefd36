"""gateway.yaml as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from jwtgate.config import addresses, values
from jwtgate.config.problems import Fault
from jwtgate.config.schema.admin import AdminSection, admin_section
from jwtgate.config.schema.denials import Denials
from jwtgate.config.schema.fields import (
    LISTENER_JSON,
    PARSE_SIZE,
    SERVER_JSON,
    SIZE_JSON,
    FilePath,
    HostName,
    Name,
    OrOne,
    OrShort,
    PolicyName,
    Section,
    Timeout,
    a_list,
    between,
    checked,
    not_empty,
)
from jwtgate.config.schema.include import IncludeSection
from jwtgate.config.schema.issuers import IssuerSection
from jwtgate.config.schema.listeners import HostSection, ListenerSection, listener_sections
from jwtgate.config.schema.policies import PolicySection
from jwtgate.config.schema.rate_limits import RateLimitSection
from jwtgate.config.schema.resolver import NAME_SERVER_JSON, ResolverSection, resolver_section
from jwtgate.config.schema.routes import DefaultsSection, RouteSection
from jwtgate.config.schema.signer import SignerSection
from jwtgate.config.schema.upstreams import UpstreamSection, upstream_section

VERSION = 1
_MAX_WORKERS = 1024


class CacheSection(Section):
    """NGINX's cache of decisions."""

    max_size: Annotated[
        int,
        PARSE_SIZE,
        between(1024**2, 1024**4, "64m is the default", " bytes"),
        WithJsonSchema(SIZE_JSON),
    ] = Field(default=64 * 1024**2, description="Its share of the file system that holds it.", examples=["64m"])


def _version(value: Any) -> int | Fault:
    if value == VERSION and isinstance(value, int) and not isinstance(value, bool):
        return VERSION
    return Fault("{field} must be 1, not {value}", "this jwtgate reads version 1: write version: 1")


def _access_log(value: Any) -> str | Fault | None:
    # YAML 1.2 reads `off` as text; who writes `false` means the same.
    if value is False or value == "off":
        return None
    if not isinstance(value, str):
        return Fault("{field} must be a path, stdout or off, not {value}", "write stdout")
    return values.file_path(value)


def _workers(value: Any) -> int | Fault | None:
    if value == "auto":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_WORKERS:
        return Fault("{field} must be a whole number from 1, or auto, not {value}", "write workers: auto")
    return value


class Gateway(Section):
    """gateway.yaml."""

    version: Annotated[int, BeforeValidator(checked(_version)), WithJsonSchema({"const": VERSION})] = Field(
        description="The version of this format.", examples=[VERSION]
    )
    listen: Annotated[
        list[Annotated[ListenerSection, OrShort((LISTENER_JSON,))]],
        BeforeValidator(listener_sections),
        AfterValidator(checked(not_empty)),
        OrOne(),
    ] = Field(
        default=[ListenerSection(address="0.0.0.0:8000")],
        description="A port, an address and port, or a list of these, with TLS or without. Default 8000.",
        examples=[8000],
    )
    hosts: dict[HostName, HostSection] = Field(
        default={},
        description="Hosts with a certificate of their own.",
        examples=[{"api.example.com": {"tls": {"certificate": "tls/api.crt", "key": "tls/api.key"}}}],
    )
    resolver: Annotated[
        ResolverSection | None,
        BeforeValidator(resolver_section),
        OrShort((NAME_SERVER_JSON, {"type": "array", "items": NAME_SERVER_JSON, "minItems": 1})),
    ] = Field(
        default=None,
        description="Name servers for upstreams' host names. Default: those of /etc/resolv.conf.",
        examples=["127.0.0.11"],
    )
    traceparent: Literal["forward", "generate", "replace"] = Field(
        default="forward",
        description="W3C trace context to services. `forward`: the client's, if it is well-formed. `generate`: "
        "and a new one where there is none. `replace`: always a new one.",
    )
    nginx_scheduling: Literal["batch", "normal"] = Field(
        default="batch",
        description="How Linux schedules NGINX. `batch`: it does not interrupt a validator that shares its core, "
        "which takes a quarter less CPU for new tokens. `normal`: it does, for short latencies on a machine whose "
        "cores are all busy with other work. Read at the start.",
    )
    shutdown_timeout: Timeout = Field(
        default=5,
        description="How long connections in use may go on when the gateway stops.",
        examples=["5s"],
    )
    drain_timeout: Timeout = Field(
        default=60,
        description="How long connections in use may go on by the former configuration after a reload.",
        examples=["60s"],
    )
    max_connection_age: Timeout | None = Field(
        default=None,
        description="No connection outlives this: websockets, event streams, downloads. NGINX is reloaded that "
        "often; what is still open then ends after drain_timeout. Default: no limit.",
        examples=["1h"],
    )
    run_dir: FilePath | None = Field(
        default=None,
        description="Directory for sockets and the cache. Default: chosen at start.",
        examples=["run"],
    )
    state_dir: FilePath | None = Field(
        default=None,
        description="Directory in which issuers' keys are kept over restarts, so that a start does not need the "
        "issuers. Default: they are not kept.",
        examples=["/var/lib/jwtgate"],
    )
    deny_list: FilePath | None = Field(
        default=None,
        description="File of tokens, subjects and clients that are denied, one JSON object a line; it is watched.",
        examples=["denied.jsonl"],
    )
    trusted_proxies: Annotated[
        list[Annotated[str, AfterValidator(checked(addresses.network))]],
        BeforeValidator(a_list),
        OrOne(),
    ] = Field(default=[], description="Proxies whose X-Forwarded-For is believed.", examples=[["10.0.0.0/8"]])
    realm: Annotated[str, AfterValidator(checked(values.realm))] = Field(
        default="jwtgate", description="The realm of WWW-Authenticate."
    )
    access_log: Annotated[
        str | None, BeforeValidator(checked(_access_log)), WithJsonSchema({"type": ["string", "boolean"]})
    ] = Field(default="stdout", description="A file, `stdout` or `off`.", examples=["stdout"])
    admin: Annotated[
        AdminSection,
        BeforeValidator(admin_section),
        OrShort((LISTENER_JSON, {"enum": ["off", False]})),
    ] = Field(
        default=AdminSection(),
        description="Where liveness, readiness and metrics can be read: 127.0.0.1:9145 by default, or `off`.",
        examples=["127.0.0.1:9145"],
    )
    workers: Annotated[
        int | None,
        BeforeValidator(checked(_workers)),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
    ] = Field(default=None, description="Validator processes, or `auto`.", examples=["auto"])
    identity_bytes: Annotated[
        int,
        PARSE_SIZE,
        between(1024, 16 * 1024, "4k is the default", " bytes"),
        WithJsonSchema(SIZE_JSON),
    ] = Field(
        default=4096,
        description="Room for all identity headers of a request, names included. One that does not fit, and may "
        "not be omitted, denies the request.",
        examples=["4k"],
    )
    cache: CacheSection = CacheSection()
    defaults: DefaultsSection = DefaultsSection()
    issuers: dict[Name, IssuerSection] = Field(default={}, description="The issuers that are trusted, by name.")
    policies: dict[PolicyName, PolicySection] = Field(default={}, description="What routes ask for, by name.")
    upstreams: dict[
        Name,
        Annotated[
            UpstreamSection,
            BeforeValidator(upstream_section),
            OrShort((SERVER_JSON, {"type": "array", "items": SERVER_JSON, "minItems": 1})),
        ],
    ] = Field(default={}, description="The services behind the gateway, by name.")
    rate_limits: dict[Name, RateLimitSection] = Field(default={}, description="Limits that routes name.")
    routes: list[RouteSection] = Field(
        default=[],
        description="What the gateway serves. What no route matches is 404.",
        examples=[[{"path": "/", "upstream": "app", "public": True}]],
        json_schema_extra={"minItems": 1},
    )
    include: dict[Name, IncludeSection] = Field(
        default={},
        description="Files that the locations of your own nginx.conf include, by name: jwtgate render --include.",
        examples=[{"orders": {"policy": "caller"}}],
    )
    denials: Denials = {}
    signer: SignerSection | None = None
