"""The deny-list: what an entry is for, how it is written, and what cannot be one."""

from __future__ import annotations

from typing import Any

import pytest

from jwtgate.errors import DenyListError
from jwtgate.revocation import Denied, DenyList, read_denied, read_deny_list, write_denied
from jwtgate.revocation.deny_list import NEVER

NOW = 1_000_000
ISS = "https://issuer.example"
TOKEN = {"iss": ISS, "jti": "one", "sub": "alice", "client_id": "batch", "iat": NOW - 100}


def denied(*entries: dict[str, Any], issuer: str = ISS, now: float = NOW, **changes: Any) -> bool:
    found = DenyList()
    for entry in entries:
        found.add(Denied(**({"iss": ISS} | entry)))
    claims = {name: value for name, value in (TOKEN | changes).items() if value is not None}
    return found.denies(issuer, claims, now)


FOR_IT: dict[str, dict[str, Any]] = {
    "its jti": {"jti": "one"},
    "its subject": {"sub": "alice"},
    "its client": {"client_id": "batch"},
    "all that was issued before": {"issued_before": NOW - 99},
    "what its subject had before": {"sub": "alice", "issued_before": NOW - 99},
    "until later": {"jti": "one", "until": NOW + 1},
}
NOT_FOR_IT: dict[str, dict[str, Any]] = {
    "another jti": {"jti": "One"},
    "a jti that is its subject": {"jti": "alice"},
    "a subject that is its client": {"sub": "batch"},
    "another issuer's": {"iss": ISS + "/", "jti": "one"},
    "ended": {"jti": "one", "until": NOW},
    "issued at that moment": {"issued_before": NOW - 100},
    "its subject before": {"sub": "alice", "issued_before": NOW - 100},
}


@pytest.mark.parametrize("entry", FOR_IT.values(), ids=FOR_IT.keys())
def test_an_entry_denies_what_it_names(entry: dict[str, Any]) -> None:
    assert denied(entry)
    assert not denied(entry, issuer="https://other.example")


@pytest.mark.parametrize("entry", NOT_FOR_IT.values(), ids=NOT_FOR_IT.keys())
def test_an_entry_denies_nothing_else(entry: dict[str, Any]) -> None:
    assert not denied(entry)


def test_every_entry_of_one_name_counts() -> None:
    assert denied({"sub": "alice", "issued_before": 1}, {"sub": "alice", "until": 1}, {"sub": "alice"})


def test_a_client_is_found_under_its_openid_name() -> None:
    assert denied({"client_id": "batch"}, client_id=None, azp="batch")
    assert denied({"client_id": "batch"}, client_id="other", azp="batch")
    assert not denied({"client_id": "batch"}, client_id=None)


@pytest.mark.parametrize("iat", [None, "soon", [], {}])
def test_a_token_that_does_not_say_when_it_was_issued_is_not_spared(iat: Any) -> None:
    assert denied({"issued_before": 1}, iat=iat)


@pytest.mark.parametrize("claim", [None, 1, ["one"], {"one": 1}, True])
def test_a_name_that_is_no_text_is_no_name(claim: Any) -> None:
    assert not denied({"jti": "one"}, jti=claim)


def test_names_do_not_run_into_each_other() -> None:
    assert not denied({"iss": "https://a", "jti": "bc"}, issuer="https://ab", jti="c")


def test_entries_are_counted_once() -> None:
    found = DenyList()
    for _ in range(2):
        found.add(Denied(iss=ISS, jti="one", until=NOW))
        found.add(Denied(iss=ISS, jti="one"))
    assert len(found) == 2


def test_ten_thousand_entries_are_told_apart() -> None:
    found = DenyList()
    for number in range(10_000):
        found.add(Denied(iss=ISS, jti=f"token-{number}", until=NOW + 1))
    assert all(found.denies(ISS, {"jti": f"token-{number}"}, NOW) for number in range(10_000))
    assert not any(found.denies(ISS, {"jti": f"token-{number}"}, NOW) for number in range(10_000, 20_000))


# As text


def test_an_entry_is_read_as_it_was_written() -> None:
    for entry in (*FOR_IT.values(), *NOT_FOR_IT.values()):
        whole = Denied(**({"iss": ISS, "note": "left: \n ü"} | entry))
        line = write_denied(whole)
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        assert read_denied(line) == whole


def test_a_file_has_entries_comments_and_empty_lines() -> None:
    text = b'# who left\n\n{"iss": "a", "sub": "b"}\r\n  {"iss": "a", "jti": "c"}'
    assert [entry.named[1] for entry in read_deny_list(text, "denied.jsonl")] == ["b", "c"]


BAD = {
    "no JSON": (b"alice", "not an entry"),
    "not an object": (b'["alice"]', "not an entry"),
    "cut off": (b'{"iss": "a", "jti": "b"', "not an entry"),
    "not UTF-8": (b'{"iss": "a", "jti": "\xff"}', "not an entry"),
    "an unknown member": (b'{"iss": "a", "jit": "b"}', "jit"),
    "no iss": (b'{"jti": "b"}', "iss"),
    "empty iss": (b'{"iss": "", "jti": "b"}', "empty"),
    "empty name": (b'{"iss": "a", "sub": ""}', "empty"),
    "a long name": (b'{"iss": "a", "sub": "' + b"b" * 1025 + b'"}', "longer"),
    "two names": (b'{"iss": "a", "jti": "b", "sub": "c"}', "one entry for each"),
    "all tokens of an issuer": (b'{"iss": "a"}', "every token"),
    "all tokens for a while": (b'{"iss": "a", "until": 5}', "every token"),
    "a date as text": (b'{"iss": "a", "jti": "b", "until": "tomorrow"}', "until"),
    "a date before 1970": (b'{"iss": "a", "jti": "b", "until": -1}', "until"),
    "a date in milliseconds": (b'{"iss": "a", "issued_before": 1767225600000}', "Unix time in seconds"),
    "the number that stands for never": (b'{"iss": "a", "jti": "b", "until": %d}' % NEVER, "until"),
    "a very long line": (b'{"iss": "a", "jti": "b", "note": "' + b"x" * 4096 + b'"}', "4096"),
}


@pytest.mark.parametrize(("line", "said"), BAD.values(), ids=BAD.keys())
def test_what_is_no_entry_is_refused_with_its_place(line: bytes, said: str) -> None:
    with pytest.raises(DenyListError, match=said):
        read_denied(line)
    with pytest.raises(DenyListError, match=r"denied\.jsonl:3: .*" + said):
        list(read_deny_list(b"# one\n\n" + line, "denied.jsonl"))


@pytest.mark.parametrize(
    "entry",
    [
        Denied(iss=ISS),
        Denied(iss=ISS, jti=""),
        Denied(iss=ISS, jti="a", sub="b"),
        Denied(iss=ISS, jti="a", until=-1),
    ],
)
def test_an_entry_that_could_not_be_read_is_not_written(entry: Denied) -> None:
    with pytest.raises(DenyListError):
        write_denied(entry)
