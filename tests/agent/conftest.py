"""What tests of thinking share."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from jax import monitoring

COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compiled() -> Iterator[Callable[[], int]]:
    """How many programs XLA was asked for so far, whether or not it found them in its cache."""
    count: Counter[str] = Counter()

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        count[event] += 1

    monitoring.register_event_duration_secs_listener(listen)
    yield lambda: count[COMPILED]
    monitoring.unregister_event_duration_listener(listen)
