"""The cosine schedule, against that of optax, also where its length is traced."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ebmx.training import cosine_schedule

COUNTS = jnp.arange(30)


def test_without_warmup_it_is_the_schedule_of_optax():
    ours, theirs = cosine_schedule(0.3, 20), optax.cosine_decay_schedule(0.3, 20)
    np.testing.assert_allclose(ours(COUNTS), theirs(COUNTS), rtol=1e-5, atol=1e-8)
    assert float(ours(0)) == np.float32(0.3)
    assert float(ours(20)) == float(ours(29)) == 0


def test_it_rises_linearly_and_falls_from_the_peak():
    rates = np.asarray(cosine_schedule(2.0, 24, num_warmup_steps=4)(COUNTS))
    np.testing.assert_allclose(rates[:5], [0.4, 0.8, 1.2, 1.6, 2.0], rtol=1e-6)
    np.testing.assert_allclose(rates[4:], cosine_schedule(2.0, 20)(COUNTS[:26]), atol=1e-6)


def test_another_length_compiles_nothing_again():
    traces = []

    @jax.jit
    def rate(num_steps):
        traces.append(1)
        return cosine_schedule(1.0, num_steps)(10)

    found = [float(rate(jnp.asarray(num))) for num in (20, 40)]
    np.testing.assert_allclose(found, [0.5, 0.5 * (1 + np.sqrt(0.5))], rtol=1e-5)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: cosine_schedule(0.0, 5), r"peak=0\.0: give a finite number above 0"),
        (lambda: cosine_schedule(0.1, 0), "num_steps=0: give a finite number above 0"),
        (lambda: cosine_schedule(0.1, 5, -1), "num_warmup_steps=-1: give a Python integer"),
    ],
)
def test_numbers_out_of_range_are_refused(call, match):
    with pytest.raises(ValueError, match=f"^{match}"):
        call()
