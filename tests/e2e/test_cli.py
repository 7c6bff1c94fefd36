"""The program `jwtgate` as a person uses it: what it prints, what it says when it is used wrongly, exit codes."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate import generate_signing_key
from jwtgate.run_directory import default_run_dir
from support.gateway import Process, jwtgate, wait_until
from support.http import connect, request
from support.issuer import AUDIENCE, URL, Issuer
from support.ports import free_port, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.backend import Backend

COMMANDS = [
    "demo",
    "up",
    "reload",
    "flush",
    "keys",
    "keys show",
    "keys refresh",
    "check",
    "render",
    "explain",
    "verify",
    "schema",
    "validator",
    "signer run",
]

GOOD = f"""version: 1
listen: 127.0.0.1:%(port)s
access_log: off
admin: off
issuers:
  main: {{issuer: {URL}, jwks: "%(jwks)s", audience: {AUDIENCE}, algorithms: [ES256]}}
  other: {{issuer: https://other.example, jwks: "http://127.0.0.1:1/jwks", audience: x, algorithms: [ES256]}}
policies:
  caller: {{issuer: main}}
  either: {{issuers: [main, other]}}
upstreams:
  backend: [http://%(backend)s]
routes:
  - {{path: /raw/, upstream: backend, policy: caller, identity: {{X-User: sub}}}}
  - {{path: /either/, upstream: backend, policy: either}}
  - {{path: /bare/, upstream: backend, policy: caller, bare_token: true, staleness: 0}}
  - {{path: /slash/, upstream: backend, policy: caller, redirect_slash: true}}
  - {{path: /public/, upstream: backend, public: true}}
  - {{host: open.example, path: /raw/, upstream: backend, public: true}}
"""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, backend: Backend) -> Path:
    """A configuration without a mistake."""
    directory = tmp_path_factory.mktemp("cli")
    path = directory / "gateway.yaml"
    path.write_text(GOOD % {"port": free_port(), "jwks": issuer.jwks_url, "backend": backend.address})
    return path


def in_80_columns() -> dict[str, str]:
    return os.environ | {"COLUMNS": "80", "TERM": "dumb"}


def fake_nginx(directory: Path, said: str) -> Path:
    """A program that answers `-V`, on standard error as NGINX does."""
    path = directory / "nginx"
    path.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\n")
    path.chmod(0o755)
    return path


# Help and the command line itself.


def test_the_version_is_one_line() -> None:
    ended = jwtgate("--version")
    assert ended.returncode == 0
    assert re.fullmatch(r"jwtgate \d+\.\d+\.\d+\S* \(Python \d+\.\d+\.\d+\S*\)\n", ended.stdout)


def test_help_lists_every_command_and_the_exit_codes() -> None:
    ended = jwtgate("--help", env=in_80_columns())
    assert ended.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^\W+{command.split()[0]}\s", ended.stdout, re.MULTILINE), command
    assert "Exit codes: 0 done; 1 it did not work" in ended.stdout
    assert ended.stdout == jwtgate("-h", env=in_80_columns()).stdout


def test_help_fits_80_columns_and_has_an_example(subtests: pytest.Subtests) -> None:
    for command in COMMANDS:
        with subtests.test(command):
            ended = jwtgate(*command.split(), "--help", env=in_80_columns())
            assert ended.returncode == 0
            assert f"Example: jwtgate {command}" in " ".join(ended.stdout.split())
            assert max(map(len, ended.stdout.splitlines())) <= 80
            # A docstring's own line ends do not show: a line is only short when the next word is long.
            text = ended.stdout.split("╭")[0].splitlines()
            for line, following in itertools.pairwise(text):
                if line.strip() and following.strip():
                    assert len(line.rstrip()) + len(following.split()[0]) >= 79, (line, following)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch'."),
        (["chekc"], "Did you mean 'check'"),
        (["up"], "Missing argument 'GATEWAY.YAML'."),
        (["check", "a", "b"], "unexpected extra argument"),
        (["check", "--nignx", "x", "y"], "No such option: --nignx"),
        (["demo", "--port", "65533"], "65532"),
        (["demo", "--port", "http"], "valid integer"),
        (["up", "nosuch.yaml"], "nosuch.yaml: cannot be read: no such file or directory"),
        (["check", "/"], "/: cannot be read: is a directory"),
        (["render", "nosuch.yaml"], "nosuch.yaml: cannot be read"),
        (["validator", "nosuch.yaml"], "nosuch.yaml: cannot be read"),
        (["explain", "nosuch.yaml", "-", "--route", "/"], "nosuch.yaml: cannot be read"),
        (["explain", "nosuch.yaml", "--route", "/"], "Missing argument 'TOKEN|-'."),
        (["explain", "nosuch.yaml", "-"], "write --route with a path, or --include with a name"),
        (["explain", "nosuch.yaml", "-", "--route", "raw"], "write a path as a client asks for it, such as /b/"),
        (["explain", "nosuch.yaml", "-", "--route", "/", "--now", "nan"], "write seconds since 1970"),
        (["signer", "run"], "--issuer and --audience are needed, or --config gateway.yaml"),
        (
            [
                "signer",
                "run",
                "--issuer",
                "https://x",
                "--audience",
                "y",
                "--key-dir",
                "/z",
                "--algorithm",
                "HS256",
            ],
            "HS256: choose one of ES256, ES384, ES512, RS256",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_one_message_and_exit_code_2(arguments: list[str], message: str) -> None:
    ended = jwtgate(*arguments, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2
    assert message in " ".join(ended.stderr.replace("│", " ").split())
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_no_command_is_answered_with_the_help() -> None:
    assert "Commands" in jwtgate().stdout


# check


def test_check_says_that_a_good_file_is_good(good: Path, nginx: Path) -> None:
    before = sorted(good.parent.iterdir())
    ended = jwtgate("check", str(good), "--nginx", str(nginx))
    assert ended.returncode == 0
    assert re.fullmatch(
        re.escape(f"{good}: good. 6 routes, 2 policies in use, 2 issuers, 1 upstream; ")
        + r"NGINX \d+\.\d+\.\d+ \(\S+\) accepts it\.\n",
        ended.stdout,
    )
    assert ended.stderr == ""
    assert sorted(good.parent.iterdir()) == before


def test_check_lists_every_mistake_with_its_place(tmp_path: Path, nginx: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nlisten: 70000\nrotues: []\n")
    ended = jwtgate("check", str(bad), "--nginx", str(nginx))
    assert ended.returncode == 2
    assert re.findall(r"^(\S+):(\d+):(\d+): ", ended.stderr, re.MULTILINE) == [
        (str(bad), "2", "9"),
        (str(bad), "3", "1"),
    ]
    assert 'did you mean "routes"?' in ended.stderr
    assert f"2 problems in {bad}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_check_says_what_nginx_thinks_of_it(tmp_path: Path, good: Path, nginx: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("no certificate\n")
    text = good.read_text()
    tls = f"listen: [{{address: '127.0.0.1:1', tls: {{certificate: {certificate}, key: {certificate}}}}}]"
    path = tmp_path / "gateway.yaml"
    path.write_text(re.sub("listen: .*", tls, text))
    ended = jwtgate("check", str(path), "--nginx", str(nginx))
    assert ended.returncode in (1, 2)
    assert str(certificate) in ended.stderr
    assert "Traceback" not in ended.stderr


OLD = "nginx version: nginx/1.18.0\nconfigure arguments: --with-http_auth_request_module"


@pytest.mark.parametrize(
    ("command", "said", "message"),
    [
        ("check", OLD, "is NGINX 1.18.0; jwtgate needs 1.22.0 or newer"),
        ("render", OLD, "is NGINX 1.18.0; jwtgate needs 1.22.0 or newer"),
        ("up", OLD, "is NGINX 1.18.0; jwtgate needs 1.22.0 or newer"),
        (
            "check",
            "nginx version: nginx/1.26.0\nconfigure arguments: --with-debug",
            "without the auth_request module",
        ),
        ("check", "hello", "is it NGINX?"),
    ],
)
def test_an_nginx_that_will_not_do_is_named(
    good: Path, tmp_path: Path, command: str, said: str, message: str
) -> None:
    fake = fake_nginx(tmp_path, said)
    ended = jwtgate(command, str(good), "--nginx", str(fake))
    assert ended.returncode == 1
    assert str(fake) in ended.stderr
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("named", ["/nosuch/nginx", "/"])
def test_an_nginx_that_is_not_there_is_named(good: Path, named: str) -> None:
    ended = jwtgate("check", str(good), "--nginx", named)
    assert (ended.returncode, ended.stderr) == (1, f"--nginx {named}: there is no such program\n")


# render


def test_nginx_accepts_what_render_prints(good: Path, nginx: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    for part in ("sockets", "temp", "cache"):
        (run_dir / part).mkdir(parents=True)
    ended = jwtgate("render", str(good), "--nginx", str(nginx), "--run-dir", str(run_dir))
    assert (ended.returncode, ended.stderr) == (0, "")
    printed = tmp_path / "nginx.conf"
    printed.write_text(ended.stdout)
    subprocess.run([nginx, "-t", "-q", "-e", "stderr", "-p", tmp_path, "-c", printed], check=True, timeout=20)
    again = jwtgate("render", str(good), "--nginx", str(nginx), "--run-dir", str(run_dir))
    assert again.stdout == ended.stdout


def test_render_writes_a_private_file_in_one_step(good: Path, nginx: Path, tmp_path: Path) -> None:
    output = tmp_path / "nginx.conf"
    output.write_text("the one before")
    output.chmod(0o644)
    held = output.open()  # whoever reads the old file goes on reading the old file
    arguments = ("render", str(good), "--nginx", str(nginx), "--run-dir", "/run/x")
    ended = jwtgate(*arguments, "--output", str(output))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    with held:
        assert held.read() == "the one before"
    assert output.read_text() == jwtgate(*arguments).stdout
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [output]


def test_render_into_nowhere_is_a_clear_message(good: Path, nginx: Path, tmp_path: Path) -> None:
    for output in (tmp_path / "nosuch" / "nginx.conf", tmp_path):
        ended = jwtgate(
            "render", str(good), "--nginx", str(nginx), "-o", str(output), env=os.environ | {"COLUMNS": "400"}
        )
        assert ended.returncode == 2
        assert f"cannot write {output}: " in ended.stderr
        assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_who_goes_away_is_no_crash(good: Path, nginx: Path) -> None:
    command = f"{sys.executable} -m jwtgate render {good} --nginx {nginx} | head -n 1"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=30)
    assert ran.stdout.startswith("# Made by jwtgate")
    assert ran.stderr == ""


# schema


def test_the_schema_is_json_schema_of_the_whole_file() -> None:
    ended = jwtgate("schema")
    schema = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {"version", "listen", "issuers", "policies", "upstreams", "routes", "denials"} <= schema[
        "properties"
    ].keys()


# explain


def explained(good: Path, token: str, *options: str, route: str = "/raw/", **more: Any) -> tuple[int, str]:
    """Exit code, and what it said in its own words on one line; the token comes on standard input."""
    ended = jwtgate("explain", str(good), "-", "--route", route, *options, input=token, **more)
    said = ended.stdout + ended.stderr
    assert "Traceback" not in said
    for part in token.split("."):
        assert len(part) < 12 or part not in said, "the token is nobody's business"
    return ended.returncode, " ".join(said.replace("│", " ").split())


def steps(said: str) -> dict[str, str]:
    """The mark of each step."""
    return {name: mark for mark, name in re.findall(r"([✓✗·]) (\w+)", said)}


ORDER = [
    "policy",
    "credential",
    "parse",
    "issuer",
    "key",
    "verify",
    "claims",
    "status",
    "requirements",
    "identity",
]


def assert_denied_at(step: str, said: str) -> None:
    at = ORDER.index(step)
    assert steps(said) == {name: "✓" if n < at else "✗" if n == at else "·" for n, name in enumerate(ORDER)}


def test_explain_lets_a_good_token_through(good: Path, issuer: Issuer) -> None:
    code, said = explained(good, issuer.token())
    assert code == 0
    assert set(steps(said).values()) == {"✓"}
    assert list(steps(said)) == ORDER
    assert "allowed" in said
    assert "X-User: alice" in said
    assert "NGINX may repeat this for up to 10 s" in said
    assert f"kid {issuer.key.kid}" in said


def test_explain_says_when_nginx_asks_each_time(good: Path, issuer: Issuer) -> None:
    assert "NGINX asks again for each request." in explained(good, issuer.token(), route="/bare/")[1]


STRANGER = generate_signing_key("ES256")
ED = generate_signing_key("EdDSA")


def other_key(issuer: Issuer) -> str:
    """Signed by another key under the issuer's kid."""
    head, _, _ = issuer.token().partition(".")
    _, payload, signature = issuer.token(key=STRANGER).split(".")
    return f"{head}.{payload}.{signature}"


@pytest.mark.parametrize(
    ("make", "step", "reason", "words"),
    [
        (lambda _: "", "credential", "token_missing", "send `Authorization: Bearer TOKEN`"),
        (lambda _: "Bearer a, Bearer b", "credential", "credentials_ambiguous", "send one token"),
        (lambda _: "a.b", "parse", "token_malformed", "three segments of base64url, at most 8192 bytes"),
        (lambda _: "é.b.c", "credential", "header_invalid", "check the scheme"),
        (lambda i: i.token(pad="x" * 9000), "parse", "token_too_large", "max_token_bytes"),
        (lambda i: i.token(iss="https://evil.example"), "issuer", "issuer_unknown", f"expected '{URL}'"),
        (lambda i: i.token(iss=None), "issuer", "issuer_unknown", "iss is missing"),
        (lambda i: i.token(key=STRANGER), "key", "key_unknown", "signed by a key that is gone"),
        (lambda i: i.token(key=ED), "key", "algorithm_not_allowed", "allowed ES256"),
        (other_key, "verify", "signature_invalid", "the token was altered"),
        (lambda i: i.token(exp=1), "claims", "token_expired", "exp 1970-01-01T00:00:01Z"),
        (lambda i: i.token(aud="others"), "claims", "audience_mismatch", "aud 'others' (expected services)"),
        (lambda i: i.token(exp=None), "claims", "claim_missing", "exp is missing"),
        (lambda i: i.token(sub="ü" * 1000), "identity", "claims_unreadable", "X-User from sub"),
    ],
)
def test_explain_says_which_step_denies_and_why(
    good: Path, issuer: Issuer, make: Any, step: str, reason: str, words: str
) -> None:
    code, said = explained(good, make(issuer))
    assert code == 1
    assert_denied_at(step, said)
    assert f"denied: {reason} " in said
    assert words in said
    assert "What to do: " in said
    assert "The client gets: 4" in said


def test_explain_says_where_the_keys_should_have_come_from(good: Path, issuer: Issuer) -> None:
    code, said = explained(good, issuer.token(iss="https://other.example"), route="/either/")
    assert code == 1
    assert_denied_at("key", said)
    assert "issuer_unavailable: http://127.0.0.1:1/jwks" in said
    assert "The client gets: 503" in said


def test_explain_takes_a_header_as_it_was_sent(good: Path, issuer: Issuer) -> None:
    assert explained(good, f"bearer {issuer.token()}\n")[0] == 0
    assert explained(good, f"Basic {issuer.token()}")[0] == 1


def test_explain_takes_the_token_as_an_argument_too(good: Path, issuer: Issuer) -> None:
    token = issuer.token()
    ended = jwtgate("explain", str(good), token, "-r", "/raw/deep?query=x")
    assert ended.returncode == 0
    assert token not in ended.stdout + ended.stderr


def test_explain_survives_bytes_that_are_no_text(good: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "jwtgate", "explain", str(good), "-", "-r", "/raw/"],
        input=b"\xff\xfe.\x00",
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode == 1
    assert b"header_invalid" in ended.stdout
    assert b"Traceback" not in ended.stderr


def test_explain_decides_as_of_any_time(good: Path, issuer: Issuer) -> None:
    token = issuer.token()
    code, said = explained(good, token, "--now", str(time.time() + 3600))
    assert (code, "token_expired" in said) == (1, True)


def test_explain_on_a_public_route_looks_at_no_token(good: Path) -> None:
    assert explained(good, "", route="/public/x") == (
        0,
        "Route /public/ is public: whoever asks is let through, and no token is looked at.",
    )


def test_explain_finds_the_route_of_a_host(good: Path) -> None:
    assert explained(good, "", "--host", "open.example", route="/raw/x")[0] == 0
    assert explained(good, "", "--host", "else.example", route="/raw/x")[0] == 1


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("/nosuch", "matches /nosuch: the gateway answers 404"),
        ("/raw", "but /raw/ is one: the gateway answers 404"),
        ("/slash", "but /slash/ is one: the gateway redirects to it"),
    ],
)
def test_explain_says_that_no_route_matches(good: Path, route: str, words: str) -> None:
    code, said = explained(good, "", route=route, env=os.environ | {"COLUMNS": "400"})
    assert code == 2
    assert words in said


def test_explain_fits_80_columns(good: Path, issuer: Issuer) -> None:
    ended = jwtgate("explain", str(good), "-", "-r", "/raw/", input=issuer.token(), env=in_80_columns())
    assert max(map(len, ended.stdout.splitlines())) <= 80


# Parts of their own


@pytest.fixture
def parts(good: Path, nginx: Path) -> Iterator[str]:
    """`jwtgate validator`, and an NGINX of one's own with what `jwtgate render` printed; its address."""
    with Process("validator", str(good), "--run-dir", "run", ready="validators listen in") as validator:
        run_dir = validator.work / "run"
        output = validator.work / "nginx.conf"
        rendered = jwtgate(
            "render", str(good), "--nginx", str(nginx), "--run-dir", str(run_dir), "-o", str(output)
        )
        assert rendered.returncode == 0, rendered.stderr
        process = subprocess.Popen([nginx, "-e", "stderr", "-p", validator.work, "-c", output])
        address = re.findall(r"listen (127\.0\.0\.1:\d+)", output.read_text())[0]
        try:
            wait_until(lambda: answers(address))
            yield address
        finally:
            process.terminate()
            process.wait(10)
        sockets = run_dir / "sockets"
        assert validator.stop() == 0
        assert sockets.is_dir(), "an NGINX that we did not start is using it"
        assert "Traceback" not in validator.said


def answers(address: str) -> bool:
    try:
        connect(address).close()
    except OSError:
        return False
    return True


def test_validators_and_an_nginx_of_ones_own_work_together(parts: str, issuer: Issuer) -> None:
    allowed = request(parts, "/raw/x", token=issuer.token())
    assert allowed.status == 200
    assert dict(allowed.json()["headers"])["x-user"] == "alice"
    assert request(parts, "/raw/x", token=issuer.token(exp=1)).status == 401
    assert request(parts, "/raw/x").status == 401
    assert request(parts, "/public/x").status == 200


def test_two_gateways_cannot_share_a_run_dir(good: Path, nginx: Path) -> None:
    with Process("validator", str(good), "--run-dir", "run", ready="validators listen in") as validator:
        second = jwtgate("up", str(good), "--nginx", str(nginx), "--run-dir", str(validator.work / "run"))
        assert second.returncode == 1
        assert "a gateway is running in" in second.stderr
        assert "choose another run_dir" in second.stderr
        assert validator.stop() == 0


# signer run


def fetched(address: str, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("algorithm", ["ES256", "ES512", "EdDSA", "RS256"])
def test_the_signer_publishes_its_keys_and_gives_nobody_a_token(tmp_path: Path, algorithm: str) -> None:
    address, keys = f"127.0.0.1:{free_port()}", tmp_path / "keys"
    command = [sys.executable, "-m", "jwtgate", "signer", "run", "--issuer", "https://id.example"]
    command += ["--audience", "services", "--key-dir", str(keys), "--listen", address, "--algorithm", algorithm]
    published = []
    for _ in range(2):
        signer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: answers(address))
            status, jwks = fetched(address, "/jwk")
            assert status == 200
            assert [key["alg"] for key in jwks["keys"]] == [algorithm]
            assert fetched(address, "/.well-known/jwks.json") == (200, jwks)
            assert fetched(address, "/example-token")[0] == 404
            published.append(jwks)
        finally:
            signer.send_signal(signal.SIGINT)
            _, said = signer.communicate(timeout=20)
        assert (signer.returncode, "Traceback" in said) == (0, False)
    assert published[0] == published[1], "its key outlives it"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700


def test_a_signer_on_a_taken_port_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = jwtgate(
            *("signer", "run", "--issuer", "https://x", "--audience", "y"),
            *("--key-dir", str(tmp_path / "keys"), "--listen", address),
        )
    assert ended.returncode == 1
    assert f"cannot listen on {address}: the port is taken" in ended.stderr
    assert "Traceback" not in ended.stderr


# Starting


def test_a_taken_port_is_named(good: Path, nginx: Path, tmp_path: Path) -> None:
    address = re.findall(r"listen: (\S+)", good.read_text())[0]
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        ended = jwtgate("up", str(good), "--nginx", str(nginx), "--run-dir", str(tmp_path / "run"))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"cannot listen on {address}: the port is taken. Stop what listens there, or choose another port\n"
    )
    assert list(tmp_path.iterdir()) == []


