"""jwtgate included into an nginx.conf of somebody's own: examples/included, with NGINX started as they do it."""

from __future__ import annotations

import ssl
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from jwtgate.lint import lint, read_file
from support.certificates import Authority
from support.gateway import Process, jwtgate, wait_until
from support.http import Response, request
from support.nginx import serving
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from support.backend import Backend
    from support.issuer import Issuer

EXAMPLE = Path(__file__).parents[2] / "examples" / "included"
HOST = {"Host": "shop.example"}


class House:
    """Somebody's NGINX, started from the example, with our files included or, as they had it before, without."""

    def __init__(self, nginx: Path, backend: Backend, environment: dict[str, str], *, included: bool) -> None:
        self.address, self.tls_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._directory = tempfile.TemporaryDirectory(prefix="jwtgate-test-")
        self.work = Path(self._directory.name)
        self.work.chmod(0o755)
        self.authority = Authority(self.work)
        pair = self.authority.issue("files.example")
        (self.work / "house.crt").write_bytes(pair.certificate.read_bytes())
        (self.work / "house.key").write_bytes(pair.key.read_bytes())
        (self.work / "www").mkdir()
        (self.work / "www" / "page").write_text("a page")
        text = (EXAMPLE / "nginx.conf").read_text()
        for name, value in {
            "TLS_ADDRESS": self.tls_address,
            "ADDRESS": self.address,
            "SERVICE": backend.address,
            "WORK": str(self.work),
        }.items():
            text = text.replace(name, value)
        if included:
            done = jwtgate(
                "render",
                str(EXAMPLE / "gateway.yaml"),
                *("--include", str(self.work / "jwtgate"), "--nginx", str(nginx)),
                env=environment,
            )
            assert done.returncode == 0, done.stderr
        else:
            text = "\n".join(line for line in text.splitlines() if not line.endswith("# jwtgate"))
            text = text.replace(" $jwtgate_denied", "")
        self.file = self.work / "nginx.conf"
        self.file.write_text(text)
        self._serving = serving(nginx, self.file, self.address)

    def __enter__(self) -> Self:
        self._serving.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.__exit__(kind, error, trace)
        self._directory.cleanup()

    def request(self, path: str, token: str | None = None, **headers: str) -> Response:
        """One request to the shop."""
        return request(self.address, path, token=token, headers=HOST | headers)


@pytest.fixture(scope="module")
def environment(issuer: Issuer) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="jwtgate-test-") as name:
        Path(name).chmod(0o755)
        yield {
            "JWTGATE_RUN_DIR": f"{name}/run",
            "JWTGATE_JWKS": issuer.jwks_url,
            "JWTGATE_ADMIN": "off",
            "PATH": "/usr/sbin:/usr/bin:/bin",
        }


@pytest.fixture(scope="module")
def house(nginx: Path, backend: Backend, environment: dict[str, str]) -> Iterator[House]:
    validators = Process(
        "validator", str(EXAMPLE / "gateway.yaml"), ready="validators listen in", environment=environment
    )
    with validators, House(nginx, backend, environment, included=True) as running:
        yield running


def sent(answer: Response, name: str) -> list[str]:
    """The values of a header as the service got it."""
    return [value for header, value in answer.json()["headers"] if header == name]


def test_before_it_was_included_everyone_got_through(
    nginx: Path, backend: Backend, environment: dict[str, str]
) -> None:
    with House(nginx, backend, environment, included=False) as before:
        assert before.request("/orders/1").status == 200
        assert before.request("/nowhere/status/404").text == "nothing here\n"


def test_a_protected_location_asks_for_a_token(house: House, issuer: Issuer) -> None:
    refused = house.request("/orders/1")
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="jwtgate"'
    assert refused.json()["code"] == "token_missing"
    assert house.request("/orders/1", issuer.token(exp=1)).json()["code"] == "invalid_token"
    assert house.request("/reports/1").status == 401
    allowed = house.request("/orders/1", issuer.token())
    assert allowed.status == 200
    assert sent(allowed, "x-house-rule") == ["7"]


