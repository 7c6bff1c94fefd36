"""The shape of gateway.yaml: one pydantic model per section, and the JSON Schema that editors read.

The models check one value at a time and normalise the short forms (`listen: 8000` becomes a list of one
listener). What takes two values to judge is the business of `compile`, as is every default that depends on
another setting: here an optional value that is not written is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    StrictInt,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from jwtgate.config import addresses, fetching, headers, paths, values
from jwtgate.config.problems import Fault, nearest
from jwtgate.keys import ALGORITHMS
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

FAULT = "fault"  # the type of our own errors among pydantic's

VERSION = 1
MIN_TOKEN_BYTES, MAX_TOKEN_BYTES = 512, 49152  # one TCP segment; below NGINX's 64k of large header buffers
_MAX_STALENESS = 86400
_MAX_LEEWAY = 600
_MAX_WORKERS = 1024

JsonSchema = dict[str, Any]
_T = TypeVar("_T")


def checked(parse: Callable[[Any], _T | Fault]) -> Callable[[Any], _T]:
    """A parser of `values` as pydantic calls it."""

    def check(value: Any) -> _T:
        parsed = parse(value)
        if isinstance(parsed, Fault):
            raise PydanticCustomError(FAULT, "fault", {"message": parsed.message, "hint": parsed.hint})
        return parsed

    return check


def _between(least: int, most: int, hint: str, unit: str = "") -> AfterValidator:
    def check(value: int) -> int | Fault:
        if least <= value <= most:
            return value
        return Fault(f"{{field}} must be from {least} to {most}{unit}, not {{value}}", hint)

    return AfterValidator(checked(check))


def _a_list(value: Any) -> Any:
    """A single text stands for a list of it."""
    return [value] if isinstance(value, str) else value


def _not_empty(value: list[Any]) -> list[Any] | Fault:
    return value or Fault("{field} is empty", "name at least one")


@dataclass(frozen=True, slots=True)
class _OrOne:
    """In the JSON Schema: a list, or a single item of it."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        many = {**handler(core_schema), "minItems": 1}
        return {"anyOf": [many["items"], many]}


@dataclass(frozen=True, slots=True)
class _OrShort:
    """In the JSON Schema: a section, or one of its short forms."""

    forms: tuple[JsonSchema, ...]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {"anyOf": [*self.forms, handler(core_schema)]}


@dataclass(frozen=True, slots=True)
class _KeysOf:
    """In the JSON Schema: a mapping with keys of these only."""

    names: tuple[str, ...]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {**handler(core_schema), "propertyNames": {"enum": list(self.names)}}


_DURATION_JSON: JsonSchema = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+[smhd]?$"}]
}
_SIZE_JSON: JsonSchema = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+[kKmMgG]?$"}]
}
_TEXT_JSON: JsonSchema = {"type": "string", "minLength": 1}
_ALGORITHM_JSON: JsonSchema = {"enum": list(ALGORITHMS)}
_SERVER_JSON: JsonSchema = {
    "type": "string",
    "pattern": "^(https?://[^/]+|unix:/.+)$",
    "examples": ["http://127.0.0.1:3000"],
}
_LISTENER_JSON: JsonSchema = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": "[0-9]+$"}]
}
_REASON_KEYS = ("default", *(reason.value for reason in Reason))

_parse_duration = BeforeValidator(checked(values.duration))
_parse_size = BeforeValidator(checked(values.size))

Timeout = Annotated[
    int,
    _parse_duration,
    _between(1, 86400, "write a duration like 60s", " seconds"),
    WithJsonSchema(_DURATION_JSON),
]
FetchTimeout = Annotated[
    int,
    _parse_duration,
    _between(1, 60, "keys are fetched in the background; 10s is the default", " seconds"),
    WithJsonSchema(_DURATION_JSON),
]
Staleness = Annotated[
    int,
    _parse_duration,
    _between(0, _MAX_STALENESS, "an allow may be repeated for a day at most; 10s is the default", " seconds"),
    WithJsonSchema(_DURATION_JSON),
]
Lifetime = Annotated[
    int,
    _parse_duration,
    _between(1, 366 * 86400, "write a duration like 24h", " seconds"),
    WithJsonSchema(_DURATION_JSON),
]
Size = Annotated[int, _parse_size, WithJsonSchema(_SIZE_JSON)]
Text = Annotated[str, AfterValidator(checked(values.text)), WithJsonSchema(_TEXT_JSON)]
FilePath = Annotated[str, AfterValidator(checked(values.file_path)), WithJsonSchema(_TEXT_JSON)]
Name = Annotated[str, AfterValidator(checked(values.name))]
PolicyName = Annotated[str, AfterValidator(checked(values.policy_name))]
Algorithm = Annotated[str, AfterValidator(checked(values.algorithm)), WithJsonSchema(_ALGORITHM_JSON)]
Texts = Annotated[list[Text], BeforeValidator(_a_list), AfterValidator(checked(_not_empty)), _OrOne()]
HostName = Annotated[str, AfterValidator(checked(addresses.host))]
RoutePath = Annotated[
    str,
    AfterValidator(checked(paths.route_path)),
    WithJsonSchema({"type": "string", "pattern": "^/"}),
]
IdentityHeader = Annotated[str, AfterValidator(checked(headers.identity_header))]
AnswerHeader = Annotated[str, AfterValidator(checked(headers.answer_header))]
AnswerHeaderValue = Annotated[str, AfterValidator(checked(headers.answer_header_value))]


