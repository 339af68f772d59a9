#!/bin/sh
# Runs the client, from any directory: scripts/run_client.sh opens the shell, scripts/run_client.sh ADD 2 3 is one command.
set -eu
checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=$checkout/.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" "$checkout/client.py" "$@"
