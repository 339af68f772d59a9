"""How long a worker that died stays down: not at all the first time, longer and longer when it keeps dying."""

from dataclasses import dataclass

FIRST_SECONDS = 1.0  # of the second death in a row; doubled with each one
MOST_SECONDS = 60.0
WRONG_USE_SECONDS = 30.0  # it cannot run at all with these settings: a person must do something
MOST_WRONG_USE_SECONDS = 300.0
STEADY_SECONDS = 60.0  # who lived for so long has begun anew
WRONG_USE = 2  # exit code of our programs


@dataclass(frozen=True, slots=True)
class Backoff:
    """Deaths in a row. `after` a death tells the pause before the next start."""

    deaths: int = 0

    def after(self, lived_seconds: float, exit_code: int) -> tuple["Backoff", float]:
        """What is known after a death, and seconds until the next start."""
        deaths = 1 if lived_seconds >= STEADY_SECONDS else self.deaths + 1
        doubled = 2.0 ** min(deaths - 2, 30)
        if exit_code == WRONG_USE:
            return Backoff(deaths), min(WRONG_USE_SECONDS * 2 * doubled, MOST_WRONG_USE_SECONDS)
        return Backoff(deaths), min(FIRST_SECONDS * doubled, MOST_SECONDS) if deaths > 1 else 0.0