class Section(BaseModel):
    """What all sections share: no unknown keys, no silent conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class TlsSection(Section):
    """Certificate and key of a listener."""

    certificate: FilePath = Field(
        description="PEM file with the certificate and its chain, relative to this file.",
        examples=["tls/gateway.crt"],
    )
    key: FilePath = Field(
        description="PEM file with the private key, relative to this file.", examples=["tls/gateway.key"]
    )


class ListenerSection(Section):
    """An address that the gateway listens on."""

    address: Annotated[
        str, BeforeValidator(checked(addresses.listener_address)), WithJsonSchema(_LISTENER_JSON)
    ] = Field(
        description="A port (on all IPv4 addresses), or an IP address and a port.", examples=["0.0.0.0:8443"]
    )
    tls: TlsSection | None = Field(default=None, description="Without it the listener speaks plain HTTP.")


def _listeners(value: Any) -> Any:
    """A port, an address, one listener, or a list of these."""
    return [
        item if isinstance(item, dict) else {"address": item}
        for item in (value if isinstance(value, list) else [value])
    ]


class FetchSection(Section):
    """How an issuer's keys are fetched. The environment's proxies are not used."""

    connect_timeout: FetchTimeout = Field(default=3, description="Time to connect.", examples=["3s"])
    timeout: FetchTimeout = Field(default=10, description="Time for a whole fetch.", examples=["10s"])
    max_bytes: Annotated[
        int,
        _parse_size,
        _between(1024, 16 * 1024**2, "1m is the default", " bytes"),
        WithJsonSchema(_SIZE_JSON),
    ] = Field(default=1024**2, description="The largest document.", examples=["1m"])
    max_keys: Annotated[StrictInt, _between(1, 1000, "100 is the default")] = Field(
        default=100, description="More keys than this are refused.", examples=[100]
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file with the authorities that are trusted instead of the system's.",
        examples=["tls/ca.pem"],
    )
    client_certificate: FilePath | None = Field(
        default=None, description="PEM file with our certificate and its chain.", examples=["tls/client.crt"]
    )
    client_key: FilePath | None = Field(
        default=None, description="PEM file with its private key.", examples=["tls/client.key"]
    )
    proxy: Annotated[str, AfterValidator(checked(fetching.proxy)), WithJsonSchema({"type": "string"})] | None = (
        Field(default=None, description="URL of an HTTP proxy.", examples=["http://proxy.example.com:3128"])
    )
    headers: dict[
        Annotated[str, AfterValidator(checked(fetching.header_name))],
        Annotated[str, AfterValidator(checked(fetching.header_value))],
    ] = Field(default={}, description="Headers of each request.", examples=[{"X-Api-Key": "…"}])


class RefreshSection(Section):
    """How often an issuer's keys are fetched. Its own Cache-Control is obeyed between least and most."""

    least: Timeout = Field(default=60, description="The shortest lifetime of a key set.", examples=["60s"])
    most: Timeout = Field(default=3600, description="The longest lifetime of a key set.", examples=["1h"])
    default: Timeout = Field(default=300, description="The lifetime when the issuer says none.", examples=["5m"])
    min_refetch: Timeout = Field(
        default=10, description="The time between two fetches for unknown key ids.", examples=["10s"]
    )
    max_stale: Lifetime = Field(
        default=86400,
        description="How long the last good set is used when the issuer cannot be reached.",
        examples=["24h"],
    )


