#!/bin/sh
# Creates the queue's topics where they do not exist, from any directory; programs do the same when they need them.
# Settings come from the environment: KAFKA_BROKER, KAFKA_PARTITIONS, KAFKA_REPLICATION, YADTQ_NAMESPACE.
# Exit codes: 0 they exist · 2 a setting cannot be used · 3 Kafka does not answer
set -eu
checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=$checkout/.venv/bin/python
[ -x "$python" ] || python=python3
PYTHONPATH=$checkout exec "$python" -c '
import sys

import yadtq

try:
    broker, _ = yadtq.create_yadtq()
except yadtq.SettingError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
try:
    broker.create_topics()
except yadtq.ServerUnreachable as error:
    print(error, file=sys.stderr)
    sys.exit(3)
finally:
    broker.close()
print(broker.keys.tasks_topic, broker.keys.events_topic, sep="\n")
'
