"""CEL in policies: what it may say, what it reads, what an error does."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jwtgate.policy import (
    All,
    AnyOf,
    ExpressionError,
    Failure,
    Inputs,
    Not,
    Request,
    check_expression,
    compile_requirement,
    inputs_of,
)
from jwtgate.policy.expression import compile_expression
from jwtgate.policy.requirement import Expression, Nothing
from jwtgate.reasons import Reason

NOW = 1_000_000.9
REQUEST = Request("POST", "/orders/acme/1", "shop.example", {"x-tenant": "acme"})

# expression, claims, what it says; None: an error
SAID: dict[str, tuple[str, dict[str, Any], bool | None]] = {
    "a claim": ("claims.level > 3", {"level": 4}, True),
    "not so": ("claims.level > 3", {"level": 3}, False),
    "absent": ("claims.level > 3", {}, None),
    "asked whether it is there": ("has(claims.level) && claims.level > 3", {}, False),
    "of another type": ("claims.level > 3", {"level": "4"}, None),
    "true itself": ("claims.admin", {"admin": True}, True),
    "not a truth value": ("claims.admin", {"admin": 1}, None),
    "a text that is no truth value": ("claims.admin", {"admin": "true"}, None),
    "an error that does not matter": ("claims.absent || true", {}, True),
    "a number is compared across types": ("claims.n == 1.0", {"n": 1}, True),
    "true is no number": ("claims.n == 1", {"n": True}, False),
    "a list": ("claims.roles.exists(role, role.startsWith('shop-'))", {"roles": ["a", "shop-b"]}, True),
    "claims by index": ("claims['https://a.example/x'] == 'y'", {"https://a.example/x": "y"}, True),
    "claims as a whole": ("claims.exists(name, name == 'x')", {"x": 1}, True),
    "method": ("request.method == 'POST'", {}, True),
    "path": ("request.path.startsWith('/orders/' + claims.tenant + '/')", {"tenant": "acme"}, True),
    "host": ("request.host == 'shop.example'", {}, True),
    "header": ("request.headers['x-tenant'] == claims.tenant", {"tenant": "acme"}, True),
    "a header that was not sent is empty": ("request.headers['x-other'] == ''", {}, True),
    "now is whole seconds": ("now == timestamp(1000000)", {}, True),
    "now and a claim": ("now - timestamp(claims.auth_time) < duration('1h')", {"auth_time": 999_000}, True),
    "matches finds": ("claims.a.matches('b+')", {"a": "abbc"}, True),
    "a pattern from a claim that RE2 refuses": ("'a'.matches(claims.p)", {"p": "("}, None),
    "a number that CEL has not": ("claims.n == 1", {"n": 10**40}, None),
    "a number that CEL has not, elsewhere": ("claims.a == 1", {"a": 1, "n": 10**40}, True),
    "text that is no Unicode": ("claims.a == 'x'", {"a": "\ud800"}, None),
    "a byte that is no UTF-8": ("claims.a != 'x'", {"a": "\udcff"}, None),
}


@pytest.mark.parametrize(("text", "claims", "said"), SAID.values(), ids=SAID.keys())
def test_an_expression_says(text: str, claims: dict[str, Any], said: bool | None) -> None:
    assert compile_expression(text)(claims, REQUEST, NOW) is said


@pytest.mark.parametrize("now", [float("nan"), float("inf"), 1e300, -1e300])
def test_a_clock_that_is_no_time_is_an_error(now: float) -> None:
    assert compile_expression("now > timestamp(0)")({}, REQUEST, now) is None


READS: dict[str, tuple[Inputs, tuple[str, ...] | None, bool]] = {
    "claims.a == 1": (Inputs(), ("a",), False),
    "claims.a.b.c == claims['d']": (Inputs(), ("a", "d"), False),
    "claims[claims.a] == 1": (Inputs(), None, False),
    "size(claims) > 1": (Inputs(), None, False),
    "has(claims.a.b)": (Inputs(), ("a",), False),
    "request.method == 'GET'": (Inputs(method=True), (), False),
    "request.path == request.host": (Inputs(path=True, host=True), (), False),
    "[1].exists(i, [request.path, 'a'][i] == 'x')": (Inputs(path=True), (), False),
    "{'a': request.host}['a'] == 'x'": (Inputs(host=True), (), False),
    "claims.a ? request.method == 'A' : now > timestamp(0)": (Inputs(method=True), ("a",), True),
    "request.headers['x-b'] + request.headers['a'] == ''": (Inputs(headers=("a", "x-b")), (), False),
}


@pytest.mark.parametrize("text", READS)
def test_what_an_expression_reads_is_known(text: str) -> None:
    reads = check_expression(text)
    assert (reads.inputs, reads.claims, reads.now) == READS[text]


REFUSED = {
    "claims.a ==": ("Syntax error", 1, 12),
    "true &&\n  nothing": ("undeclared reference to 'nothing'", 2, 3),
    "request.method + 1 == 'a'": ("no matching overload", 1, 16),
    "1 + 1": ("type int", 0, 0),
    "'a'": ("type string", 0, 0),
    "claims.a.matches('(')": ("missing )", 1, 18),
    "true &&\n matches(claims.a, r'\\1')": ("invalid escape", 2, 20),
    "request.headers[claims.h] == ''": ("must be a text that stands here", 1, 23),
    "request.headers['a' + 'b'] == ''": ("must be a text that stands here", 1, 21),
    "request.headers['A'] == ''": ("lower case", 1, 17),
    "request.headers == {}": ("one by one", 1, 8),
    "request.headers.all(h, true)": ("one by one", 1, 8),
}


@pytest.mark.parametrize("text", REFUSED)
def test_an_expression_is_refused_with_its_place(text: str) -> None:
    what, line, column = REFUSED[text]
    with pytest.raises(ExpressionError, match=re.escape(what)) as caught:
        check_expression(text)
    assert (caught.value.line, caught.value.column) == (line, column)


BROKEN = Expression("cel", "claims.absent > 1")


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        (BROKEN, Reason.POLICY_ERROR),
        (Not("not", BROKEN), Reason.POLICY_ERROR),
        (Not("not", Not("not.not", BROKEN)), Reason.POLICY_ERROR),
        (All("all", (Nothing("all[0]"), BROKEN)), Reason.POLICY_ERROR),
        (AnyOf("any", (BROKEN, Expression("any[1]", "false"))), Reason.POLICY_ERROR),
        (AnyOf("any", (BROKEN, Nothing("any[1]"))), None),
        (Not("not", AnyOf("any", (BROKEN, Expression("any[1]", "false")))), Reason.POLICY_ERROR),
        (Expression("cel", "false"), Reason.REQUIREMENT_FAILED),
    ],
)
def test_an_error_never_lets_anything_through(requirement: Any, reason: Reason | None) -> None:
    failure = compile_requirement(requirement).check({}, REQUEST, NOW)
    assert (failure and failure.reason) == reason


READS_HEADER = Expression("cel", "request.headers['x-tenant'] != 'acme'")


@pytest.mark.parametrize(
    "requirement",
    [
        READS_HEADER,
        Not("not", READS_HEADER),
        All("all", (Nothing("all[0]"), READS_HEADER)),
        AnyOf("any", (READS_HEADER, Expression("any[1]", "false"))),
        Not("not", AnyOf("any", (READS_HEADER, Expression("any[1]", "false")))),
    ],
)
@pytest.mark.parametrize("octets", ["\udcff", "acme\udce9"])
def test_bytes_that_are_no_text_are_the_clients_mistake_and_let_nothing_through(
    requirement: Any, octets: str
) -> None:
    check = compile_requirement(requirement).check
    failure = check({}, Request(headers={"x-tenant": octets}), NOW)
    assert failure is not None
    assert failure.reason is Reason.HEADER_INVALID
    # What a policy gets wrong by itself stays its own error.
    assert compile_requirement(BROKEN).check({}, Request(headers={"x-tenant": "é"}), NOW) == Failure(
        Reason.POLICY_ERROR, "cel"
    )


def test_the_inputs_of_a_tree_are_those_of_all_its_parts() -> None:
    one = Expression("a", "request.path == ''", Inputs(path=True))
    other = Expression("b", "request.headers['x'] == ''", Inputs(headers=("x",)))
    assert inputs_of(All("", (one, Not("n", other)))) == Inputs(path=True, headers=("x",))
    assert not inputs_of(Nothing(""))
    assert not inputs_of(None)


def test_what_reads_the_time_holds_until_the_end_of_its_second() -> None:
    compiled = compile_requirement(Expression("cel", "now > timestamp(0)", reads_now=True))
    assert compiled.horizon is not None
    assert compiled.horizon({}, NOW) == 1_000_001
