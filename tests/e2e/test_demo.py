"""`jwtgate demo`: both tables of the reference scenario, each row through a real NGINX; start and end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate import SigningKey, generate_signing_key, mint, read_jwks
from jwtgate.keys.encoding import decode_base64url, encode_base64url
from jwtgate.signer.key_store import KeyStore
from jwtgate.signer.store import open_directory
from jwtgate.validator.respond import subject_digest
from support.gateway import Process, entries, is_alive, jwtgate, wait_until
from support.http import Response, connect, exchange, request
from support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = 4
DAY = 24 * 60 * 60

GREETING = b'{"message":"hello, valid jwt holder!"}'
BAD_SIGNATURE = (400, b'{"success": false, "error": "invalid signature"}')
MALFORMED = (400, b'{"success": false, "error": "token is malformed"}')
EMPTY = (400, b'{"success": false, "error": "token is empty"}')
NOT_ACTIVE = (403, b'{"success": false, "error": "token is not active"}')
UNREADABLE = (500, b'{"success": false, "error": "parsing error"}')


class Demo(Process):
    """A demo on free ports, with a temporary directory of its own to look for leftovers in."""

    def __init__(self, nginx: Path) -> None:
        self.port = free_ports(PORTS)
        self.address = f"127.0.0.1:{self.port}"
        super().__init__("demo", "--port", str(self.port), "--nginx", str(nginx), ready="Ctrl-C ends the demo")
        self.temporary = self.work / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o711)
        self._environment |= {"TMPDIR": str(self.temporary), "JWTGATE_LOG": ""}

    def get(self, path: str, **options: Any) -> Response:
        return request(self.address, path, **options)

    def token(self) -> str:
        token: str = self.get("/signer/example-token").json()["token"]
        return token

    def key(self) -> SigningKey:
        """The signer's private key, read where only its owner (and these tests) can."""
        (directory,) = self.temporary.glob("jwtgate-demo-*/keys")
        store = open_directory(directory)
        (held,) = KeyStore(store, None).load(time.time())
        store.close()
        assert held.signing is not None
        return held.signing

    def log(self) -> list[dict[str, Any]]:
        (file,) = self.temporary.glob("jwtgate-demo-*/access.log")
        return entries(file)


@pytest.fixture(scope="module")
def demo(nginx: Path) -> Iterator[Demo]:
    with Demo(nginx) as running:
        yield running


def answer(response: Response) -> tuple[int, bytes]:
    return response.status, response.body


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": value}


def segment(value: object) -> str:
    return encode_base64url(json.dumps(value).encode()).decode()


def signed(key: SigningKey, payload: bytes, **header: object) -> str:
    """A rightly signed token over any payload and header."""
    head = segment({"alg": key.algorithm, "typ": "JWT", "kid": key.kid} | header)
    signing_input = f"{head}.{encode_base64url(payload).decode()}"
    return f"{signing_input}.{encode_base64url(key.sign(signing_input.encode())).decode()}"


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    every = {
        "iss": "https://signer.example",
        "aud": "services",
        "sub": "me",
        "iat": now,
        "exp": now + 3600,
    } | changes
    return {name: value for name, value in every.items() if value is not None}


# What the demo hands out.


def test_the_example_token_is_as_promised(demo: Demo) -> None:
    before = int(time.time())
    response = demo.get("/signer/example-token")
    after = int(time.time())
    assert response.status == 200
    assert response.headers["cache-control"] == "no-store"
    assert list(response.json()) == ["token"]
    header, payload, signature = response.json()["token"].split(".")
    decoded = json.loads(decode_base64url(header.encode()) or b"")
    assert decoded["alg"] == "ES512"
    (jwk,) = demo.get("/signer/jwk").json()["keys"]
    assert (jwk["kty"], jwk["crv"]) == ("EC", "P-521")
    assert decoded["kid"] == jwk["kid"] == read_jwks(json.dumps({"keys": [jwk]}).encode()).keys[0].thumbprint
    assert len(decode_base64url(signature.encode()) or b"") == 132  # RFC 7518, section 3.4: P-521, r and s
    found = json.loads(decode_base64url(payload.encode()) or b"")
    assert found.keys() == {"iss", "aud", "sub", "jti", "iat", "exp", "example-claim"}
    assert found["iss"] == "https://signer.example"
    assert found["aud"] == "services"
    assert found["sub"]
    assert found["jti"] != json.loads(decode_base64url(demo.token().split(".")[1].encode()) or b"")["jti"]
    assert before <= found["iat"] <= after
    assert found["exp"] == found["iat"] + DAY
    assert found["example-claim"] == "hello :)))"


