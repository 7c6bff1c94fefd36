"""What is measured: our gateway, and what people would use instead.

Every system serves `/public/` without authentication, and for each algorithm a path of its name (`/es256/`) that
wants a token with a good signature, the right `iss` and `aud`, and an `exp` to come. Each passes `sub` on to the
service as X-User, has one core, and writes no access log.
"""

from __future__ import annotations

from bench.systems import envoy, haproxy, jwtgate, nginx
from bench.systems.setting import AUDIENCE, Running, Setting, issuer_of

# Each takes a Setting and is a context manager that yields a Running.
SYSTEMS = {
    "nginx": nginx.plain,
    "nginx-1.31": nginx.plain_packaged,
    "jwtgate": jwtgate.gateway,
    "jwtgate-1.31": jwtgate.gateway_packaged,
    "c-module": nginx.c_module,
    "njs": nginx.njs,
    "envoy": envoy.envoy,
    "envoy-cache": envoy.envoy_with_cache,
    "envoy-large-cache": envoy.envoy_with_large_cache,
    "haproxy": haproxy.haproxy,
}

TITLES = {
    "nginx": "plain NGINX",
    "nginx-1.31": "plain NGINX 1.31",
    "jwtgate": "jwtgate",
    "jwtgate-1.31": "jwtgate on NGINX 1.31",
    "c-module": "C module on NGINX 1.31",
    "njs": "njs on NGINX 1.31",
    "envoy": "Envoy",
    "envoy-cache": "Envoy with its JWT cache",
    "envoy-large-cache": "Envoy with a JWT cache for 25,000",
    "haproxy": "HAProxy",
}

__all__ = ["AUDIENCE", "SYSTEMS", "TITLES", "Running", "Setting", "issuer_of"]
