"""What tests need and a machine may lack."""

import os

import pytest


def absent(reason):
    """Skip the test; where ``CI`` is set, all that tests need must be there, and it fails."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
