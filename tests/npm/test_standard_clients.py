"""npm's openid-client and jose, unchanged, against our signer as a process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import ECKey

from support.gateway import Process, jwtgate
from support.npm import install, node
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = ECKey.generate_key("P-256", {"alg": "ES256", "kid": "one"})


class Signer(Process):
    """`jwtgate signer run`."""

    def __init__(self, directory: Path) -> None:
        self.keys = directory / "signer"
        self.issuer = f"http://127.0.0.1:{free_port()}"
        super().__init__(
            *("signer", "run", "--issuer", self.issuer, "--audience", "services", "--key-dir", str(self.keys)),
            *("--listen", self.issuer.removeprefix("http://")),
            ready="signing key made",
        )

    def add(self, name: str, *options: str) -> str:
        """Register a client; its secret, if it has one."""
        done = jwtgate("signer", "client", "add", name, "--key-dir", str(self.keys), *options)
        assert done.returncode == 0, done.stderr
        return max(done.stdout.split(), key=len, default="")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    install()
    with Signer(tmp_path_factory.mktemp("npm")) as running:
        yield running


@pytest.fixture(scope="module")
def client(signer: Signer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two clients, as the scripts read them: one with a secret, one with a key."""
    file = tmp_path_factory.mktemp("keys") / "public.json"
    file.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    rights = ("--scope", "read", "--scope", "write", "--audience", "services", "--audience", "https://api.example")
    secret = signer.add("batch", *rights, "--introspect")
    signer.add("keyed", *rights, "--introspect", "--public-key", str(file))
    return {"issuer": signer.issuer, "id": "batch", "secret": secret, "key": None}


METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]


@pytest.mark.parametrize("algorithm", ["oidc", "oauth2"])
@pytest.mark.parametrize("method", METHODS)
def test_discovery_client_credentials_jwks_introspection_and_revocation(
    client: dict[str, Any], method: str, algorithm: str
) -> None:
    keyed = {"id": "keyed", "key": KEY.as_dict(private=True)} if method == "private_key_jwt" else {}
    got = node("client.mjs", client | keyed | {"method": method, "algorithm": algorithm, "scope": "read"})
    assert got["issuer"] == client["issuer"]
    assert got["algorithm"] == "ES256"
    assert got["claims"]["client_id"] == (keyed.get("id") or "batch")
    assert got["claims"]["scope"] == "read"
    assert 0 < got["expires_in"] <= 3600
    assert got["bits"] == 1
    assert (got["active_before"], got["active_after"]) == (True, False)


def test_a_resource_becomes_the_audience(client: dict[str, Any]) -> None:
    given = {"method": "client_secret_basic", "algorithm": "oauth2", "resource": "https://api.example"}
    assert node("client.mjs", client | given)["claims"]["aud"] == "https://api.example"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"secret": "wrong"}, {"status": 401, "error": "basic"}),
        ({"id": "nobody"}, {"status": 401, "error": "basic"}),
        ({"scope": "everything"}, {"status": 400, "error": "invalid_scope"}),
    ],
    ids=["a wrong secret", "an unknown client", "a scope that was not granted"],
)
def test_a_refusal_is_understood(
    client: dict[str, Any], changes: dict[str, str], expected: dict[str, Any]
) -> None:
    got = node("refused.mjs", client | changes)
    assert got["name"] is not None
    assert {name: got[name] for name in expected} == expected
