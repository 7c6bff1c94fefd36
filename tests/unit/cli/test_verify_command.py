"""`jwtgate verify`: one token for people, JSON lines for corpora."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from joserfc import jwe
from joserfc.jwk import OctKey
from typer.testing import CliRunner

import jwtgate
from jwtgate.cli.verify import verify
from jwtgate.cli.verify_batch import _key_set, judge_line, run_batch
from jwtgate.keys import generate_signing_key
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from pathlib import Path

SIGNER = generate_signing_key("ES256")
JWKS: dict[str, Any] = {"keys": [SIGNER.public_jwk()]}
NOW = 1_700_000_000
TOKEN = mint({"iss": "i", "aud": "a", "sub": "ü", "exp": NOW + 60}, SIGNER)
TEXT = mint({}, SIGNER)

OPENS = OctKey.generate_key(256)
OPENS_JWK = {**OPENS.as_dict(private=True), "alg": "dir"}


def sealed(text: str) -> str:
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM", "cty": "JWT"}, text, OPENS)


SEALED = sealed(TOKEN)

APP = typer.Typer()
APP.command()(verify)


@pytest.fixture
def jwks(tmp_path: Path) -> str:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(JWKS))
    return str(path)


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    found = CliRunner().invoke(APP, list(arguments), input=stdin)
    return found.exit_code, found.stdout, found.stderr


def test_a_good_token_is_shown(jwks: str) -> None:
    code, out, _ = run("--jwks", jwks, "--alg", "ES256", "--iss", "i", "--aud", "a", "--now", str(NOW), TOKEN)
    assert code == 0
    assert json.loads(out) == {
        "header": {"alg": "ES256", "typ": "JWT", "kid": SIGNER.kid},
        "claims": {"iss": "i", "aud": "a", "sub": "ü", "exp": NOW + 60},
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--now", str(NOW + 60)], "token_expired"),
        (["--now", str(NOW), "--iss", "j"], "issuer_unknown"),
        (["--now", str(NOW), "--aud", "b"], "audience_mismatch"),
    ],
)
def test_a_denied_token_gives_its_reason_and_exit_code_1(jwks: str, arguments: list[str], reason: str) -> None:
    code, out, err = run("--jwks", jwks, "--alg", "ES256", *arguments, TOKEN)
    assert (code, out, err) == (1, "", f"denied: {reason}\n")


def test_the_token_comes_from_standard_input(jwks: str) -> None:
    assert run("--jwks", jwks, "--alg", "ES256", "--now", str(NOW), "-", stdin=TOKEN + "\n")[0] == 0


def test_the_keys_come_from_standard_input_too() -> None:
    jwk = json.dumps(JWKS["keys"][0])
    assert run("--jwks", "-", "--alg", "ES256", "--now", str(NOW), TOKEN, stdin=jwk)[0] == 0


def test_the_signature_alone_can_be_checked(jwks: str) -> None:
    assert run("--jwks", jwks, "--alg", "ES256", "--no-claims", TEXT)[0] == 0
    assert run("--jwks", jwks, "--alg", "ES256", TEXT)[0] == 1


@pytest.mark.parametrize(
    "arguments", [[], ["-"], ["--jwks", "-", "--alg", "ES256", "-"], ["--jwks", "/nowhere", "--alg", "ES256", "-"]]
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments, stdin=TOKEN)[0] == 2


@pytest.mark.parametrize("name", ["es256", "none", ""])
def test_an_algorithm_that_does_not_exist_is_a_usage_error(jwks: str, name: str) -> None:
    code, _, err = run("--jwks", jwks, "--alg", "ES256", "--alg", name, TOKEN)
    assert code == 2
    assert "is no algorithm: expected one of" in " ".join(err.replace("│", "").split())


def test_a_file_that_is_no_key_set_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    code, _, err = run("--jwks", str(file), "--alg", "ES256", TOKEN)
    assert code == 2
    assert "token:notaJWKSet" in "".join(err.replace("│", "").split())  # wherever its lines are broken


def line(**changes: object) -> bytes:
    case = {"name": "n", "token": TOKEN, "jwks": JWKS, "algs": ["ES256"], "now": NOW, **changes}
    return json.dumps({name: value for name, value in case.items() if value != "-"}).encode()


PRIVATE_JWK = {**SIGNER.public_jwk(), "d": "AAAA"}
MIXED = {"keys": [*JWKS["keys"], {"kty": "oct", "k": "AAAA"}]}


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (line(), None),
        (line(iss="i", aud="a"), None),
        (line(iss="i", aud=["x", "a"]), None),
        (line(iss="j"), "issuer_unknown"),
        (line(aud=[]), "audience_mismatch"),
        (line(now=NOW + 60), "token_expired"),
        (line(now="-"), "token_expired"),
        (line(now=NOW + 60, claims=False), None),
        (line(algs=["ES384"]), "algorithm_not_allowed"),
        (line(algs=[]), "algorithm_not_allowed"),
        (line(algs=["none"], token="e30.e30."), "token_malformed"),
        (line(jwks=JWKS["keys"][0]), None),
        (line(jwks=json.dumps(JWKS)), None),
        (line(jwks=PRIVATE_JWK), None),
        (line(jwks={"keys": [PRIVATE_JWK]}), None),
        (line(jwks={"keys": []}), "key_unknown"),
        (line(jwks=MIXED), "issuer_unavailable"),
        (line(jwks='{"keys":[],"keys":[]}'), "issuer_unavailable"),
        (line(expect="allow", section="A.1"), None),
        (line(token=SEALED), "token_malformed"),
        (line(token=SEALED, decryption_key=OPENS_JWK), None),
        (line(decryption_key=OPENS_JWK), "token_malformed"),
        (line(token=TOKEN[:-1]), "token_malformed"),
    ],
)
def test_a_line_gets_its_verdict(case: bytes, reason: str | None) -> None:
    answers, judged_all = batch(case, now=NOW + 1000)
    verdict = "allow" if reason is None else "deny"
    assert answers == [{"name": "n", "verdict": verdict, "reason": reason}]
    assert judged_all


def batch(*lines: bytes, now: float = NOW) -> tuple[list[Any], bool]:
    sink = io.BytesIO()
    judged_all = run_batch(io.BytesIO(b"\n".join(lines)), sink, now)
    return [json.loads(answer) for answer in sink.getvalue().splitlines()], judged_all


def test_empty_lines_are_skipped_and_order_is_kept() -> None:
    answers, _ = batch(line(name=1), b"", b"  ", line(name=None), line(name="é"))
    assert [answer["name"] for answer in answers] == [1, None, "é"]


@pytest.mark.parametrize(
    ("bad", "name", "error"),
    [
        (b"{", None, "line 2: not a JSON object"),
        (b"[]", None, "line 2: not a JSON object"),
        (b"\xff", None, "line 2: not a JSON object"),
        (b'{"name":1,"name":2}', None, "line 2: not a JSON object, or it has a member twice"),
        (b'{"name":"n"}', "n", "line 2: Object missing required field `token`"),
        (line(token="-"), "n", "line 2: Object missing required field `token`"),
        (line(jwks="-"), "n", "line 2: Object missing required field `jwks`"),
        (line(algs="-"), "n", "line 2: Object missing required field `algs`"),
        (line(token=7), "n", "line 2: Expected `str`, got `int` - at `$.token`"),
        (line(jwks=7), "n", "line 2: Expected a JWK Set or a JWK - at `$.jwks`"),
        (line(jwks=None), "n", "line 2: Expected a JWK Set or a JWK - at `$.jwks`"),
        (line(algs="ES256"), "n", "line 2: Expected `array`, got `str` - at `$.algs`"),
        (line(algs=["ES256", 1]), "n", "line 2: Expected `str`, got `int` - at `$.algs[1]`"),
        (line(now="1"), "n", "line 2: Expected `float | null`, got `str` - at `$.now`"),
        (line(now=True), "n", "line 2: Expected `float | null`, got `bool` - at `$.now`"),
        (line(iss=["i"]), "n", "line 2: Expected `str | null`, got `array` - at `$.iss`"),
        (line(aud=[1]), "n", "line 2: Expected `str`, got `int` - at `$.aud[0]`"),
        (line(claims="false"), "n", "line 2: Expected `bool`, got `str` - at `$.claims`"),
        (line(decryption_key={"kty": "oct"}), "n", "line 2: decryption_key: alg of a decryption key"),
    ],
)
def test_a_line_that_cannot_be_judged_stops_no_other(bad: bytes, name: object, error: str) -> None:
    answers, judged_all = batch(line(), bad, line(now=NOW + 60))
    assert [answer["reason"] for answer in answers] == [None, "input_invalid", "token_expired"]
    assert (answers[1]["name"], answers[1]["verdict"]) == (name, "deny")
    assert error in answers[1]["error"]
    assert not judged_all


def test_a_key_set_that_is_seen_again_is_not_read_again() -> None:
    judge_line(line(), NOW)
    kept = _key_set.cache_info()
    judge_line(line(name="another"), NOW)
    assert _key_set.cache_info().hits == kept.hits + 1


def test_batch_reads_standard_input() -> None:
    code, out, _ = run("--batch", stdin=line().decode() + "\n" + line(name="o").decode())
    assert (code, len(out.splitlines())) == (0, 2)


@pytest.mark.parametrize("data", ["{", "[]", '{"name":1,"name":2}'])
def test_a_line_that_cannot_be_judged_is_exit_code_2_at_the_end(data: str) -> None:
    code, out, _ = run("--batch", stdin=data + "\n" + line().decode())
    assert (code, len(out.splitlines())) == (2, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(TOKEN, 0), (json.dumps({"iss": "i"}), 1)],
    ids=["a signed token inside", "claims inside"],
)
def test_an_encrypted_token_is_worth_what_is_inside(jwks: str, tmp_path: Path, text: str, expected: int) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(OPENS_JWK))
    common = ("--jwks", jwks, "--alg", "ES256", "--now", str(NOW))
    assert run(*common, "--decryption-key", str(key), sealed(text))[0] == expected
    assert run(*common, sealed(text))[0] == 1


def test_the_public_api_opens_encrypted_tokens() -> None:
    key = jwtgate.import_decryption_key(OPENS_JWK)
    assert jwtgate.decrypt(sealed(TOKEN), key) == TOKEN
    with pytest.raises(AttributeError):
        _ = jwtgate.nothing  # type: ignore[attr-defined]  # what is not there is what is tested


def test_a_time_that_is_no_number_is_a_usage_error(jwks: str) -> None:
    code, out, _ = run("--jwks", jwks, "--alg", "ES256", "--now", "nan", TOKEN)
    assert (code, out) == (2, "")
