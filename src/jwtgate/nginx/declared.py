"""What policies read of a request, and what services get of that: variables of NGINX.

Rules: whatever a policy reads reaches the validator by the variable that stands in the key of the decision cache,
and the service by the same one, so that what was decided on is what is forwarded. No client's header reaches the
validator in another way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, assert_never

from jwtgate.nginx.quote import Quoted, quote
from jwtgate.policy import AuthorizationHeader, Cookie, QueryParameter, RequestHeader, WebsocketProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jwtgate.plan import Included, Plan, Policy, Route
    from jwtgate.policy import TokenSource


class Header(NamedTuple):
    """A request header that NGINX sends on, and its value."""

    name: Quoted
    value: Quoted


@dataclass(frozen=True, slots=True)
class Extraction:
    """A token that has to be cut out of something larger."""

    number: int
    source: Cookie | QueryParameter | WebsocketProtocol

    @property
    def kind(self) -> str:
        """cookie, query or protocol."""
        match self.source:
            case Cookie():
                return "cookie"
            case QueryParameter():
                return "query"
            case WebsocketProtocol():
                return "protocol"
            case other:
                assert_never(other)

    @property
    def name(self) -> Quoted:
        """The name of the cookie, the parameter, or the beginning of the sub-protocol."""
        return quote(self.source.prefix if isinstance(self.source, WebsocketProtocol) else self.source.name)

    @property
    def token(self) -> Quoted:
        """The variable with the token; a comma where there are several."""
        return Quoted(f"$jwtgate_token_{self.number}")

    @property
    def rest(self) -> Quoted:
        """The variable with what is left without it."""
        return Quoted(f"$jwtgate_rest_{self.number}")


class Declared:
    """What the policies of a Plan declare."""

    def __init__(self, plan: Plan) -> None:
        self._policies = plan.policies
        cut: Iterable[TokenSource] = (source for policy in plan.policies.values() for source in policy.sources)
        distinct = dict.fromkeys(
            source for source in cut if isinstance(source, Cookie | QueryParameter | WebsocketProtocol)
        )
        self.extractions = [Extraction(number, source) for number, source in enumerate(distinct, 1)]
        self._by_source = {each.source: each for each in self.extractions}

    def credentials(self, policy: Policy) -> list[Header]:
        """The headers by which a validator gets the token, wherever it was."""
        return [
            Header(Quoted("Authorization"), Quoted("$http_authorization"))
            if isinstance(source, AuthorizationHeader)
            else Header(Quoted("X-Jwtgate-Token"), self._token(source))
            for source in policy.sources
        ]

    def _token(self, source: RequestHeader | Cookie | QueryParameter | WebsocketProtocol) -> Quoted:
        return _http(source.name) if isinstance(source, RequestHeader) else self._by_source[source].token

    @staticmethod
    def inputs(policy: Policy) -> list[Header]:
        """The headers by which a validator gets the other inputs."""
        inputs = policy.inputs
        simple = (
            ("Method", inputs.method, "$request_method"),
            ("Path", inputs.path, "$jwtgate_path"),
            ("Host", inputs.host, "$host"),
        )
        return [
            *(Header(Quoted(f"X-Jwtgate-Input-{name}"), Quoted(value)) for name, reads, value in simple if reads),
            *(Header(Quoted(f"X-Jwtgate-Input-Header-{quote(name)}"), _http(name)) for name in inputs.headers),
        ]

    def to_service(self, route: Route | Included) -> list[Header]:
        """The headers of a route that the service gets as they were decided on, or without the token."""
        if route.policy is None:
            return []
        policy = self._policies[route.policy]
        # By lower-case name, so that each goes out once: a header that is read and has the token too is stripped.
        headers = {name: Header(quote(name), _http(name)) for name in policy.inputs.headers}
        for source in policy.sources:
            match source:
                case AuthorizationHeader():
                    if route.strip_token:
                        headers["authorization"] = Header(Quoted("Authorization"), Quoted('""'))
                case RequestHeader(name):
                    value = Quoted('""') if route.strip_token else _http(name)
                    headers[name.lower()] = Header(quote(name), value)
                case Cookie():
                    if route.strip_token:
                        headers["cookie"] = Header(Quoted("Cookie"), self._by_source[source].rest)
                case WebsocketProtocol():
                    whole = Quoted("$http_sec_websocket_protocol")
                    value = self._by_source[source].rest if route.strip_token else whole
                    headers["sec-websocket-protocol"] = Header(Quoted("Sec-WebSocket-Protocol"), value)
                case QueryParameter():
                    pass  # see query
                case other:
                    assert_never(other)
        return list(headers.values())

    def query(self, route: Route | Included) -> Quoted | None:
        """The variable with the query without the token, where the service does not get it."""
        if route.policy is None or not route.strip_token:
            return None
        sources = self._policies[route.policy].sources
        return next((self._by_source[each].rest for each in sources if isinstance(each, QueryParameter)), None)

    def reads_path(self, route: Route | Included) -> bool:
        """Whether the route's policy reads the path."""
        return route.policy is not None and self._policies[route.policy].inputs.path


def _http(name: str) -> Quoted:
    """NGINX's variable for a request header."""
    return Quoted("$http_" + quote(name).lower().replace("-", "_"))
