"""What acts on a running gateway, and what it tells: a process beside NGINX and the validators.

commands  name → what it does, a table; `flush` and its like
status    what the parts of the gateway say about themselves
keys      issuers' keys, as all workers see them
revocation  status lists and the deny-list, likewise
channel   the supervisor's ear: what only the supervisor can do is asked of it here
app       the two applications: commands on a unix socket, what may be read on an address
process   the process that serves both
client    how the command line asks
"""

from jwtgate.control.channel import Channel, Order
from jwtgate.control.client import ask_gateway
from jwtgate.control.commands import COMMANDS, Command, Running
from jwtgate.control.process import ControlSettings, control_socket, run_control

__all__ = [
    "COMMANDS",
    "Channel",
    "Command",
    "ControlSettings",
    "Order",
    "Running",
    "ask_gateway",
    "control_socket",
    "run_control",
]
