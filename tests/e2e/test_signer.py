"""`jwtgate signer` as people use it: a process, its commands, and OAuth clients that others wrote, unchanged."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]
from authlib.oauth2.rfc7523 import PrivateKeyJWT  # type: ignore[import-untyped]
from joserfc.jwk import ECKey
from oauthlib.oauth2 import BackendApplicationClient  # type: ignore[import-untyped]
from requests_oauthlib import OAuth2Session as RequestsOAuth2Session  # type: ignore[import-untyped]

from jwtgate.signer import opened
from support.gateway import Gateway, jwtgate, wait_until
from support.http import request
from support.ports import free_port
from support.signer import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SignerProcess:
    """`jwtgate signer run` on a free port."""

    def __init__(self, work: Path, *options: str) -> None:
        self.key_dir = work / "keys"
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self._options = options
        self._said = work / "said"

    def start(self) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "jwtgate", "signer", "run", "--issuer", self.url, "--audience", "services"),
            *("--key-dir", str(self.key_dir), "--listen", self.address, *self._options),
        ]
        with self._said.open("ab") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said)
        wait_until(lambda: process.poll() is not None or self._is_up())
        return process

    def _is_up(self) -> bool:
        try:
            return request(self.address, "/ready").status == 200
        except OSError:
            return False

    @property
    def said(self) -> str:
        return self._said.read_text()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return jwtgate("signer", *arguments, "--key-dir", str(self.key_dir))

    def add(self, name: str, *options: str) -> str:
        """Register a client; its secret, as a script reads it from standard output."""
        ended = self.command("client", "add", name, *options)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def check(self, token: str) -> dict[str, Any]:
        """The claims of a token, verified by PyJWT with the published keys."""
        keys = jwt.PyJWKSet.from_dict(request(self.address, "/jwk").json())
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=["ES256"], audience="services", issuer=self.url)
        return claims


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignerProcess]:
    running = SignerProcess(tmp_path_factory.mktemp("signer"))
    process = running.start()
    try:
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def secret(signer: SignerProcess) -> str:
    return signer.add("reports", "--scope", "read", "--scope", "write")


# Standard clients, unchanged


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """OAuthlib and Authlib want https, and have this switch for tests on loopback."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")


def metadata(signer: SignerProcess) -> dict[str, Any]:
    found: dict[str, Any] = request(signer.address, "/.well-known/openid-configuration").json()
    assert found["issuer"] == signer.url
    return found


@pytest.mark.usefixtures("plain_http")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_a_token_introspects_and_revokes_it(signer: SignerProcess, secret: str, method: str) -> None:
    endpoints = metadata(signer)
    assert method in endpoints["token_endpoint_auth_methods_supported"]
    name = f"asker-{method.rpartition('_')[2]}"
    introspecting = signer.add(name, "--introspect")
    with OAuth2Session("reports", secret, token_endpoint_auth_method=method, scope="read") as session:
        session.trust_env = False
        token = session.fetch_token(endpoints["token_endpoint"], grant_type="client_credentials")
        assert (token["token_type"], token["scope"]) == ("Bearer", "read")
        assert signer.check(token["access_token"])["client_id"] == "reports"
        with OAuth2Session(name, introspecting, token_endpoint_auth_method=method) as asking:
            asking.trust_env = False
            url = endpoints["introspection_endpoint"]
            told = asking.introspect_token(url, token["access_token"]).json()
            assert (told["active"], told["sub"]) == (True, "reports")
            session.revoke_token(endpoints["revocation_endpoint"], token["access_token"]).raise_for_status()
            assert asking.introspect_token(url, token["access_token"]).json() == {"active": False}


@pytest.mark.usefixtures("plain_http")
def test_authlib_proves_itself_by_private_key_jwt(signer: SignerProcess, tmp_path: Path) -> None:
    endpoints = metadata(signer)
    key = ECKey.generate_key("P-256")
    file = tmp_path / "keyed.jwk.json"
    file.write_text(json.dumps(key.as_dict(private=False)))
    assert signer.add("keyed", "--public-key", str(file), "--scope", "read") == ""
    with OAuth2Session("keyed", key, token_endpoint_auth_method="private_key_jwt") as session:
        session.trust_env = False
        session.register_client_auth_method(PrivateKeyJWT(endpoints["token_endpoint"], alg="ES256"))
        token = session.fetch_token(endpoints["token_endpoint"], grant_type="client_credentials")
    assert signer.check(token["access_token"])["sub"] == "keyed"