class IssuerSection(Section):
    """An issuer whose tokens are trusted.

    One of jwks, discovery, jwks_file and secret_env says where its keys are.
    """

    issuer: Text = Field(
        description="The `iss` claim that its tokens carry; compared whole.",
        examples=["https://issuer.example.com"],
    )
    jwks: (
        Annotated[
            InstanceOf[addresses.KeyUrl],
            BeforeValidator(checked(addresses.jwks_url)),
            WithJsonSchema({"type": "string", "pattern": "^https?://"}),
        ]
        | None
    ) = Field(
        default=None,
        description="URL of the issuer's JWK Set.",
        examples=["https://issuer.example.com/.well-known/jwks.json"],
    )
    discovery: (
        Annotated[
            InstanceOf[addresses.KeyUrl] | bool,
            BeforeValidator(checked(fetching.discovery)),
            WithJsonSchema({"anyOf": [{"const": True}, {"type": "string", "pattern": "^https?://"}]}),
        ]
        | None
    ) = Field(
        default=None,
        description="true: the keys are where the issuer's metadata says; or the URL of that metadata.",
        examples=[True],
    )
    fetch: FetchSection | None = Field(default=None, description="How its keys are fetched.")
    refresh: RefreshSection | None = Field(default=None, description="How often its keys are fetched.")
    start: Literal["require", "degrade", "lazy"] = Field(
        default="degrade",
        description="require: not ready without its keys; degrade: 503 without; lazy: wait for the first token.",
        examples=["degrade"],
    )
    jwks_file: FilePath | None = Field(
        default=None, description="File with a JWK Set, relative to this file.", examples=["keys.json"]
    )
    secret_env: Annotated[str, AfterValidator(checked(values.variable_name))] | None = Field(
        default=None,
        description="Environment variable with the secret (HS* only): its text, or `base64:` and base64.",
        examples=["GATEWAY_SECRET"],
    )
    insecure_http: bool = Field(default=False, description="Fetch keys over plain HTTP from another machine.")
    audience: Texts | None = Field(
        default=None, description="Tokens must name one of these in `aud`.", examples=["services"]
    )
    unsafe_any_audience: bool = Field(default=False, description="Accept tokens that were issued for anyone.")
    algorithms: Annotated[
        list[Algorithm],
        BeforeValidator(_a_list),
        AfterValidator(checked(_not_empty)),
        _OrOne(),
    ] = Field(description="The signature algorithms that its tokens may use.", examples=[["ES256"]])
    leeway: Annotated[
        int,
        _parse_duration,
        _between(0, _MAX_LEEWAY, "clocks differ by seconds: 30s is the default", " seconds"),
        WithJsonSchema(_DURATION_JSON),
    ] = Field(default=30, description="How far clocks may differ.", examples=["30s"])
    max_token_bytes: Annotated[
        int,
        _parse_size,
        _between(MIN_TOKEN_BYTES, MAX_TOKEN_BYTES, "8192 is the default", " bytes"),
        WithJsonSchema(_SIZE_JSON),
    ] = Field(default=8192, description="The largest token that is looked at.", examples=["8k"])
    types: Texts | None = Field(
        default=None,
        description="Accepted `typ` headers; without it `typ` is not looked at.",
        examples=[["at+jwt"]],
    )
    required_claims: list[Text] = Field(
        default=[], description="Claims that each token must have.", examples=[["sub", "jti"]]
    )
    max_lifetime: Lifetime | None = Field(
        default=None, description="Tokens that were issued for longer are refused.", examples=["24h"]
    )


class PolicySection(Section):
    """What a token must bring."""

    issuer: Text | None = Field(
        default=None, description="The issuer whose tokens are accepted.", examples=["signer"]
    )
    issuers: list[Text] | None = Field(
        default=None,
        description="Several issuers; a token of any of them will do.",
        examples=[["signer", "partner"]],
    )
    bare_token: bool | None = Field(default=None, description="Accept `Authorization: <token>`, without `Bearer`.")


class UpstreamSection(Section):
    """A service, with one address or several that share its load."""

    servers: list[
        Annotated[
            InstanceOf[addresses.ServerAddress],
            BeforeValidator(checked(addresses.server_address)),
            WithJsonSchema(_SERVER_JSON),
        ]
    ] = Field(
        description="http://host:port, https://host:port or unix:/path; all http or all https.",
        examples=[["http://127.0.0.1:3000"]],
    )
    keepalive: Annotated[StrictInt, _between(0, 10000, "32 is the default")] = Field(
        default=32, description="Idle connections that each NGINX worker keeps open."
    )


def _upstream(value: Any) -> Any:
    """A URL, a list of URLs, or the long form."""
    return {"servers": _a_list(value)} if isinstance(value, str | list) else value


