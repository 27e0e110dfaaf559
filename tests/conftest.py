"""What every test shares."""

import gc
import itertools
import os
import signal

import compilation
import hypothesis
import pytest

compilation.configure()
import jax  # noqa: E402  # as the environment says now

jax.config.update("jax_numpy_rank_promotion", "raise")

# a shell makes its background jobs ignore Ctrl-C, which some tests press
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile(
    "ebmx",
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=12,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("ebmx")


def pytest_collection_finish():
    """Collect garbage more rarely: what is imported lives on, and tracing makes many objects."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture
def getkey():
    """A function that returns a fresh key at each call, the same ones in each run."""
    root, counter = jax.random.key(2006), itertools.count()
    return lambda: jax.random.fold_in(root, next(counter))


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_code():
    """Keep what modules share, such as eager operations, while there is memory for it."""
    yield
    if compilation.memory_used() > 1.2:
        jax.clear_caches()
