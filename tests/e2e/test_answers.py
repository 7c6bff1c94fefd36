"""What a denied client is told that helps it: scopes, step-up, a login page, where the authorization server is."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from support.gateway import Gateway
from support.issuer import AUDIENCE, URL
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response
    from support.issuer import Issuer

LOGIN = "https://login.example.com/start?app=shop"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def asked(nginx: Path, backend: Backend, issuer: Issuer) -> Iterator[Gateway]:
    """A gateway whose routes need something."""
    port = free_port()
    text = f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
policies:
  plain: {{issuer: main}}
  reader: {{issuer: main, require: {{scopes: {{all: [read, "odd$$scope"]}}}}}}
  methods:
    issuer: main
    require:
      methods: {{GET: {{scopes: read}}, POST: {{scopes: write}}, PUT: {{acr_values: [gold], max_age: 60s}}}}
upstreams: {{backend: "http://{backend.address}"}}
routes:
  - {{path: /plain/, upstream: backend, policy: plain}}
  - {{path: /reader/, upstream: backend, policy: reader}}
  - {{path: /methods/, upstream: backend, policy: methods}}
  - {{path: /pages/, upstream: backend, policy: reader, login_redirect: "{LOGIN}"}}
  - {{path: /mcp, upstream: backend, policy: reader, resource: "http://127.0.0.1:{port}/mcp"}}
"""
    with Gateway(text, nginx=nginx, listen=f"127.0.0.1:{port}") as running:
        yield running


def challenge(response: Response) -> str:
    (value,) = [value for name, value in response.pairs if name == "www-authenticate"]
    return value


def test_a_missing_scope_is_named_in_the_challenge(asked: Gateway, issuer: Issuer) -> None:
    denied = asked.request("/reader/", token=issuer.token(scope="other"))
    assert denied.status == 403
    assert challenge(denied).endswith(', scope="read odd$scope"')
    assert 'error="insufficient_scope"' in challenge(denied)


@pytest.mark.parametrize(("method", "scope"), [("GET", "read"), ("POST", "write")])
def test_the_scope_is_the_methods_own(asked: Gateway, issuer: Issuer, method: str, scope: str) -> None:
    denied = asked.request("/methods/", token=issuer.token(scope="other"), method=method)
    assert challenge(denied).endswith(f', scope="{scope}"')


def test_a_step_up_says_which_authentication_is_needed(asked: Gateway, issuer: Issuer) -> None:
    token = issuer.token(acr="gold", auth_time=int(time.time()) - 600)
    denied = asked.request("/methods/", token=token, method="PUT")
    assert denied.status == 401
    assert 'error="insufficient_user_authentication"' in challenge(denied)
    assert challenge(denied).endswith(', acr_values="gold", max_age=60')


def test_where_nothing_is_needed_and_where_no_token_came_nothing_is_named(asked: Gateway) -> None:
    assert challenge(asked.request("/plain/")) == 'Bearer realm="jwtgate"'
    assert challenge(asked.request("/reader/")) == 'Bearer realm="jwtgate"'
    assert "scope" not in challenge(asked.request("/reader/", token="nonsense"))


# Login pages.


@pytest.mark.parametrize(
    "target",
    [
        "/pages/",
        "/pages/a?b=c&d=e",
        "/pages/a&return_to=https://evil.example/",
        "/pages/?x=%0d%0aSet-Cookie:%20a=b&return_to=https://evil.example",
        "/pages/%C3%BC?q=%26%23",
    ],
)
@pytest.mark.parametrize("token", [None, "nonsense"])
def test_a_browser_is_sent_to_the_login_page_and_back(asked: Gateway, target: str, token: str | None) -> None:
    sent = asked.request(target, token=token, headers=HTML)
    assert sent.status == 302
    location = urlsplit(sent.headers["location"])
    assert (location.scheme, location.netloc, location.path, location.fragment) == (
        "https",
        "login.example.com",
        "/start",
        "",
    )
    assert parse_qs(location.query, strict_parsing=True) == {
        "app": ["shop"],
        "return_to": [f"http://{asked.address}{target}"],
    }
    assert sent.headers["cache-control"] == "no-store"
    assert "set-cookie" not in sent.headers


@pytest.mark.parametrize(
    "options", [{}, {"headers": {"Accept": "application/json"}}, {"headers": HTML, "method": "POST"}]
)
def test_who_is_no_browser_gets_the_ordinary_answer(asked: Gateway, options: dict[str, Any]) -> None:
    assert asked.request("/pages/", **options).status == 401


def test_signing_in_again_is_not_asked_of_who_lacks_a_permission(asked: Gateway, issuer: Issuer) -> None:
    assert asked.request("/pages/", token=issuer.token(scope="other"), headers=HTML).status == 403
    good = issuer.token(scope="read odd$scope")
    assert asked.request("/pages/", token=good, headers=HTML).status == 200
    assert asked.request("/plain/", headers=HTML).status == 401


def test_an_address_that_is_too_long_is_not_returned_to(asked: Gateway) -> None:
    sent = asked.request(f"/pages/{'x' * 2000}", headers=HTML)
    assert (sent.status, sent.headers["location"]) == (302, f"{LOGIN}&return_to=")


def test_a_client_cannot_say_where_to_return_to(asked: Gateway) -> None:
    own = {"X-Jwtgate-Page": "https://evil.example/", "X-Jwtgate-Return": "https://evil.example/"}
    sent = asked.request("/pages/", headers={**HTML, **own})
    assert "evil" not in sent.headers["location"]
    assert "evil" not in str(asked.request("/plain/", headers=own).pairs)


# Protected resources.


def test_a_resource_describes_itself_to_everyone(asked: Gateway) -> None:
    told = asked.request("/.well-known/oauth-protected-resource/mcp")
    assert (told.status, told.headers["content-type"]) == (200, "application/json")
    assert json.loads(told.body) == {
        "resource": f"http://{asked.address}/mcp",
        "authorization_servers": [URL],
        "scopes_supported": ["read", "odd$scope"],
        "bearer_methods_supported": ["header"],
    }
    assert challenge(asked.request("/mcp")) == (
        'Bearer realm="jwtgate", '
        f'resource_metadata="http://{asked.address}/.well-known/oauth-protected-resource/mcp"'
    )
    assert "resource_metadata" not in challenge(asked.request("/reader/"))


class _Nothing:
    """An MCP client that has not signed in yet."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        raise AssertionError(f"nobody signs in here, and {tokens} came")

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError(f"nobody signs in here, and {client_info} came")


def test_a_standard_mcp_client_finds_the_authorization_server(asked: Gateway) -> None:
    server = f"http://{asked.address}/mcp"
    metadata = OAuthClientMetadata(client_name="test", redirect_uris=[AnyUrl("http://127.0.0.1:1/callback")])
    provider = OAuthClientProvider(server_url=server, client_metadata=metadata, storage=_Nothing())
    asked_for: list[str] = []

    async def discover() -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            flow = provider.async_auth_flow(httpx2.Request("POST", server, json={"jsonrpc": "2.0"}))
            request = await anext(flow)
            while request.url.host == "127.0.0.1":
                asked_for.append(request.url.path)
                request = await flow.asend(await client.send(request))
            asked_for.append(str(request.url))
            await flow.aclose()

    asyncio.run(discover())
    assert asked_for == [
        "/mcp",
        "/.well-known/oauth-protected-resource/mcp",
        f"{URL}/.well-known/oauth-authorization-server",
    ]
    assert provider.context.auth_server_url is not None
    assert str(provider.context.auth_server_url).rstrip("/") == URL