@pytest.mark.parametrize("path", ["/signer/jwk", "/signer/.well-known/jwks.json"])
def test_the_key_set_is_cached_by_nginx_for_as_long_as_the_signer_says(demo: Demo, path: str) -> None:
    fresh = f"{path}?{time.monotonic_ns()}"  # a query of its own: others have asked for the path already
    first, second = demo.get(fresh), demo.get(fresh)
    assert (first.status, first.headers["x-cache-status"]) == (200, "MISS")
    assert (second.status, second.headers["x-cache-status"]) == (200, "HIT")
    assert first.body == second.body
    assert first.headers["content-type"] == "application/jwk-set+json"
    assert first.headers["cache-control"] == second.headers["cache-control"] == "public, max-age=300"
    assert {key["kty"] for key in first.json()["keys"]} == {"EC"}
    assert not any("d" in key for key in first.json()["keys"])


def test_b_greets_who_has_a_token(demo: Demo) -> None:
    response = demo.get("/b/", token=demo.token())
    assert answer(response) == (200, GREETING)
    assert response.headers["content-type"] == "application/json"


def test_a_calls_b_through_the_gateway_with_the_callers_token(demo: Demo) -> None:
    subject = f"caller-{time.monotonic_ns()}"
    token = mint(claims(sub=subject), demo.key())
    digest = subject_digest("https://signer.example", subject)
    assert answer(demo.get("/a/", token=token)) == (200, GREETING)
    # The gateway was asked twice, and both times it was the caller's token: A has none of its own.
    entries = wait_until(lambda: len(found := [e for e in demo.log() if e["subject"] == digest]) > 1 and found)
    by_route = {entry["route"]: entry for entry in entries}
    assert by_route.keys() == {"/a/", "/b/"}
    for entry, port in ((by_route["/a/"], demo.port + 2), (by_route["/b/"], demo.port + 3)):
        assert (entry["status"], entry["reason"], entry["issuer"]) == (200, "", "signer")
        assert entry["key"] == demo.key().kid
        assert entry["upstream"] == f"127.0.0.1:{port}"
    assert by_route["/b/"]["user_agent"] != by_route["/a/"]["user_agent"]
    assert token not in json.dumps(demo.log())


def test_a_without_a_token_is_never_asked(demo: Demo) -> None:
    assert answer(demo.get("/a/")) == EMPTY


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   ", ""])
def test_the_scheme_comes_in_any_case_or_not_at_all(demo: Demo, scheme: str) -> None:
    assert answer(demo.get("/b/", headers=bearer(scheme + demo.token()))) == (200, GREETING)
    assert answer(demo.get("/a/", headers=bearer(scheme + demo.token()))) == (200, GREETING)


# What it denies, in the reference's own words.


@pytest.mark.parametrize("path", ["/a/", "/b/"])
@pytest.mark.parametrize("value", [None, "", " ", "Basic dXNlcjpwYXNz"])
def test_no_token_is_empty(demo: Demo, path: str, value: str | None) -> None:
    assert answer(demo.get(path, headers={} if value is None else bearer(value))) == EMPTY


STRANGER = generate_signing_key("ES512")
RSA = generate_signing_key("RS256")


def test_a_signature_by_somebody_else_is_an_invalid_signature(demo: Demo) -> None:
    key = demo.key()
    forged = signed(STRANGER, json.dumps(claims()).encode(), kid=key.kid)
    assert answer(demo.get("/b/", token=forged)) == BAD_SIGNATURE


def test_an_altered_token_is_an_invalid_signature(demo: Demo) -> None:
    header, payload, signature = demo.token().split(".")
    altered = json.loads(decode_base64url(payload.encode()) or b"") | {"sub": "somebody else"}
    assert answer(demo.get("/b/", token=f"{header}.{segment(altered)}.{signature}")) == BAD_SIGNATURE


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(mint(claims(), STRANGER), id="unknown kid"),
        pytest.param(mint(claims(), RSA), id="another algorithm"),
        pytest.param(mint(claims(iss="https://evil.example"), STRANGER), id="unknown issuer"),
        pytest.param(mint(claims(iss=None), STRANGER), id="no issuer"),
    ],
)
def test_a_token_that_nobody_we_know_signed_is_an_invalid_signature(demo: Demo, token: str) -> None:
    assert answer(demo.get("/b/", token=token)) == BAD_SIGNATURE


