"""HAProxy with jwt_verify, as its documentation shows it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK

from bench.machine import GATEWAY_CORE, free_port, running
from bench.processes import listens
from bench.systems.setting import AUDIENCE, Running, Setting, issuer_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.keys import SigningKey


@contextlib.contextmanager
def haproxy(setting: Setting) -> Iterator[Running]:
    """Every token is verified, each time."""
    directory = setting.directory("haproxy")
    address = f"127.0.0.1:{free_port()}"
    rules = ""
    for algorithm, key in setting.keys.items():
        pem = directory / f"{algorithm}.pem"
        pem.write_bytes(_public_pem(key))
        path = f"{{ path_beg /{algorithm.lower()}/ }}"
        rules += f"""
    http-request deny deny_status 401 if {path} !{{ var(txn.alg) -m str {algorithm} }}
    http-request deny deny_status 401 if {path} !{{ var(txn.iss) -m str {issuer_of(algorithm)} }}
    http-request deny deny_status 401 if {path} !{{ var(txn.token),jwt_verify({algorithm},"{pem}") -m int 1 }}"""
    configuration = directory / "haproxy.cfg"
    configuration.write_text(f"""
global
    nbthread 1
    maxconn 4096
    tune.bufsize 32768
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
    option http-keep-alive
frontend gateway
    bind {address}
    acl public path_beg /public/
    http-request set-var(txn.token) http_auth_bearer unless public
    http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg') unless public
    http-request set-var(txn.iss) var(txn.token),jwt_payload_query('$.iss') unless public
    http-request set-var(txn.aud) var(txn.token),jwt_payload_query('$.aud') unless public
    http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int') unless public
    http-request set-var(txn.now) date() unless public
    http-request deny deny_status 401 unless public || {{ var(txn.aud) -m str {AUDIENCE} }}
    http-request deny deny_status 401 if !public {{ var(txn.exp),sub(txn.now) -m int le 0 }}{rules}
    http-request set-header X-User %[var(txn.token),jwt_payload_query('$.sub')] unless public
    http-request set-header X-Forwarded-For %[src]
    default_backend service
backend service
    server service {setting.service} maxconn 1024
""")
    log = directory / "log"
    with running(
        ["haproxy", "-f", str(configuration)], GATEWAY_CORE, log, lambda pid: listens(pid, address)
    ) as process:
        yield Running(address, process.pid)


def _public_pem(key: SigningKey) -> bytes:
    """The public half of a key as HAProxy reads it: SubjectPublicKeyInfo, PEM."""
    pem: bytes = PyJWK(key.public_jwk()).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem
