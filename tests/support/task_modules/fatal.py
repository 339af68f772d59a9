"""No tasks: whoever imports this module ends."""

import os

os.write(2, b"the disk is on fire\n")
os._exit(7)