class DenialSection(Section):
    """What replaces the default answer to a reason; what is not written stays as it is."""

    # pydantic lets a wrong type of number through to _between only when it is an integer.
    status: Annotated[StrictInt, _between(400, 599, "a denial is a 4xx or a 5xx")] | None = Field(
        default=None, description="The status code.", examples=[403]
    )
    json_body: Any = Field(
        default=None,
        alias="json",
        description="The body, as JSON. `{request_id}` in it becomes the request's id.",
        examples=[{"error": "token is not active"}],
    )
    body: Annotated[str, AfterValidator(checked(values.body))] | None = Field(
        default=None, description="The body, as text. `{request_id}` in it becomes the request's id."
    )
    content_type: AnswerHeaderValue | None = Field(
        default=None, description="The media type of `body`.", examples=["text/html; charset=utf-8"]
    )
    headers: dict[AnswerHeader, AnswerHeaderValue | None] = Field(
        default={}, description="Response headers; null removes one.", examples=[{"X-Reason": "expired"}]
    )

    @property
    def has_json(self) -> bool:
        """Whether `json:` is written; null is JSON too."""
        return "json_body" in self.model_fields_set


def _reason(value: str) -> str | Fault:
    return value if value in _REASON_KEYS else Fault("unknown reason {value}", nearest(value, _REASON_KEYS))


Denials = Annotated[
    dict[Annotated[str, AfterValidator(checked(_reason))], DenialSection],
    _KeysOf(_REASON_KEYS),
    Field(description="Answers that replace the defaults, by reason; `default` is for all reasons not named."),
]


class DefaultsSection(Section):
    """Settings of every route that does not say otherwise."""

    staleness: Staleness | None = Field(default=None, description="See the routes' staleness.", examples=["10s"])
    bare_token: bool | None = Field(default=None, description="See the routes' bare_token.")
    max_body: Size | None = Field(default=None, description="See the routes' max_body.", examples=["10m"])
    connect_timeout: Timeout | None = Field(default=None, description="See the routes' connect_timeout.")
    read_timeout: Timeout | None = Field(default=None, description="See the routes' read_timeout.")
    send_timeout: Timeout | None = Field(default=None, description="See the routes' send_timeout.")


class RouteSection(Section):
    """A path of the gateway, and the service behind it. It needs a `policy`, or `public: true`."""

    host: HostName | None = Field(
        default=None, description="A host, or `*.example.com`; without it any.", examples=["api.example.com"]
    )
    path: RoutePath = Field(
        description="A prefix if it ends in a slash, else exactly this path.", examples=["/orders/"]
    )
    upstream: Text = Field(description="The upstream that answers.", examples=["orders"])
    policy: Text | None = Field(
        default=None, description="The policy that decides who gets through.", examples=["caller"]
    )
    public: bool = Field(default=False, description="Let everyone through.")
    strip_prefix: bool = Field(default=False, description="The service sees the path without the route's prefix.")
    redirect_slash: bool = Field(
        default=False, description="Answer `/orders` by a redirect to `/orders/` instead of 404."
    )
    allow_encoded_slashes: bool = Field(
        default=False, description="Pass on encoded slashes and dots in the path instead of refusing them."
    )
    staleness: Staleness | None = Field(
        default=None,
        description="How long NGINX may repeat an allow without asking again; 0: not at all. Default 10s.",
        examples=["10s"],
    )
    bare_token: bool | None = Field(default=None, description="Accept `Authorization: <token>`, without `Bearer`.")
    identity: dict[IdentityHeader, Text] = Field(
        default={},
        description="Request headers to the service, and their claims.",
        examples=[{"X-User": "sub"}],
    )
    websocket: bool = Field(default=False, description="Pass websocket upgrades.")
    sse: bool = Field(default=False, description="Pass server-sent events, unbuffered.")
    cache_jwks: bool = Field(
        default=False,
        description="Cache the service's answers as long as its Cache-Control says; public routes only.",
    )
    max_body: Size | None = Field(
        default=None, description="The largest request body; 0: any. Default 10m.", examples=["10m"]
    )
    connect_timeout: Timeout | None = Field(default=None, description="Default 5s.", examples=["5s"])
    read_timeout: Timeout | None = Field(
        default=None, description="Default 60s; 1h for websocket and sse.", examples=["60s"]
    )
    send_timeout: Timeout | None = Field(default=None, description="Default 60s.", examples=["60s"])
    denials: Denials = {}


class CacheSection(Section):
    """NGINX's cache of decisions."""

    max_size: Annotated[
        int,
        _parse_size,
        _between(1024**2, 1024**4, "64m is the default", " bytes"),
        WithJsonSchema(_SIZE_JSON),
    ] = Field(default=64 * 1024**2, description="Its share of the file system that holds it.", examples=["64m"])


