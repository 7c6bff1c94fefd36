"""The token issuer: a small authorization server for services (OAuth 2.0), and the life of its keys.

run.py            the process
app.py            the endpoints
forms.py, authentication.py, grants.py, issue.py, token_state.py, oauth_errors.py
                  a request's way: form → client → grant → token, or a refusal
metadata.py       discovery
ring.py           the keys as the endpoints see them
key_store.py      the keys in the database (their life: jwtgate.keys.lifecycle)
clients.py, secret_hashes.py, attempts.py
                  clients and their secrets
status.py, status_publication.py
                  status list indexes, revocation, and the list as everybody may read it
store.py, tables.py, migrations/
                  the database
passphrase.py, private_files.py
                  what keeps private keys private
"""

from __future__ import annotations

from jwtgate.signer.app import create_app
from jwtgate.signer.run import opened, run

__all__ = ["create_app", "opened", "run"]
