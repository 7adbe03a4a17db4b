"""What an error tells."""

import pytest

from stages.pipeline.errors import UserError


def told(error: pytest.ExceptionInfo[UserError]) -> str:
    """An error's text, which must be one line."""
    text = str(error.value)
    assert "\n" not in text
    return text
