"""What acts on a running gateway, and what it tells: a process beside NGINX and the validators.

protocol  what both ends of the control socket know: where it is, what can be asked, how long that may take
commands  name → what it does, a table; `flush` and its like
status    what the parts of the gateway say about themselves
keys      issuers' keys, as all workers see them
revocation  status lists and the deny-list, likewise
channel   the supervisor's ear: what only the supervisor can do is asked of it here
app       the two applications: commands on a unix socket, what may be read on an address
process   the process that serves both
client    how the command line asks

This file imports nothing: those who ask need none of what answers.
"""
