"""Why a task failed. Apart from the other records, because children need it, and little else."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task failed: the exception's type and message, and the end of its traceback ('' where there is none)."""

    type: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type
