"""Errors that a user can mend. `assert` is for our own invariants."""


class UserError(Exception):
    """Base class of errors that the user can mend. The text is one line: what is wrong, where, and what to do about it."""


class ConfigError(UserError):
    """The configuration is not valid. The text names every fault at once."""


class DataError(UserError):
    """The data can't be used as they are. The text names the file and row, or the split."""


class HubError(UserError):
    """The Hub could not be reached, or does not hold (or show us) what was asked for."""


class PushError(UserError):
    """What lies here is not to be pushed: it is not committed, or not what the commit's `dvc.lock` records."""


class ModelError(UserError):
    """A model or tokenizer can't be used as it is."""


class TrainingError(UserError):
    """Training can't go on, for example because the loss is no longer a number."""


class BusyError(UserError):
    """Another run is at work in the same folder. The text names it."""


class OutputError(UserError):
    """An output can't be written: the disk is full, or the place is not ours to write to."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its class if it has none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