def listens_to_signals(pid: int, _temporary: Path) -> bool:
    """Its first line has run; most of its imports are still to come."""
    found = re.search(r"SigCgt:\t(\w+)", Path(f"/proc/{pid}/status").read_text())
    return found is not None and bool(int(found[1], 16) & 1 << (signal.SIGTERM - 1))


def has_directories(_pid: int, temporary: Path) -> bool:
    return any(temporary.iterdir())


def has_children(pid: int, _temporary: Path) -> bool:
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) > 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", [listens_to_signals, has_directories, has_children])
def test_ctrl_c_during_the_start_is_no_crash_and_leaves_nothing(
    nginx: Path, tmp_path: Path, number: signal.Signals, when: Callable[[int, Path], bool]
) -> None:
    tmp_path.chmod(0o711)
    first = free_ports(4)
    process = subprocess.Popen(
        [sys.executable, "-m", "jwtgate", "demo", "--port", str(first), "--nginx", str(nginx)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path), "JWTGATE_LOG": ""},
    )
    wait_until(lambda: when(process.pid, tmp_path), interval=0.001)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    # Once the parts are being started, to end them in order is a success.
    assert (process.returncode, said.strip().splitlines()[-1:]) in (
        (1, ["interrupted"]),
        (0, ["The demo has ended; nothing is left behind."]),
    ), said
    assert "Traceback" not in said
    # Not the probe of `tempfile`, eight characters, which the signal can interrupt.
    assert [left for left in list(tmp_path.iterdir()) if len(left.name) != 8] == []
    assert not default_run_dir(f"jwtgate-demo-{first}").exists()
    for port in range(first, first + 4):
        with pytest.raises(ConnectionRefusedError):
            connect(f"127.0.0.1:{port}")
