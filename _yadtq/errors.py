"""Everything that YADTQ raises. Each says what happened, to what, and what to do now.

YadtqError
├── UsageError                 the caller's mistake: a wrong argument, setting or handler
│   ├── BadArguments           arguments that JSON cannot hold, or too many bytes
│   ├── BadHandler             a task function that a child process could not import
│   ├── NotInMain              a worker was started while its own script was being imported
│   └── SettingError           a setting that cannot be used
├── ServerUnreachable          Kafka or Redis does not answer, refuses the password, or is not ready
├── SubmissionRefused          the task was not accepted, and never runs
│   ├── TaskIdConflict         the id belongs to another task
│   └── QueueFull              the outbox is at its bound: nobody relays events
├── SubmissionUnknown          nobody can say whether the task was accepted; submit again under the same id
├── TaskNotFound               no task has this id
├── AmbiguousId                several tasks begin with this prefix
├── NotRetryable               only a task that failed can be retried
├── WaitTimeout                the task had not ended in time; it goes on
├── ProtocolTooNew             a newer YADTQ wrote this queue
├── QueueMissing               Redis has no queue, but Kafka remembers one
├── RedisRestarted             Redis was restarted, and its queue is being compared with the event log
└── InQuarantine, LeaseLapsed, OutboxFull, Outdated, StaleTake     between our programs and the queue
"""


class YadtqError(Exception):
    """The root of all errors of YADTQ."""

    nothing_changed = False  # a server has answered that it did nothing: no other try can have done it


class UsageError(YadtqError, ValueError):
    """The caller's mistake: nothing was written."""


class BadArguments(UsageError):
    """Arguments that JSON cannot hold, or that are larger than a message may be."""


class BadHandler(UsageError):
    """A task function that a child process could not import by its name."""


class NotInMain(UsageError):
    """A worker was started while its own script was being imported by a child."""


class SettingError(UsageError):
    """A setting that cannot be used."""


class ServerUnreachable(YadtqError, ConnectionError):
    """Kafka or Redis cannot be used now. `server` names which: 'kafka' or 'redis'."""

    def __init__(self, server: str, message: str) -> None:
        super().__init__(message)
        self.server = server


class SubmissionRefused(YadtqError):
    """The task was not accepted and never runs. `task_id` is the id that it would have had."""

    LINE = "task {id} was not accepted and never runs: {reason}"

    def __init__(self, task_id: str, message: str) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.accepted: list[str] = []  # by submit_many: the ids that were accepted all the same

    @classmethod
    def about(cls, task_id: str, reason: object = "") -> "SubmissionRefused":
        """The error for this task, in its own words."""
        return cls(task_id, cls.LINE.format(id=task_id, reason=reason))


class TaskIdConflict(SubmissionRefused):
    """Another task, with other content, has this id."""

    LINE = "the id {id} belongs to another task: choose another one"


class QueueFull(SubmissionRefused):
    """The event outbox is at its bound; submissions are refused until a relay sends it to Kafka."""

    LINE = (
        "task {id} was not accepted and never runs: too many events wait in Redis for Kafka; "
        "start a worker, which sends them, or look at Kafka"
    )


class SubmissionUnknown(YadtqError):
    """Whether the task was accepted is not known. Submit it again under `task_id`: it is the same task."""

    LINE = "whether task {id} was accepted is not known ({reason}): submit it again under this id"

    def __init__(self, task_id: str, message: str) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.accepted: list[str] = []  # by submit_many: the ids that were accepted all the same

    @classmethod
    def about(cls, task_id: str, reason: object = "") -> "SubmissionUnknown":
        """The error for this task, in its own words."""
        return cls(task_id, cls.LINE.format(id=task_id, reason=reason))


class TaskNotFound(YadtqError, LookupError):
    """No task has this id (it never existed, was reset, or its result's life time is over)."""


class AmbiguousId(YadtqError, LookupError):
    """Several tasks begin with this prefix. `matches` holds up to ten of their ids."""

    def __init__(self, prefix: str, matches: list[str]) -> None:
        super().__init__(f"{prefix!r} begins {len(matches)} or more ids ({', '.join(matches[:3])}, …); type more of it")
        self.matches = matches


class NotRetryable(YadtqError):
    """Only a task whose status is failed can be retried."""


class WaitTimeout(YadtqError, TimeoutError):
    """The task had not ended in time. It goes on; wait again or look later."""


class ProtocolTooNew(YadtqError):
    """A newer YADTQ wrote this queue; this program only reads it. Update this program."""


class QueueMissing(YadtqError):
    """Redis has no queue of this namespace, but Kafka's event log remembers one."""


class LeaseLapsed(YadtqError):
    """This incarnation's lease is over: it owns nothing any more, and must start anew as another one."""


class OutboxFull(YadtqError):
    """The event outbox is at its bound: nothing new is registered or taken until a relay has sent it to Kafka."""


class StaleTake(YadtqError):
    """A later take of the same worker has run already."""


class RedisRestarted(YadtqError):
    """Redis was restarted, or another server took its place: nothing is read or written until it has been led back."""


class InQuarantine(YadtqError):
    """Redis was led back; nothing is handed out or settled until every worker has said what it holds."""


class Outdated(YadtqError):
    """Another process leads Redis back, or did so since this one last asked."""
