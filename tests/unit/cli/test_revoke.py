"""`jwtgate revoke`: what it writes into the deny-list, and what it does not."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from jwtgate import generate_signing_key, mint
from jwtgate.cli.app import make_app
from jwtgate.cli.revoke import append, remove_ended
from jwtgate.errors import ControlError, DenyListError
from jwtgate.revocation import Denied, read_deny_list, write_denied

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

KEY = generate_signing_key("ES256")
ONE, TWO = "https://one.example", "https://two.example"


def issuer(iss: str) -> str:
    return f"{{issuer: {iss}, jwks: {iss}/jwks, audience: us, algorithms: [ES256], leeway: 30s}}"


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    """A gateway.yaml with two issuers and an empty deny-list beside it."""
    return configured(tmp_path, f"one: {issuer(ONE)}, two: {issuer(TWO)}", "one, two")


def configured(directory: Path, issuers: str, names: str, deny_list: str = "deny_list: denied.jsonl") -> Path:
    (directory / "denied.jsonl").touch(0o640)
    path = directory / "gateway.yaml"
    path.write_text(
        f"version: 1\n{deny_list}\nissuers: {{{issuers}}}\npolicies: {{p: {{issuers: [{names}]}}}}\n"
        "upstreams: {app: http://127.0.0.1:1}\nroutes: [{path: /, upstream: app, policy: p}]\n"
    )
    return path


def run(gateway: Path, *arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(make_app(["revoke"]), ["revoke", str(gateway), "--no-flush", *arguments], input=text)


def denied(gateway: Path) -> list[Denied]:
    file = gateway.parent / "denied.jsonl"
    return list(read_deny_list(file.read_bytes(), str(file)))


def token(**changes: Any) -> str:
    claims = {"iss": ONE, "jti": "one", "sub": "alice", "exp": int(time.time()) + 300} | changes
    return mint({name: value for name, value in claims.items() if value is not None}, KEY)


WRITTEN = {
    "a token by its jti": (("--jti", "a", "--issuer", "two"), [Denied(iss=TWO, jti="a")]),
    "several subjects": (
        ("--sub", "alice", "--sub", "bob", "--issuer", "one", "--note", "left"),
        [Denied(iss=ONE, sub="alice", note="left"), Denied(iss=ONE, sub="bob", note="left")],
    ),
    "a client until a moment": (
        ("--client-id", "batch", "--issuer", "one", "--until", "4000000000"),
        [Denied(iss=ONE, client_id="batch", until=4000000000)],
    ),
    "what a subject had before": (
        ("--sub", "alice", "--issuer", "one", "--issued-before", "1767225600"),
        [Denied(iss=ONE, sub="alice", issued_before=1767225600)],
    ),
    "all of an issuer before": (
        ("--issuer", "one", "--issued-before", "1767225600"),
        [Denied(iss=ONE, issued_before=1767225600)],
    ),
}


@pytest.mark.parametrize(("arguments", "entries"), WRITTEN.values(), ids=WRITTEN.keys())
def test_what_is_asked_for_is_written(gateway: Path, arguments: tuple[str, ...], entries: list[Denied]) -> None:
    result = run(gateway, *arguments)
    assert result.exit_code == 0, result.output
    assert denied(gateway) == entries


def test_a_token_is_denied_until_it_ends(gateway: Path) -> None:
    end = int(time.time()) + 300
    result = run(gateway, "--token", "-", text=token(exp=end + 0.5) + "\n")
    assert result.exit_code == 0, result.output
    assert denied(gateway) == [Denied(iss=ONE, jti="one", until=end + 31)]
    assert "alice" not in result.output


def test_now_and_durations_are_counted_from_now(gateway: Path) -> None:
    before = int(time.time())
    run(gateway, "--issuer", "one", "--sub", "alice", "--issued-before", "now", "--until", "24h")
    (entry,) = denied(gateway)
    assert entry.issued_before is not None
    assert before <= entry.issued_before <= time.time()
    assert entry.until == entry.issued_before + 24 * 3600


def test_the_only_issuer_need_not_be_named(tmp_path: Path) -> None:
    gateway = configured(tmp_path, f"one: {issuer(ONE)}", "one")
    assert run(gateway, "--sub", "alice").exit_code == 0
    assert denied(gateway) == [Denied(iss=ONE, sub="alice")]


def test_entries_of_a_file_are_added_or_none(gateway: Path, tmp_path: Path) -> None:
    entries = [Denied(iss=ONE, jti=f"{number}") for number in range(100)]
    more = tmp_path / "more.jsonl"
    more.write_bytes(b"# more\n" + b"".join(map(write_denied, entries)))
    assert run(gateway, "--entries", str(more)).exit_code == 0
    assert denied(gateway) == entries
    with pytest.raises(DenyListError, match="standard input:2: not an entry"):
        run_raising(gateway, "--entries", "-", text='{"iss": "a", "jti": "b"}\nnot one\n')
    assert denied(gateway) == entries


def run_raising(gateway: Path, *arguments: str, text: str = "") -> None:
    result = run(gateway, *arguments, text=text)
    assert result.exception is not None
    raise result.exception


def test_an_entry_does_not_run_into_a_line_that_was_not_ended(gateway: Path) -> None:
    file = gateway.parent / "denied.jsonl"
    file.write_bytes(write_denied(Denied(iss=ONE, sub="alice"))[:-1])
    run(gateway, "--issuer", "one", "--sub", "bob")
    assert [entry.sub for entry in denied(gateway)] == ["alice", "bob"]


REFUSED = {
    "nothing": ((), "", "say whom"),
    "no issuer": (("--sub", "alice"), "", "--issuer"),
    "an issuer that there is not": (("--sub", "alice", "--issuer", "three"), "", "one, two"),
    "a token in the arguments": (("--token", "ey.ey.x"), "", "standard input"),
    "a date": (("--issuer", "one", "--sub", "a", "--issued-before", "yesterday"), "", "seconds since 1970"),
    "an end": (("--issuer", "one", "--sub", "a", "--until", "soon"), "", "such as 24h"),
}


@pytest.mark.parametrize(("arguments", "text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused_with_what_to_write(
    gateway: Path, arguments: tuple[str, ...], text: str, said: str
) -> None:
    result = run(gateway, *arguments, text=text)
    assert result.exit_code == 2
    assert said in result.output
    assert denied(gateway) == []


NO_TOKEN = {
    "not a token": ("hello", "no token"),
    "nothing": ("", "no token"),
    "no jti": (token(jti=None), "--issued-before now"),
    "another issuer's": (token(iss="https://three.example"), "denied already"),
    "expired": (token(exp=int(time.time()) - 100), "denied already"),
}


@pytest.mark.parametrize(("text", "said"), NO_TOKEN.values(), ids=NO_TOKEN.keys())
def test_a_token_that_cannot_be_denied_by_its_name_is_refused(gateway: Path, text: str, said: str) -> None:
    with pytest.raises(DenyListError, match=said) as caught:
        run_raising(gateway, "--token", "-", text=text)
    assert not text or text not in str(caught.value)
    assert denied(gateway) == []


def test_without_a_deny_list_it_is_said_what_to_write(tmp_path: Path) -> None:
    gateway = configured(tmp_path, f"one: {issuer(ONE)}", "one", deny_list="")
    with pytest.raises(DenyListError, match=r"deny_list: denied\.jsonl"):
        run_raising(gateway, "--sub", "alice")


def test_when_no_gateway_runs_the_entry_is_written_and_that_is_said(gateway: Path) -> None:
    result = CliRunner().invoke(
        make_app(["revoke"]),
        ["revoke", str(gateway), "--issuer", "one", "--sub", "a", "--run-dir", str(gateway.parent / "no")],
    )
    assert isinstance(result.exception, ControlError)
    said = str(result.exception)
    assert "file is written" in said
    assert "no gateway runs" in said
    assert len(denied(gateway)) == 1


def test_what_has_ended_is_removed_and_nothing_else(gateway: Path) -> None:
    file = gateway.parent / "denied.jsonl"
    lines = [
        b"# by hand\n",
        write_denied(Denied(iss=ONE, jti="old", until=1000)),
        b"\n",
        write_denied(Denied(iss=ONE, jti="new", until=4_000_000_000)),
        write_denied(Denied(iss=ONE, jti="for good")),
    ]
    file.write_bytes(b"".join(lines))
    result = run(gateway, "--prune")
    assert result.exit_code == 0
    assert "had ended: 1" in result.output
    assert file.read_bytes() == b"".join(lines[:1] + lines[2:])
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in file.parent.iterdir()) == ["denied.jsonl", "gateway.yaml"]


def test_a_damaged_file_is_not_pruned(gateway: Path) -> None:
    file = gateway.parent / "denied.jsonl"
    file.write_bytes(b'{"iss": "a", "jti": "b", "until": 1}\nnot one\n')
    with pytest.raises(DenyListError, match=r"denied\.jsonl:2: not an entry"):
        remove_ended(file, int(time.time()))
    assert file.read_bytes().startswith(b'{"iss"')


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "denied.jsonl"
    file.touch()

    def many(name: str) -> None:
        for number in range(30):
            append(file, write_denied(Denied(iss=ONE, jti=f"{name}-{number}")))
            append(file, write_denied(Denied(iss=ONE, jti=f"{name}-{number}-ended", until=1)))
            remove_ended(file, 1)

    threads = [threading.Thread(target=many, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(read_deny_list(file.read_bytes(), str(file)))) == 90


def test_a_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(DenyListError, match="cannot be written"):
        append(tmp_path / "gone" / "denied.jsonl", b"")
