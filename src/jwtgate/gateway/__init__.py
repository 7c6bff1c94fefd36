"""A whole gateway on one machine: NGINX, validators, the control process and, if configured, the signer.

programs  what the supervisor keeps running
start     from a Plan to a running gateway, and to its end
running   what can be done to a running gateway: flush, reload, reopen
prepare   the next configuration, made ready in a process of its own
connection_age  no connection outlives max_connection_age
desk      where orders come in
decisions the decision cache on disk
"""

from jwtgate.gateway.start import run_gateway, run_validators

__all__ = ["run_gateway", "run_validators"]