def test_hmac_with_the_public_key_is_an_invalid_signature(demo: Demo) -> None:
    header = segment({"alg": "HS256", "kid": demo.key().kid})
    assert answer(demo.get("/b/", token=f"{header}.{segment(claims())}.c2lnbmF0dXJl")) == BAD_SIGNATURE


@pytest.mark.parametrize(
    "value",
    [
        "Bearer x",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer a.b.c.d",
        "Bearer",
        "Bearer a b",
        "x.y",
        f"Bearer {segment({'alg': 'none'})}.{segment(claims())}.",
        f"Bearer {segment({'alg': 'ES512', 'crit': ['exp']})}.{segment(claims())}.AAAA",
        f"Bearer {segment({'kid': 'no alg'})}.{segment(claims())}.AAAA",
        "Bearer " + "A" * 9000,
        "Bearer x, Bearer y",
        "Bearer t\xf6ken",
    ],
)
def test_what_is_no_token_is_malformed(demo: Demo, value: str) -> None:
    assert answer(demo.get("/b/", headers=bearer(value))) == MALFORMED


def test_two_tokens_are_malformed(demo: Demo) -> None:
    twice = [("Authorization", f"Bearer {demo.token()}"), ("Authorization", f"Bearer {demo.token()}")]
    assert answer(demo.get("/b/", headers=twice)) == MALFORMED


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"exp": int(time.time()) - 3600}, id="expired"),
        pytest.param({"nbf": int(time.time()) + 3600}, id="not yet valid"),
        pytest.param({"iat": int(time.time()) + 3600}, id="issued in the future"),
        pytest.param({"exp": None}, id="never ends"),
        pytest.param({"aud": "others"}, id="for others"),
        pytest.param({"aud": None}, id="for nobody"),
        pytest.param({"cnf": {"jkt": "x"}}, id="bound to a key"),
    ],
)
def test_a_token_that_does_not_hold_is_not_active(demo: Demo, changes: dict[str, object]) -> None:
    assert answer(demo.get("/b/", token=mint(claims(**changes), demo.key()))) == NOT_ACTIVE


@pytest.mark.parametrize(
    "payload", [b"[]", b'"text"', b"not JSON", b'{"iss": 1', b"\xff\xfe", b'{"a": 1, "a": 2}', b""]
)
def test_a_payload_that_is_no_json_object_is_malformed_whoever_signed_it(demo: Demo, payload: bytes) -> None:
    for key in (demo.key(), STRANGER):
        assert answer(demo.get("/b/", token=signed(key, payload, kid=demo.key().kid))) == MALFORMED


WRONG_TYPES = [{"exp": "tomorrow"}, {"exp": True}, {"nbf": []}, {"iat": "now"}, {"sub": 7}, {"jti": {}}]


@pytest.mark.parametrize("changes", WRONG_TYPES, ids=lambda changes: f"{next(iter(changes))} of a wrong type")
def test_claims_that_cannot_be_read_are_a_parsing_error(demo: Demo, changes: dict[str, object]) -> None:
    assert answer(demo.get("/b/", token=mint(claims(**changes), demo.key()))) == UNREADABLE


@pytest.mark.parametrize("changes", WRONG_TYPES, ids=lambda changes: f"{next(iter(changes))} of a wrong type")
def test_claims_that_nobody_signed_are_not_read_at_all(demo: Demo, changes: dict[str, object]) -> None:
    forged = signed(STRANGER, json.dumps(claims(**changes)).encode(), kid=demo.key().kid)
    assert answer(demo.get("/b/", token=forged)) == BAD_SIGNATURE


def test_a_denial_is_json_keeps_the_connection_and_needs_no_second_chance(demo: Demo) -> None:
    head = f"Host: {demo.address}\r\n".encode()
    with connect(demo.address) as connection:
        denied = exchange(connection, b"POST /b/ HTTP/1.1\r\n" + head + b"Content-Length: 3\r\n\r\nabc")
        assert answer(denied) == EMPTY
        assert denied.headers["content-type"] == "application/json"
        token = demo.token().encode()
        again = exchange(
            connection, b"GET /b/ HTTP/1.1\r\n" + head + b"Authorization: Bearer " + token + b"\r\n\r\n"
        )
        assert answer(again) == (200, GREETING)


# Start and end.