@pytest.mark.usefixtures("plain_http")
def test_requests_oauthlib_gets_a_token(signer: SignerProcess, secret: str) -> None:
    with RequestsOAuth2Session(client=BackendApplicationClient("reports", scope=["read"])) as session:
        session.trust_env = False
        token = session.fetch_token(metadata(signer)["token_endpoint"], client_id="reports", client_secret=secret)
        assert token["scope"] == ["read"]
        assert signer.check(token["access_token"])["sub"] == "reports"


# Commands


@pytest.mark.usefixtures("secret")
def test_a_script_gets_a_token_without_a_secret(signer: SignerProcess) -> None:
    ended = signer.command("token", "--client", "reports", "--scope", "read")
    assert (ended.returncode, ended.stderr) == (0, "")
    claims = signer.check(ended.stdout.strip())
    assert (claims["client_id"], claims["scope"]) == ("reports", "read")
    refused = signer.command("token", "--client", "reports", "--scope", "admin")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "invalid_scope: a scope that this client may not have\n"
    unknown = signer.command("token", "--client", "nobody")
    assert "there is no client 'nobody'" in unknown.stderr


def test_clients_are_listed_without_their_secrets(signer: SignerProcess, secret: str) -> None:
    listed = signer.command("client", "list").stdout
    assert re.search(r"^ *reports +secret +read write ", listed, re.MULTILINE)
    signer.add("caller", "--audience", "services", "--exchange-to", "ledger", "--exchange-to", "billing")
    assert re.search(
        r"^ *caller +secret +services +exchange to ledger billing ",
        signer.command("client", "list").stdout,
        re.MULTILINE,
    )
    assert secret not in listed
    assert "argon2" not in listed


def ask(signer: SignerProcess, name: str, secret: str) -> int:
    body = f"grant_type=client_credentials&client_id={name}&client_secret={secret}".encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return request(signer.address, "/token", method="POST", headers=form, body=body).status


def test_a_secret_can_be_replaced_with_an_overlap_and_a_client_removed(signer: SignerProcess) -> None:
    first = signer.add("passing")
    assert signer.command("client", "add", "passing").returncode == 1
    second = signer.command("client", "rotate-secret", "passing", "--keep-old", "1h").stdout.strip()
    assert (ask(signer, "passing", first), ask(signer, "passing", second)) == (200, 200)
    third = signer.command("client", "rotate-secret", "passing").stdout.strip()
    # The last one that was current ends at once, and the one before with it.
    assert [ask(signer, "passing", each) for each in (first, second, third)] == [401, 401, 200]
    assert signer.command("client", "remove", "passing").returncode == 0
    assert ask(signer, "passing", third) == 401
    assert "there is no client 'passing'" in signer.command("client", "remove", "passing").stderr


def kids(signer: SignerProcess) -> list[str]:
    return [key["kid"] for key in request(signer.address, "/jwk").json()["keys"]]


def test_keys_are_listed_and_rotated_under_a_running_signer(tmp_path: Path) -> None:
    signer = SignerProcess(tmp_path, "--jwks-max-age", "1s")
    process = signer.start()
    try:
        (old,) = kids(signer)
        assert re.search(rf"^ *{old} +ES256 +signing ", signer.command("keys").stdout, re.MULTILINE)
        assert [key["kid"] for key in json.loads(signer.command("keys", "--public").stdout)["keys"]] == [old]
        said = signer.command("rotate").stdout
        (new,) = re.findall(r"^(\S+) \(ES256\) is announced, and signs from ", said)
        wait_until(lambda: kids(signer) in ([old, new], [new, old]))
        wait_until(lambda: kids(signer)[0] == new)  # it signs
        said = signer.command("rotate", "--emergency", "--kid", old).stdout
        assert said.startswith(f"{old} (ES256, retiring) is gone")
        assert "What that breaks" in said
        wait_until(lambda: kids(signer) == [new])
        signer.command("rotate", "--emergency")
        wait_until(lambda: len(kids(signer)) == 1 and kids(signer) != [new])
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


WITH_SIGNER = """
issuers:
  signer:
    issuer: https://signer.example
    jwks: http://127.0.0.1:{port}/jwk
    audience: services
    algorithms: [ES256]
policies:
  caller: {{issuer: signer}}
upstreams:
  signer: [http://127.0.0.1:{port}]
routes:
  - {{path: /, upstream: signer, policy: caller}}
signer: {{issuer: https://signer.example, audience: services, listen: "127.0.0.1:{port}", key_dir: keys}}
"""


