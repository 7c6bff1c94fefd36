"""gRPC through the gate: every kind of call, who is told what, and what a denial is to a client."""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest

from support.certificates import Authority
from support.gateway import Gateway, wait_until
from support.issuer import AUDIENCE, URL
from support.ports import free_port, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from support.issuer import Issuer

SERVICE = "test.v1.Echo"
MIB = 1024 * 1024


@dataclass
class Echo:
    """A service whose messages are bytes; `told` is the metadata of each call."""

    told: list[dict[str, str]] = field(default_factory=list)

    def handler(self) -> grpc.GenericRpcHandler:
        """Its methods."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
                "Up": grpc.stream_unary_rpc_method_handler(self._up),
                "Down": grpc.unary_stream_rpc_method_handler(self._down),
                "Both": grpc.stream_stream_rpc_method_handler(self._both),
                "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            },
        )

    def _note(self, context: grpc.ServicerContext) -> None:
        self.told.append({str(key): str(value) for key, value in context.invocation_metadata()})

    def _unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._note(context)
        context.set_trailing_metadata((("x-trailing", "yes"),))
        return request

    def _up(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        self._note(context)
        return str(sum(map(len, requests))).encode()

    def _down(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self._note(context)
        for number in range(int(request)):
            yield str(number).encode()

    def _both(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self._note(context)
        for request in requests:
            yield b"got " + request

    def _fail(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        self._note(context)
        context.abort(grpc.StatusCode.NOT_FOUND, "there is no such order")
        raise AssertionError("abort raises")


@dataclass(frozen=True, slots=True)
class Grpc:
    """A gateway, the service behind it, and channels to both of its listeners."""

    gateway: Gateway
    echo: Echo
    plain: grpc.Channel
    secure: grpc.Channel


@pytest.fixture(scope="module")
def through(nginx: Path, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grpc]:
    """All of it."""
    authority = Authority(tmp_path_factory.mktemp("grpc"))
    own, services = authority.issue("gateway.example"), authority.issue("service.example")
    echo = Echo()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((echo.handler(),))
    plain_port = server.add_insecure_port(f"127.0.0.1:{free_port()}")
    secure_port = server.add_secure_port(
        f"127.0.0.1:{free_port()}",
        grpc.ssl_server_credentials([(services.key.read_bytes(), services.certificate.read_bytes())]),
    )
    server.start()
    port = free_ports(2)
    listen = f"[{{address: 127.0.0.1:{port}, http2: true}}, {{address: 127.0.0.1:{port + 1}, tls: {own.yaml}}}]"
    text = f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
  down: {{issuer: https://down.example, jwks: http://127.0.0.1:1/, audience: a, algorithms: [ES256]}}
policies:
  caller: {{issuer: main}}
  reader: {{issuer: main, require: {{scopes: read}}}}
  lost: {{issuer: down}}
rate_limits: {{few: {{by: subject, rate: 1/m, burst: 2}}}}
upstreams:
  plain: http://127.0.0.1:{plain_port}
  secure:
    servers: [https://localhost:{secure_port}]
    tls: {{ca_file: {authority.file}, server_name: service.example}}
  gone: http://127.0.0.1:1
routes:
  - {{path: /{SERVICE}/, upstream: plain, policy: caller, grpc: true, identity: {{X-User: sub, X-Roles: roles}}}}
  - {{path: /{SERVICE}/Down, upstream: secure, policy: caller, grpc: true}}
  - {{path: /scoped/, upstream: gone, policy: reader, grpc: true}}
  - {{path: /unavailable/, upstream: gone, policy: lost, grpc: true}}
  - {{path: /limited/, upstream: gone, policy: caller, grpc: true, rate_limit: few}}
  - {{path: /gone/, upstream: gone, policy: caller, grpc: true}}
"""
    target = f"127.0.0.1:{port + 1}"
    credentials = grpc.ssl_channel_credentials(authority.file.read_bytes())
    named = (("grpc.ssl_target_name_override", "gateway.example"),)
    try:
        with (
            Gateway(text, nginx=nginx, listen=listen) as gateway,
            grpc.insecure_channel(f"127.0.0.1:{port}") as plain,
            grpc.secure_channel(target, credentials, options=named) as secure,
        ):
            yield Grpc(gateway, echo, plain, secure)
    finally:
        server.stop(None).wait(10)


def bearer(token: str, *more: tuple[str, str]) -> Sequence[tuple[str, str]]:
    """Metadata with a token."""
    return (("authorization", f"Bearer {token}"), *more)


