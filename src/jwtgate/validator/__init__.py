"""The process that answers NGINX's `auth_request`.

extract    headers → credential
app        one request, one decision
respond    decision → what NGINX understands
deny_file  what the operator denies, watched
shadows    policies that are tried and not enforced
measured   how long decisions take
server     HTTP over a unix socket, as much of it as NGINX speaks
room       whether NGINX may cache another decision
worker     one process with one socket
"""

from jwtgate.validator.deny_file import DeniedAnswer, RevocationAnswer
from jwtgate.validator.extract import parse_authorization
from jwtgate.validator.measured import BOUNDS, Measurements, ShadowCount
from jwtgate.validator.room import used_bytes
from jwtgate.validator.worker import (
    DENIED_PATH,
    KEYS_PATH,
    METRICS_PATH,
    READY_PATH,
    REFRESH_PATIENCE,
    REVOCATION_PATH,
    WorkerSettings,
    listen,
    run_worker,
)

__all__ = [
    "BOUNDS",
    "DENIED_PATH",
    "KEYS_PATH",
    "METRICS_PATH",
    "READY_PATH",
    "REFRESH_PATIENCE",
    "REVOCATION_PATH",
    "DeniedAnswer",
    "Measurements",
    "RevocationAnswer",
    "ShadowCount",
    "WorkerSettings",
    "listen",
    "parse_authorization",
    "run_worker",
    "used_bytes",
]
