"""Each public function under strict promotion, and with data of single precision in a program of
double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from signatures import calls

from ebmx.energies import Gaussian
from ebmx.evaluation import diagnose
from ebmx.samplers import AbstractSampler, ReplicaExchange, StepInfo

CALLS = {name: call for name, call in calls().items() if name.startswith("evaluation.")}


class Shift(AbstractSampler):
    """A step that compiles at once; kernels of BlackJAX have tests of their own."""

    step_size: float = 0.1
    is_invariant: bool = True

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        half = jnp.full((), 0.5, x.dtype)
        noise = jax.random.normal(key, x.shape, x.dtype)
        return x + half * noise, state, StepInfo(half, None, half, jnp.zeros((), bool))


def call(name):
    moves = {"sampler": Shift()} if "sampler" in CALLS[name].kinds else {}
    if name == "evaluation.log_z_by_tempering":
        base = Gaussian(np.zeros(2), 2.0)
        moves = {"sampler": ReplicaExchange(Shift(), np.array([1.0, np.inf]), base=base)}
    return CALLS[name](**moves)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CALLS)
def test_no_function_needs_promotion(name):
    with jax.numpy_dtype_promotion("strict"):
        assert call(name) is not None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CALLS)
def test_functions_take_single_precision_where_the_default_is_double(name):
    with jax.enable_x64(), jax.numpy_dtype_promotion("strict"):
        assert call(name) is not None


@pytest.mark.medium
def test_chains_are_diagnosed_equally_in_both_precisions():
    x = np.random.default_rng(0).normal(size=(8, 400, 2)).astype(np.float32)
    with jax.enable_x64():
        found = diagnose(x, warn=False)
    np.testing.assert_allclose(found.rhat, diagnose(x, warn=False).rhat, rtol=1e-5)