class SignerSection(Section):
    """A token issuer that runs beside the gateway."""

    issuer: Text = Field(description="The `iss` of its tokens.", examples=["http://127.0.0.1:3000"])
    audience: Texts = Field(description="The `aud` of its tokens.", examples=["services"])
    algorithm: Literal["ES512", "ES256", "EdDSA", "RS256"] = Field(
        default="ES256", description="The algorithm that it signs by."
    )
    listen: Annotated[
        str, BeforeValidator(checked(addresses.listener_address)), WithJsonSchema(_LISTENER_JSON)
    ] = Field(default="127.0.0.1:3000", description="Where it listens.")
    key_dir: FilePath = Field(
        description="Directory of its private keys, relative to this file.", examples=["keys"]
    )
    token_lifetime: Lifetime = Field(default=86400, description="How long its tokens last.", examples=["24h"])
    jwks_max_age: Lifetime = Field(default=300, description="How long its JWK Set may be cached.", examples=["5m"])


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
        list[Annotated[ListenerSection, _OrShort((_LISTENER_JSON,))]],
        BeforeValidator(_listeners),
        AfterValidator(checked(_not_empty)),
        _OrOne(),
    ] = Field(
        default=[ListenerSection(address="0.0.0.0:8000")],
        description="A port, an address and port, or a list of these, with TLS or without. Default 8000.",
        examples=[8000],
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
    trusted_proxies: Annotated[
        list[Annotated[str, AfterValidator(checked(addresses.network))]],
        BeforeValidator(_a_list),
        _OrOne(),
    ] = Field(default=[], description="Proxies whose X-Forwarded-For is believed.", examples=[["10.0.0.0/8"]])
    realm: Annotated[str, AfterValidator(checked(values.realm))] = Field(
        default="jwtgate", description="The realm of WWW-Authenticate."
    )
    access_log: Annotated[
        str | None, BeforeValidator(checked(_access_log)), WithJsonSchema({"type": ["string", "boolean"]})
    ] = Field(default="stdout", description="A file, `stdout` or `off`.", examples=["stdout"])
    workers: Annotated[
        int | None,
        BeforeValidator(checked(_workers)),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
    ] = Field(default=None, description="Validator processes, or `auto`.", examples=["auto"])
    cache: CacheSection = CacheSection()
    defaults: DefaultsSection = DefaultsSection()
    issuers: dict[Name, IssuerSection] = Field(default={}, description="The issuers that are trusted, by name.")
    policies: dict[PolicyName, PolicySection] = Field(default={}, description="What routes ask for, by name.")
    upstreams: dict[
        Name,
        Annotated[
            UpstreamSection,
            BeforeValidator(_upstream),
            _OrShort((_SERVER_JSON, {"type": "array", "items": _SERVER_JSON, "minItems": 1})),
        ],
    ] = Field(default={}, description="The services behind the gateway, by name.")
    routes: list[RouteSection] = Field(
        description="What the gateway serves. What no route matches is 404.",
        examples=[[{"path": "/", "upstream": "app", "public": True}]],
        json_schema_extra={"minItems": 1},
    )
    denials: Denials = {}
    signer: SignerSection | None = None


def json_schema() -> JsonSchema:
    """The JSON Schema of gateway.yaml (draft 2020-12), for editors."""
    schema = Gateway.model_json_schema(by_alias=True)
    schema["$defs"]["Variable"] = {
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
        "description": "A value with an environment variable in it.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_with_variables(schema),
        "title": "gateway.yaml of jwtgate",
    }


_SUBSCHEMAS = ("properties", "$defs")


def _with_variables(schema: JsonSchema) -> JsonSchema:
    """The schema, where every scalar that is not any text may be a variable too; without generated titles."""
    if schema.get("type") in ("integer", "boolean") or {"enum", "const", "pattern"} & schema.keys():
        notes: JsonSchema = {key: schema[key] for key in ("description", "examples", "default") if key in schema}
        rule = {key: value for key, value in schema.items() if key not in notes and key != "title"}
        return {**notes, "anyOf": [rule, {"$ref": "#/$defs/Variable"}]}
    result: JsonSchema = {}
    for key, value in schema.items():
        if key in _SUBSCHEMAS:
            result[key] = {
                name: entry if name == "Variable" and key == "$defs" else _with_variables(entry)
                for name, entry in value.items()
            }
        elif key == "anyOf":
            result[key] = [_with_variables(entry) for entry in value if entry != {"type": "null"}]
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            result[key] = _with_variables(value)
        elif key != "title" and not (key == "default" and (value is None or isinstance(value, dict | list))):
            result[key] = value
    return result
