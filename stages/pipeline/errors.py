"""Errors that a user can mend, as opposed to `assert`, which guards our own invariants."""


class UserError(Exception):
    """Something the user can mend. Its text is one line: what is wrong, where, and what to do about it."""


class ConfigError(UserError):
    """The configuration is not valid; the text names every fault at once."""


class DataError(UserError):
    """The data can't be used as they are; the text names the file and row, or the split."""


class HubError(UserError):
    """The Hub could not be reached, or does not hold (or show us) what was asked for."""


class ModelError(UserError):
    """A model or tokenizer can't be used as it is."""


class TrainingError(UserError):
    """Training can't go on, for example because the loss is no longer a number."""


class BusyError(UserError):
    """Another run is at work in the same folder; the text names it."""


class OutputError(UserError):
    """An output can't be written: the disk is full, or the place is not ours to write to."""
