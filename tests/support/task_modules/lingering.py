"""Tasks that leave something behind which outlives their process."""

import subprocess
import sys
import time

from tests.support.task_modules.recorded import leave
from yadtq import current_task, task

WRITER = """
import sys, time
end = time.monotonic() + 60
while time.monotonic() < end:
    open(sys.argv[1], 'a').write(f'{time.monotonic()}\\n')
    time.sleep(0.01)
"""


@task
def leave_writer(path: str, trace: str) -> int:
    """The first time it starts a process that nothing connects with it, which writes for a minute."""
    leave(path, "begin")
    if current_task().attempt == 1:
        writer = subprocess.Popen([sys.executable, "-S", "-c", WRITER, trace], env={}, start_new_session=True)
        print("writer", writer.pid, flush=True)
        time.sleep(60)
    leave(path, "end")
    return current_task().attempt
