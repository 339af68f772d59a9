"""The right to begin: the numbers of jobs, in a pipe from a pool to one child.

A job's payload only says what to do; the child begins it when it has read the job's number here, one at a time. The
pool can read there too, and takes back what the child has not read. Who reads a number has it: child or pool, never
both. A pipe is written whole or not at all up to PIPE_BUF bytes, so no number is ever torn.
"""

import os
import select
import struct
from collections.abc import Sequence

_NUMBER = struct.Struct("<Q")
MOST_NUMBERS = select.PIPE_BUF // _NUMBER.size
_PIPE_BYTES = 65536


class Starts:
    """The pool's side. Never waits."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._far, self._writing = os.pipe2(os.O_CLOEXEC)
        try:
            # Opened anew: whether a copy waits for numbers would also be the child's to say, and so its handlers'.
            self._reading = os.open(f"/proc/self/fd/{self._far}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            os.close(self._far)
            os.close(self._writing)
            raise
        os.set_blocking(self._writing, False)

    @property
    def far_end(self) -> int:
        """What the child gets, until it is `handed_over`; who reads it waits."""
        return self._far

    def handed_over(self) -> None:
        """The child has its end; ours is not needed any more."""
        if self._far >= 0:
            os.close(self._far)
            self._far = -1

    def permit(self, numbers: Sequence[int]) -> bool:
        """Lets the child begin these jobs, at most MOST_NUMBERS, in this order; False when the pipe is full."""
        try:
            os.write(self._writing, struct.pack(f"<{len(numbers)}Q", *numbers))
        except OSError:
            return False
        return True

    def take_back(self) -> set[int]:
        """The numbers that the child has not read, and never will."""
        numbers: set[int] = set()
        while True:
            try:
                data = os.read(self._reading, _PIPE_BYTES)
            except BlockingIOError:
                return numbers
            numbers.update(number for (number,) in _NUMBER.iter_unpack(data))

    def close(self) -> None:
        self.handed_over()
        os.close(self._reading)
        os.close(self._writing)


class Permits:
    """The child's side. descriptor: the reading end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def next(self) -> int:
        """Waits for the number of the job that may begin now; 0 when the pool is gone."""
        return int.from_bytes(os.read(self._descriptor, _NUMBER.size), "little")
