"""`status_lists`, `deny_list` and what goes with them: gateway.yaml → Plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jwtgate.config import load_text
from jwtgate.errors import ConfigError
from jwtgate.plan import Fetching, StatusLists

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.config import Loaded

LIST = "https://issuer.example/statuslists/1"


def loaded(issuer: str = "", route: str = "", top: str = "", filename: str = "gateway.yaml") -> Loaded:
    return load_text(
        f"""
version: 1
{top}
issuers:
  main: {{issuer: "https://issuer.example", jwks: https://issuer.example/jwks, audience: us, algorithms: [ES256],
          {issuer}}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{app: http://127.0.0.1:1}}
routes: [{{path: /, upstream: app, policy: caller, {route}}}]
""",
        filename,
        {},
    )


def lists_of(issuer: str) -> StatusLists | None:
    return loaded(issuer).plan.issuers["main"].status_lists


def test_lists_are_named_whole_or_by_their_directory() -> None:
    assert lists_of(f"status_lists: {LIST}") == StatusLists((LIST,), (), 300, Fetching())
    directory = "https://issuer.example/shards/"
    assert lists_of(f'status_lists: [{LIST}, "{directory}*"], status_max_stale: 90s') == StatusLists(
        (LIST,), (directory,), 90, Fetching()
    )
    assert lists_of("") is None


def test_lists_are_fetched_as_keys_are() -> None:
    found = lists_of(f"status_lists: {LIST}, fetch: {{timeout: 4s, max_bytes: 4m}}")
    assert found is not None
    assert (found.fetching.total_timeout, found.fetching.max_bytes) == (4.0, 4 << 20)


def test_keys_in_a_file_and_lists_from_a_url_make_use_of_fetch(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"keys": []}')
    text = f"""
version: 1
issuers:
  main: {{issuer: https://issuer.example, jwks_file: keys.json, audience: us, algorithms: [ES256],
          status_lists: {LIST}, fetch: {{timeout: 4s}}}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{app: http://127.0.0.1:1}}
routes: [{{path: /, upstream: app, policy: caller}}]
"""
    lists = load_text(text, str(tmp_path / "gateway.yaml"), {}).plan.issuers["main"].status_lists
    assert lists is not None
    assert lists.fetching.total_timeout == 4.0


def test_plain_http_to_a_list_elsewhere_has_to_be_said() -> None:
    given = loaded("status_lists: http://elsewhere.example/1, insecure_http: true")
    assert given.warnings == ()
    assert lists_of("status_lists: http://127.0.0.1:1/1") is not None


def test_each_tenant_has_lists_of_its_own() -> None:
    plan = load_text(
        """
version: 1
issuers:
  main: {issuer: "https://idp.example/{tenant}", jwks: "https://idp.example/{tenant}/jwks", tenants: [a, b],
         audience: us, algorithms: [ES256],
         status_lists: ["https://idp.example/{tenant}/list", "https://idp.example/{tenant}/lists/*"]}
policies: {caller: {issuer: main}}
upstreams: {app: http://127.0.0.1:1}
routes: [{path: /, upstream: app, policy: caller}]
""",
        "gateway.yaml",
        {},
    ).plan
    found = {name: issuer.status_lists for name, issuer in plan.issuers.items()}
    assert {name: (lists.uris, lists.prefixes) for name, lists in found.items() if lists} == {
        f"main/{tenant}": ((f"https://idp.example/{tenant}/list",), (f"https://idp.example/{tenant}/lists/",))
        for tenant in "ab"
    }


def test_to_ignore_status_is_said_aloud() -> None:
    given = loaded("unsafe_ignore_status: true")
    assert given.plan.issuers["main"].unsafe_ignore_status
    (warning,) = given.warnings
    assert "revoked are accepted" in str(warning)


def test_what_is_required_of_a_status_is_part_of_the_policy() -> None:
    settings = [
        ("", ""),
        (f"status_lists: {LIST}", ""),
        (f"status_lists: {LIST}, status_max_stale: 90s", ""),
        (f"status_lists: {LIST}", "unsafe_allow_stale_status: true"),
        ("unsafe_ignore_status: true", ""),
    ]
    ids = {next(iter(loaded(issuer, route).plan.policies)) for issuer, route in settings}
    assert len(ids) == len(settings)
    (policy,) = loaded("", "unsafe_allow_stale_status: true").plan.policies.values()
    assert policy.unsafe_allow_stale_status


def test_a_deny_list_is_relative_to_the_configuration_and_read_when_it_is_loaded(tmp_path: Path) -> None:
    gateway, file = str(tmp_path / "gateway.yaml"), tmp_path / "denied.jsonl"
    assert loaded().plan.deny_list is None
    file.write_text('# nobody yet\n\n{"iss": "https://issuer.example", "sub": "alice"}\n')
    assert loaded(top="deny_list: denied.jsonl", filename=gateway).plan.deny_list == file
    file.write_text('# nobody yet\n\n{"iss": "https://issuer.example"}\n')
    with pytest.raises(ConfigError) as caught:
        loaded(top="deny_list: denied.jsonl", filename=gateway)
    assert "denied.jsonl:3: it names neither" in str(caught.value)
