"""`jwtgate diff`: each kind of change has its words, and what means the same is no change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jwtgate.config import load_text
from jwtgate.trial import changes
from support.gateway import jwtgate

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = """
version: 1
listen: 8000
issuers:
  one: {issuer: https://one.example, jwks: https://one.example/jwks, audience: a, algorithms: [ES256]}
  two: {issuer: https://two.example, jwks: https://two.example/jwks, audience: a, algorithms: [ES256]}
policies:
  editor: {issuer: one, require: {roles: {any: [editor, admin]}}}
  caller: {issuers: [one, two]}
upstreams: {app: http://127.0.0.1:1}
routes:
  - {path: /a/, upstream: app, policy: editor}
  - {path: /b/, upstream: app, policy: caller}
  - {path: /c/, upstream: app, public: true}
"""


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("/a/, upstream: app, policy: editor", "/a/, upstream: app, public: true",
         ["/a/: opened: everyone is let through, policy editor is asked no longer"]),
        ("public: true", "policy: caller", ["/c/: closed: policy caller is asked, nothing beside the token"]),
        ("  - {path: /c/, upstream: app, public: true}\n", "", ["/c/: removed"]),
        ("/c/, upstream: app, public: true}", "/d/, upstream: app, policy: editor}",
         ["/d/: added: policy editor, one of the roles editor, admin, issuers one", "/c/: removed"]),
        ("{path: /c/,", "{host: c.example, path: /c/,",
         ["c.example/c/: added, public: everyone is let through to app", "/c/: removed"]),
        ("{roles: {any: [editor, admin]}}", "{roles: admin}",
         ["/a/: requirements: role admin, formerly one of the roles editor, admin"]),
        ("editor: {issuer: one, require: {roles: {any: [editor, admin]}}}", "editor: {issuer: one}",
         ["/a/: requirements: nothing beside the token, formerly one of the roles editor, admin"]),
        ("issuers: [one, two]", "issuers: [one]",
         ["/b/: issuers: one, formerly one, two", "issuer two: trusted no longer: https://two.example"]),
        ("one.example/jwks, audience: a", "one.example/jwks, audience: [a, b]",
         ["issuer one: audience: a or b, formerly a"]),
        ("jwks: https://two.example/jwks, audience: a, algorithms: [ES256]",
         "jwks: https://two.example/jwks, audience: a, algorithms: [ES256, RS256]",
         ["issuer two: algorithms: ES256, RS256, formerly ES256"]),
        ("jwks: https://one.example/jwks", "jwks: https://one.example/keys",
         ["issuer one: keys: https://one.example/keys, formerly https://one.example/jwks"]),
        ("policy: editor", "policy: editor, staleness: 0", ["/a/: staleness: 0 s, formerly 10 s"]),
        ("policy: editor", "policy: editor, token_from: {cookie: session}, strip_token: true",
         ["/a/: token from: cookie session, formerly Authorization",
          "/a/: the service gets the token: no, formerly yes"]),
        ("caller: {", "caller: {optional: true, ",
         ["/b/: a token is: optional: who sends none passes as anonymous, formerly required"]),
        ("jwks: https://one.example/jwks", "jwks: https://one.example/jwks, unsafe_ignore_status: true",
         ["issuer one: tokens pass whose status is not looked at: yes, formerly no"]),
        ("jwks: https://one.example/jwks", "jwks: https://one.example/jwks, audience_claim: client_id",
         ["issuer one: audience in: client_id, formerly aud"]),
        ("policy: editor", "policy: editor, login_redirect: 'https://login.example/?to=', websocket: true",
         ["/a/: websockets: yes, formerly no",
          "/a/: login page: https://login.example/?to=, formerly none"]),
        ("policy: editor", "policy: editor, cors: {origins: 'https://app.example', credentials: true}",
         ["/a/: cors: https://app.example, with credentials, formerly none"]),
        ("routes:", "include: {api: {policy: caller}}\nroutes:",
         ["include api: added: policy caller, nothing beside the token, issuers one, two"]),
        ("http://127.0.0.1:1", "http://127.0.0.1:2", []),
        ("caller: {", "# a comment\n  caller: {", []),
        ("upstreams: {app: http://127.0.0.1:1}", "upstreams: {app: [http://127.0.0.1:1]}", []),
    ],
)  # fmt: skip
def test_a_change_has_its_words(was: str, becomes: str, said: list[str]) -> None:
    assert was in BEFORE
    old, new = (load_text(text, "gateway.yaml", {}).plan for text in (BEFORE, BEFORE.replace(was, becomes, 1)))
    assert [f"{change.whose}: {change.text}" for change in changes(old, new)] == said


def test_other_secrets_are_other_keys_and_are_not_told() -> None:
    text = BEFORE.replace("jwks: https://one.example/jwks", "secret_env: S").replace("[ES256]", "[HS256]", 1)
    secrets = ("a first secret that is long enough for HS256", "a second secret that is long enough for HS256")
    old, new = (load_text(text, "gateway.yaml", {"S": secret}).plan for secret in secrets)
    assert [f"{change.whose}: {change.text}" for change in changes(old, new)] == ["issuer one: other keys"]


def test_a_changed_include_is_told_and_a_removed_one() -> None:
    text = BEFORE.replace("routes:", "include: {api: {policy: caller}, old: {policy: caller}}\nroutes:")
    changed = text.replace("{policy: caller}, old: {policy: caller}", "{policy: editor, strip_token: true}")
    old, new = (load_text(each, "gateway.yaml", {}).plan for each in (text, changed))
    assert [f"{change.whose}: {change.text}" for change in changes(old, new)] == [
        "include api: policy: editor, formerly caller",
        "include api: requirements: one of the roles editor, admin, formerly nothing beside the token",
        "include api: issuers: one, formerly one, two",
        "include api: the service gets the token: no, formerly yes",
        "include old: removed",
    ]


def test_a_deny_list_is_told(tmp_path: Path) -> None:
    file, denied = str(tmp_path / "gateway.yaml"), tmp_path / "deny.txt"
    denied.write_text("")
    old = load_text(BEFORE, file, {}).plan
    new = load_text(BEFORE + "deny_list: deny.txt", file, {}).plan
    assert [(change.whose, change.text) for change in changes(old, new)] == [
        ("gateway", f"deny list: {denied}, formerly none")
    ]


def test_what_changes_for_nobody_who_asks_is_called_so(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(BEFORE.replace("upstreams: {", "upstreams: {unused: http://127.0.0.1:3, "))
    new.write_text(BEFORE.replace("listen: 8000", "listen: 9000"))
    done = jwtgate("diff", str(old), str(new), "--exit-code")
    assert (done.returncode, done.stdout) == (0, "no difference in what routes require; other settings differ\n")
    assert done.stderr == ""  # of the old file nobody mends anything any more


def test_the_command_prints_it_and_can_fail_for_ci(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(BEFORE)
    new.write_text(BEFORE.replace("public: true", "policy: editor"))
    done = jwtgate("diff", str(old), str(new), "--exit-code")
    assert (done.returncode, done.stdout) == (
        1,
        "/c/  closed: policy editor is asked, one of the roles editor, admin\n",
    )
    assert jwtgate("diff", str(old), str(new)).returncode == 0
    assert jwtgate("diff", str(old), str(old), "--exit-code").stdout == "no difference in what routes require\n"