def test_a_rehearsal_asks_the_running_validators_and_changes_nothing(nginx: Path, tmp_path: Path) -> None:
    with Gateway(WITH_SIGNER.format(port=free_port()), nginx=nginx) as gateway:
        config = str(gateway.configuration)
        before = jwtgate("signer", "keys", "--config", config).stdout
        well = jwtgate("signer", "rehearse", "--config", config, "--all")
        assert (well.returncode, well.stderr) == (0, "")
        assert "which signs now: well" in well.stdout
        assert "the next ES256 key, which would sign in 330 s: well" in well.stdout
        assert jwtgate("signer", "keys", "--config", config).stdout == before
        # Somebody else's keys under the same name: the validators have not seen them.
        with opened(settings(tmp_path / "keys"), time.time()):
            pass
        ill = jwtgate("signer", "rehearse", "--key-dir", str(tmp_path / "keys"), "--run-dir", str(gateway.run_dir))
        assert ill.returncode == 1
        assert "it has not seen this key: jwtgate keys refresh" in ill.stdout
        with opened(settings(tmp_path / "others", issuer="https://other.example"), time.time()):
            pass
        other = jwtgate(
            "signer", "rehearse", "--key-dir", str(tmp_path / "others"), "--run-dir", str(gateway.run_dir)
        )
        assert other.stderr == "the running gateway does not trust the issuer https://other.example\n"
    gone = jwtgate("signer", "rehearse", "--key-dir", str(tmp_path / "keys"), "--run-dir", str(tmp_path))
    assert gone.returncode == 1
    assert "no gateway runs in" in gone.stderr


@pytest.mark.parametrize("command", [["keys"], ["rotate"], ["client", "list"], ["token", "--client", "x"]])
def test_a_mistyped_directory_is_not_made(tmp_path: Path, command: list[str]) -> None:
    missing = tmp_path / "missing"
    ended = jwtgate("signer", *command, "--key-dir", str(missing))
    assert ended.returncode == 1
    assert f"no signer's database in {missing}" in ended.stderr
    assert not missing.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--token-lifetime", "0s"], "1s at least"), (["--audience", ""], "an audience is empty")],
)
def test_a_client_that_no_token_could_be_for_is_refused(tmp_path: Path, options: list[str], message: str) -> None:
    ended = jwtgate("signer", "client", "add", "x", *options, "--key-dir", str(tmp_path / "keys"))
    assert ended.returncode == 1
    assert message in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["keys"], "which signer?"),
        (["rotate", "--config", "x", "--key-dir", "y"], "which signer?"),
        (["rotate", "--key-dir", "x", "--kid", "y"], "--kid is for --emergency"),
        (["client", "add", "x", "--database-env", "JWTGATE_NO_SUCH"], "JWTGATE_NO_SUCH holds no such URL"),
        (["run", "--issuer", "x", "--audience", "y"], "one of --key-dir and --database-env is needed"),
        (
            ["run", "--issuer", "x", "--audience", "y", "--key-dir", "z"],
            "Invalid value for --issuer: x is not a URL: write https://gateway.example.com/signer",
        ),
        (
            ["run", "--issuer", "https://x", "--audience", "y", "--key-dir", "z", "--rotation", "never"],
            "write a duration like 30d",
        ),
    ],
)
def test_a_wrong_command_line_says_what_to_write(arguments: list[str], message: str) -> None:
    ended = jwtgate("signer", *arguments)
    assert ended.returncode == 2
    assert message in " ".join(ended.stderr.replace("│", " ").split())


def test_nothing_secret_is_logged(signer: SignerProcess, secret: str) -> None:
    token = signer.command("token", "--client", "reports").stdout.strip()
    typo = "A-secret-in-the-wrong-field"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (
        f"grant_type=client_credentials&client_id={typo}&client_secret=x",
        f"grant_type=client_credentials&client_id=reports&client_secret={typo}",
        f"grant_type={typo}&client_id=reports&client_secret={secret}",
        f"token={token}&client_id=reports&client_secret={typo}",
        f"client_assertion={token}&client_assertion_type=x&grant_type=client_credentials",
    ):
        answer = request(signer.address, "/token", method="POST", headers=form, body=body.encode())
        assert answer.status in (400, 401)
        assert typo not in answer.text
    before = time.monotonic()
    wait_until(lambda: "client authentication failed" in signer.said or time.monotonic() > before + 5)
    assert "wrong secret" in signer.said
    for hidden in (typo, secret, token, "argon2", "PRIVATE KEY"):
        assert hidden not in signer.said
