"""Policies before they decide: `jwtgate test`, a table of requests and what has to become of each; `jwtgate diff`.

table      a file of requests → `Table`, with every mistake at its place
keys       throw-away keys in place of the issuers'
run        each request through the `Authenticator`, and which requirements were seen to pass and to fail
junit      the results as CI systems read them
changes    for `jwtgate diff`: what differs between two Plans, in words
"""

from jwtgate.trial.changes import Change, changes
from jwtgate.trial.junit import junit
from jwtgate.trial.run import Coverage, Result, run
from jwtgate.trial.table import Table, read_table

__all__ = ["Change", "Coverage", "Result", "Table", "changes", "junit", "read_table", "run"]