def test_the_demo_says_what_runs_where(demo: Demo) -> None:
    listed = [re.split(r"\s{2,}", line.strip()) for line in demo.said.splitlines()]
    places = {words[0]: words[1] for words in listed if len(words) == 3}
    assert places == {
        "gateway": f"http://127.0.0.1:{demo.port}",
        "validators": places["validators"],
        "signer": f"http://127.0.0.1:{demo.port + 1}",
        "microservice A": f"http://127.0.0.1:{demo.port + 2}",
        "microservice B": f"http://127.0.0.1:{demo.port + 3}",
    }
    assert re.fullmatch(r"\d+ processes", places["validators"])
    assert "NGINX " in demo.said
    assert "{" not in demo.said, "the demo talks to people, not to machines"
    assert "/signer/example-token gives a valid token to whoever asks" in demo.said


def test_the_four_curl_lines_work_as_they_are_printed(demo: Demo) -> None:
    lines = [line.strip() for line in demo.said.splitlines() if "curl" in line]
    assert len(lines) == 4
    ran = subprocess.run(
        ["bash", "-euc", "\n".join(line + "; echo; echo ====" for line in lines)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
    )
    token, b, a, denied = (part.strip() for part in ran.stdout.split("====")[:4])
    assert token == ""
    for greeted in (a, b):
        assert greeted.startswith("HTTP/1.1 200 OK")
        assert greeted.endswith('{"message":"hello, valid jwt holder!"}')
    assert denied.startswith("HTTP/1.1 400 Bad Request")
    assert denied.endswith('{"success": false, "error": "token is empty"}')


def descendants(pid: int) -> list[int]:
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            found += [child, *descendants(child)]
    return found


@pytest.mark.parametrize(("number", "starts"), [(signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_ctrl_c_leaves_nothing_and_a_second_start_works(nginx: Path, number: signal.Signals, starts: int) -> None:
    with Demo(nginx) as demo:
        for start in range(starts):
            if start:
                demo.start()
            run_dir = Path(re.findall(r"(\S+)/sockets", demo.said)[-1])
            assert run_dir.is_dir()
            cache = cache_directory(demo)
            assert cache.is_dir()
            processes = descendants(demo.pid)
            assert len(processes) >= 7  # signer, A, B, validator(s), NGINX's master and workers
            assert answer(demo.get("/a/", token=demo.token())) == (200, GREETING)
            assert demo.stop(number) == 0
            assert not run_dir.exists()
            assert not cache.exists()
            assert list(demo.temporary.iterdir()) == []
            assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []
            for port in range(demo.port, demo.port + PORTS):
                with pytest.raises(ConnectionRefusedError):
                    connect(f"127.0.0.1:{port}")
            assert "nothing is left behind" in demo.said
            assert "Traceback" not in demo.said


def cache_directory(demo: Demo) -> Path:
    """Where its NGINX caches decisions, as its configuration says."""
    run_dir = Path(re.findall(r"(\S+)/sockets", demo.said)[-1])
    found = re.search(r'proxy_cache_path "?(\S+?)/decisions', (run_dir / "nginx.conf").read_text())
    assert found is not None
    return Path(found[1])


def test_what_a_killed_demo_left_is_removed_by_the_next_one(nginx: Path) -> None:
    with Demo(nginx) as killed, Demo(nginx) as other:
        run_dir = Path(re.findall(r"(\S+)/sockets", killed.said)[-1])
        others = Path(re.findall(r"(\S+)/sockets", other.said)[-1])
        cache = cache_directory(killed)
        assert other.stop(signal.SIGINT) == 0
        processes = descendants(killed.pid)
        os.kill(killed.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, processes)))
        assert run_dir.is_dir()
        other.start()
        assert (run_dir.exists(), cache.exists(), others.is_dir()) == (False, False, True)


def test_two_ctrl_c_in_a_row_end_as_well_as_one(nginx: Path) -> None:
    with Demo(nginx) as demo:
        cache = cache_directory(demo)
        os.kill(demo.pid, signal.SIGINT)
        time.sleep(0.05)
        assert demo.stop(signal.SIGINT) == 0
        assert not cache.exists()
        assert list(demo.temporary.iterdir()) == []
        assert "Traceback" not in demo.said


@pytest.mark.parametrize("offset", range(PORTS))
def test_a_taken_port_is_named_with_the_way_out(nginx: Path, offset: int, tmp_path: Path) -> None:
    first = free_ports(PORTS)
    with socket.create_server(("127.0.0.1", first + offset)):
        ended = jwtgate(
            "demo", "--port", str(first), "--nginx", str(nginx), env=os.environ | {"TMPDIR": str(tmp_path)}
        )
    assert ended.returncode == 1
    assert f"127.0.0.1:{first + offset}: the port is taken" in ended.stderr
    assert f"jwtgate demo --port {first + 10}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []
