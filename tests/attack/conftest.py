"""What no attack may cost."""

from __future__ import annotations

import resource

import pytest

MUCH_MB = 1000


def peak_mb() -> float:
    """Most memory that this process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


@pytest.fixture(autouse=True)
def little_memory():
    """Whatever a test opens takes little more than what was opened before: files that are sound are tiny."""
    before = peak_mb()
    yield
    assert peak_mb() - before < MUCH_MB
