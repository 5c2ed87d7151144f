"""The one exception that is a message to the user, not a bug."""


class InputError(ValueError):
    """Bad configuration, data or artifact; the message names file or key, and the remedy.

    ``python -m fedsieve`` prints it without a traceback and exits with 1.
    """
