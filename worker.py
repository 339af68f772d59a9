"""A worker: runs tasks in child processes until SIGTERM or Ctrl-C.

python worker.py                        the tasks that come with it
python worker.py --tasks my.module      and those of my/module.py
python worker.py --help                 all settings
"""

import sys

import yadtq

if __name__ == "__main__":
    sys.exit(yadtq.run_worker(tasks="tasks"))
