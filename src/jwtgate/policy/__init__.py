"""What a request must bring beside a token that holds: a small tree of requirements, compiled once into functions.

`requirement` is the tree as a policy of the Plan holds it, `compile_requirement` makes a function of it, and
`walk` and `trace` are for those who explain: which requirement stands where, and which of them failed.
"""

from jwtgate.policy.claims import DEFAULT_CLAIM_NAMES, ClaimNames, ClaimPath, claim_at, shown_path
from jwtgate.policy.evaluate import Check, Compiled, Failure, compile_requirement, trace
from jwtgate.policy.expression import ExpressionError, check_expression
from jwtgate.policy.needs import Needs, needs_by_method, scopes_of
from jwtgate.policy.operators import OPERATORS, Operator
from jwtgate.policy.request import NO_INPUTS, NO_REQUEST, Inputs, Request
from jwtgate.policy.requirement import (
    AcrValues,
    All,
    AnyOf,
    Claim,
    Expression,
    MaxAge,
    Members,
    Methods,
    Not,
    Nothing,
    Requirement,
    Scopes,
    inputs_of,
    walk,
)
from jwtgate.policy.sources import (
    AUTHORIZATION,
    AuthorizationHeader,
    Cookie,
    Presence,
    QueryParameter,
    RequestHeader,
    TokenSource,
    WebsocketProtocol,
)
from jwtgate.policy.words import describe, found, title

__all__ = [
    "AUTHORIZATION",
    "DEFAULT_CLAIM_NAMES",
    "NO_INPUTS",
    "NO_REQUEST",
    "OPERATORS",
    "AcrValues",
    "All",
    "AnyOf",
    "AuthorizationHeader",
    "Check",
    "Claim",
    "ClaimNames",
    "ClaimPath",
    "Compiled",
    "Cookie",
    "Expression",
    "ExpressionError",
    "Failure",
    "Inputs",
    "MaxAge",
    "Members",
    "Methods",
    "Needs",
    "Not",
    "Nothing",
    "Operator",
    "Presence",
    "QueryParameter",
    "Request",
    "RequestHeader",
    "Requirement",
    "Scopes",
    "TokenSource",
    "WebsocketProtocol",
    "check_expression",
    "claim_at",
    "compile_requirement",
    "describe",
    "found",
    "inputs_of",
    "needs_by_method",
    "scopes_of",
    "shown_path",
    "title",
    "trace",
    "walk",
]