@pytest.mark.parametrize("listener", ["plain", "secure"])
def test_every_kind_of_call_goes_through(through: Grpc, issuer: Issuer, listener: str) -> None:
    channel: grpc.Channel = getattr(through, listener)
    metadata = bearer(issuer.token())
    whole = b"x" * 3 * MIB
    reply, call = channel.unary_unary(f"/{SERVICE}/Unary").with_call(whole, metadata=metadata, timeout=30)
    assert reply == whole
    assert ("x-trailing", "yes") in [(key, value) for key, value in call.trailing_metadata()]
    up = channel.stream_unary(f"/{SERVICE}/Up")
    assert up((b"x" * MIB for _ in range(12)), metadata=metadata, timeout=30) == str(12 * MIB).encode()
    down = channel.unary_stream(f"/{SERVICE}/Down")(b"3", metadata=metadata, timeout=30)
    assert list(down) == [b"0", b"1", b"2"]
    both = channel.stream_stream(f"/{SERVICE}/Both")(iter([b"a", b"b"]), metadata=metadata, timeout=30)
    assert list(both) == [b"got a", b"got b"]


def test_a_service_is_told_who_it_is_and_nothing_that_the_client_made_up(through: Grpc, issuer: Issuer) -> None:
    spoofed = [
        ("x-user", "root"),
        ("x-roles", "root"),
        ("x_user", "root"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-original-uri", "/"),
        ("x-own", "kept"),
    ]
    through.plain.unary_unary(f"/{SERVICE}/Unary")(b"", metadata=bearer(issuer.token(), *spoofed), timeout=30)
    told = through.echo.told[-1]
    assert told["x-user"] == "alice"
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert told["x-own"] == "kept"
    assert not {"x-roles", "x_user", "x-original-uri"} & told.keys()


def test_a_services_own_failure_is_the_clients(through: Grpc, issuer: Issuer) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        through.plain.unary_unary(f"/{SERVICE}/Fail")(b"", metadata=bearer(issuer.token()), timeout=30)
    error: Any = failed.value
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "there is no such order")


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer nonsense"),)], ids=["none", "nonsense"])
@pytest.mark.parametrize("method", ["Unary", "Down"])
def test_without_a_good_token_a_call_is_unauthenticated(
    through: Grpc, metadata: Sequence[tuple[str, str]], method: str
) -> None:
    before = len(through.echo.told)
    with pytest.raises(grpc.RpcError) as denied:
        through.plain.unary_unary(f"/{SERVICE}/{method}")(b"", metadata=metadata, timeout=30)
    error: Any = denied.value
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    assert len(through.echo.told) == before


@pytest.mark.parametrize("listener", ["plain", "secure"])
def test_a_denial_is_an_answer_of_grpcs_own(through: Grpc, issuer: Issuer, listener: str) -> None:
    channel: grpc.Channel = getattr(through, listener)

    def denied(path: str, metadata: Sequence[tuple[str, str]]) -> Any:
        with pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary(path)(b"", metadata=metadata, timeout=30)
        return failed.value

    missing = denied(f"/{SERVICE}/Unary", ())
    assert (missing.code(), missing.details()) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "This resource needs an access token.",
    )
    told = dict(missing.initial_metadata())
    assert told["www-authenticate"] == 'Bearer realm="jwtgate"'
    invalid = denied(f"/{SERVICE}/Unary", bearer("nonsense"))
    assert (invalid.code(), invalid.details()) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "The access token is not valid here.",
    )
    scope = denied("/scoped/Unary", bearer(issuer.token(scope="other")))
    assert (scope.code(), scope.details()) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "The access token does not permit this.",
    )
    assert dict(scope.initial_metadata())["www-authenticate"].endswith(', scope="read"')
    down = denied("/unavailable/Unary", bearer(issuer.token(iss="https://down.example")))
    assert down.code() == grpc.StatusCode.UNAVAILABLE


def test_a_denied_stream_ends_at_once(through: Grpc) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        list(through.plain.stream_stream(f"/{SERVICE}/Both")(iter([b"x"] * 100), timeout=30))
    error: Any = failed.value
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_service_that_is_gone_is_unavailable(through: Grpc, issuer: Issuer) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        through.plain.unary_unary("/gone/Unary")(b"", metadata=bearer(issuer.token()), timeout=30)
    error: Any = failed.value
    assert error.code() == grpc.StatusCode.UNAVAILABLE


def test_a_limit_by_subject_counts_calls(through: Grpc, issuer: Issuer) -> None:
    call = through.plain.unary_unary("/limited/Unary")
    for _ in range(3):
        with pytest.raises(grpc.RpcError):
            call(b"", metadata=bearer(issuer.token(sub="limited")), timeout=30)

    def statuses() -> list[int]:
        return [entry["status"] for entry in through.gateway.log() if entry["route"] == "/limited/"]

    wait_until(lambda: len(statuses()) == 3)
    assert statuses() == [502, 502, 429]