def test_who_it_is_comes_from_the_token_alone(house: House, issuer: Issuer) -> None:
    assert sent(house.request("/orders/2", issuer.token(), **{"X-User": "root"}), "x-user") == ["alice"]
    assert sent(house.request("/reports/2", issuer.token(), **{"X-User": "root"}), "x-user") == []
    assert sent(house.request("/public/2", **{"X-User": "root"}), "x-user") == []


def test_the_cache_of_the_house_does_not_mix_callers_up(house: House, issuer: Issuer) -> None:
    for name in ("bob", "carol", "bob"):
        assert sent(house.request("/orders/same", issuer.token(sub=name)), "x-user") == [name]
    assert house.request("/orders/same").status == 401


def test_the_pages_and_caches_of_the_house_work_as_before(house: House) -> None:
    assert house.request("/nowhere/status/404").text == "nothing here\n"
    seen = house.request("/public/cached", **{"X-Visitor": "first"})
    again = house.request("/public/cached", **{"X-Visitor": "second"})
    assert sent(again, "x-visitor") == sent(seen, "x-visitor") == ["first"]
    assert again.headers["x-house"] == "yes"


def test_the_tls_server_is_protected_too(house: House, issuer: Issuer) -> None:
    context = ssl.create_default_context(cafile=house.authority.file)
    context.check_hostname = False

    def ask(path: str, token: str | None) -> int:
        headers = {"Host": "files.example"} | ({"Authorization": f"Bearer {token}"} if token else {})
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        try:
            with opener.open(
                urllib.request.Request(f"https://{house.tls_address}{path}", headers=headers)
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert ask("/orders/1", None) == 401
    assert ask("/orders/1", issuer.token()) == 200
    assert ask("/page", None) == 200


def test_the_log_of_the_house_can_say_why(house: House) -> None:
    house.request("/orders/logged", "nonsense")
    wait_until(lambda: '"GET /orders/logged" 401 token_malformed' in (house.work / "house.log").read_text())


def test_lint_has_nothing_to_say_of_the_protected_locations(house: House) -> None:
    findings = lint(read_file(house.file))
    assert [str(each) for each in findings if each.level != "note"] == []


def test_without_validators_it_stays_shut_whatever_the_house_says_of_errors(
    nginx: Path, backend: Backend, environment: dict[str, str], issuer: Issuer
) -> None:
    own = environment | {"JWTGATE_RUN_DIR": environment["JWTGATE_RUN_DIR"] + "-shut"}
    validators = Process("validator", str(EXAMPLE / "gateway.yaml"), ready="validators listen in", environment=own)
    with validators:
        shut = House(nginx, backend, own, included=True)
    with shut:
        assert [shut.request("/orders/1", token).status for token in (None, issuer.token())] == [503, 503]
        assert shut.request("/public/1").status == 200


def test_an_entry_that_is_gone_leaves_no_file(tmp_path: Path) -> None:
    text = (EXAMPLE / "gateway.yaml").read_text()
    file = tmp_path / "gateway.yaml"
    for kept in (text, text.replace("  reports: {policy: caller, staleness: 0}\n", "")):
        file.write_text(kept)
        (tmp_path / "jwtgate").mkdir(exist_ok=True)
        (tmp_path / "jwtgate" / "theirs.conf").write_text("# ours is not to touch\n")
        assert jwtgate("render", str(file), "--include", str(tmp_path / "jwtgate")).returncode == 0
    names = {each.name for each in (tmp_path / "jwtgate").iterdir()}
    assert names == {"http.conf", "server.conf", "public.conf", "orders.conf", "theirs.conf"}
    refused = jwtgate("up", str(file))
    assert refused.returncode != 0
    assert "has no routes" in refused.stderr


def test_what_only_routes_have_is_said_to_be_missing(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    routes = (
        "upstreams: {app: http://127.0.0.1:1}\n"
        "routes: [{path: /, upstream: app, policy: caller, login_redirect: 'https://login.example/?to='}]\n"
    )
    for more, said in (
        ("", ""),
        (routes, "login_redirect of these routes: an nginx.conf of your own does not get"),
    ):
        file.write_text((EXAMPLE / "gateway.yaml").read_text() + more)
        done = jwtgate("render", str(file), "--include", str(tmp_path / "jwtgate"))
        assert done.returncode == 0, done.stderr
        assert ("routes are not included" in done.stderr) == bool(more)
        assert said in done.stderr
