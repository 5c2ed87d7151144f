"""The one exception that is a message to the user, not a bug, and checks that raise it."""

from typing import Any


class InputError(ValueError):
    """Bad configuration, data or artifact; the message names file or key, and the remedy.

    ``python -m fedsieve`` prints it without a traceback and exits with 1.
    """


def wrong(where: object, key: str, found: str, wanted: str) -> InputError:
    """Say what a key of a file holds, or a function of a plug-in returned, and what was wanted."""
    return InputError(f"{where}: {key}: found {found}, wanted {wanted}")


def check_share(parameter: str, value: object) -> None:
    """Raise InputError unless ``value`` lies in [0, 1]."""
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{parameter}: {value!r} is no fraction; give a number from 0 to 1")


def check_count(parameter: str, value: object, least: int) -> None:
    """Raise InputError unless ``value`` is a whole number of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{parameter}: {value!r} is no whole number of at least {least}")


def check_single_label(method: str, labels: Any) -> None:
    """Raise InputError unless ``labels`` is a vector, one label per sample."""
    if labels.ndim != 1:
        raise InputError(f"{method} needs one label per sample (labels: single)")
