#!/bin/sh
# Runs a worker, from any directory, until SIGTERM or Ctrl-C: scripts/run_worker.sh [--tasks my.module] [--help]
set -eu
checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=$checkout/.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" "$checkout/worker.py" "$@"
