"""Optimisers as optax makes them, against loops written by hand with optax alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from steps import same, step, trained

import ebmx
from ebmx.energies import AbstractEnergy, ConvNet
from ebmx.samplers import Langevin
from ebmx.training import (
    CD,
    DataOnly,
    NoiseSamples,
    Trainer,
    UniformNoise,
    cosine_schedule,
    muon,
)

KEY, X = jax.random.key(0), points(8, (2,))
CURVATURE, CENTRE = np.array([1.0, 0.05, 0.3], np.float32), np.array([2.0, -1.0, 0.5], np.float32)
START = np.array([-1.0, 3.0, 1.0], np.float32)


class Points(AbstractEnergy):
    """Numbers to train, whatever `x` is."""

    shape: tuple[int, ...] = eqx.field(static=True)
    numbers: jax.Array

    def __call__(self, x):
        return jnp.sum(self.numbers) * jnp.sum(x)


def quadratic(numbers):
    return 0.5 * jnp.sum(CURVATURE * (numbers - CENTRE) ** 2)


def loss(energy, positives, negatives):
    """A quadratic, and zero times the data, which is not finite where these are not."""
    return quadratic(energy.numbers) + 0.0 * jnp.sum(positives.x), {}


def plain(rate):
    """A transformation that takes nothing but gradients."""
    init, update = optax.sgd(rate)
    return optax.GradientTransformation(init, lambda g, state, params=None: update(g, state))


plateau = optax.contrib.reduce_on_plateau
OPTIMISERS = {
    "plain": lambda: plain(0.3),
    "adam": lambda: optax.adam(0.3),
    "plateau": lambda: optax.chain(optax.sgd(2.0), plateau(0.5, patience=2, rtol=0.2)),
    "polyak": lambda: optax.polyak_sgd(),
    "momo": lambda: optax.contrib.momo(),
    "lbfgs": lambda: optax.lbfgs(memory_size=3),
    "backtracking": lambda: optax.chain(
        optax.sgd(4.0), optax.scale_by_backtracking_linesearch(max_backtracking_steps=5)
    ),
    "hyperparameters": lambda: optax.inject_hyperparams(optax.adam)(0.1),
    "several-steps": lambda: optax.MultiSteps(optax.adam(0.3), 2),
    "several-steps-as-a-pair": lambda: optax.MultiSteps(
        optax.chain(optax.sgd(1.9), plateau(0.5, patience=1, rtol=0.1)), 2
    ).gradient_transformation(),
    "sam": lambda: optax.contrib.sam(optax.sgd(0.3), optax.sgd(0.1)),
    "sam-opaque": lambda: optax.contrib.sam(optax.sgd(0.3), optax.sgd(0.1), opaque_mode=True),
}
ASKS = {
    **dict.fromkeys(["plateau", "several-steps-as-a-pair", "polyak", "momo"], ("value",)),
    **dict.fromkeys(["lbfgs", "backtracking"], ("value", "grad", "value_fn")),
    "sam-opaque": ("grad_fn",),
}


def by_hand(optim, asks, num_steps):
    """The numbers and the optimiser's state after each update."""

    @jax.jit
    def update(numbers, state):
        value, gradient = jax.value_and_grad(quadratic)(numbers)
        offered = {"value": value, "grad": gradient, "value_fn": quadratic}
        offered["grad_fn"] = lambda numbers, _: jax.grad(quadratic)(numbers)
        updates, state = optim.update(
            gradient, state, numbers, **{name: offered[name] for name in asks}
        )
        return optax.apply_updates(numbers, updates), state

    numbers = jnp.asarray(START)
    state = optim.init(numbers)
    for _ in range(num_steps):
        numbers, state = update(numbers, state)
        yield np.asarray(numbers), state


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_makes_the_updates_that_it_makes_alone(name):
    optim, traces = OPTIMISERS[name](), []

    def traced_loss(*arguments):
        traces.append(arguments)
        return loss(*arguments)

    trainer = Trainer(optim, DataOnly(), traced_loss)
    state = trainer.init(Points((2,), jnp.asarray(START)), key=KEY)
    scales, values, num_traces = [], [], []
    for numbers, opt_state in by_hand(optim, ASKS.get(name, ()), 12):
        state, metrics = step(trainer, state, X, KEY)
        np.testing.assert_allclose(state.energy.numbers, numbers, rtol=2e-5, atol=2e-5)
        values.append(float(metrics["loss"]))
        num_traces.append(len(traces))
        if name == "plateau":
            scales.append([float(s[1].scale) for s in (state.opt_state, opt_state)])
    assert int(state.skipped) == 0
    assert num_traces[0] == num_traces[-1]  # compiled once
    assert values[-1] < 0.9 * values[0]
    if name == "plateau":
        # the first coordinate jumps to and fro at a rate of 2, and no longer at half of it
        ours, theirs = zip(*scales, strict=True)
        assert ours == theirs
        assert ours[0] == 1.0 > ours[-1]


def test_the_loss_at_other_parameters_is_that_of_the_same_batch_and_negatives():
    """A line search begins at the loss and the gradient of the update."""

    def init(parameters):
        return jnp.zeros(3)

    def update(gradient, state, parameters, *, value, value_fn, **others):
        again, slope = jax.value_and_grad(value_fn)(parameters)
        error = optax.tree.norm(optax.tree.sub(slope, gradient))
        error += optax.tree.norm(optax.tree.sub(others["grad"], gradient))
        return gradient, jnp.stack([value, again, error])

    trainer = Trainer(optax.GradientTransformationExtraArgs(init, update), CD(Langevin(0.1)))
    state = trainer.init(Points((2,), jnp.asarray(START)), key=KEY)
    state, metrics = step(trainer, state, X, KEY)
    assert abs(float(metrics["loss"])) > 1e-3
    np.testing.assert_allclose(state.opt_state, [metrics["loss"], metrics["loss"], 0.0], rtol=1e-6)


@pytest.mark.parametrize("name", ["plateau", "several-steps", "lbfgs"])
def test_an_update_that_is_not_finite_is_skipped(name):
    trainer = Trainer(OPTIMISERS[name](), DataOnly(), loss)
    state = trainer.init(Points((2,), jnp.asarray(START)), key=KEY)
    state, _ = step(trainer, state, X, KEY)
    after, metrics = step(trainer, state, X.at[0, 0].set(jnp.nan), KEY)
    assert same(trained(after), trained(state))
    assert int(metrics["skipped"]) == 1


@pytest.mark.parametrize("name", ["adam", "plateau", "several-steps"])
def test_optimisers_work_where_implicit_promotion_is_forbidden(name):
    with jax.numpy_dtype_promotion("strict"):
        trainer = Trainer(OPTIMISERS[name](), DataOnly(), loss)
        state = trainer.init(Points((2,), jnp.asarray(START)), key=KEY)
        after, _ = eqx.filter_eval_shape(trainer.step, state, X, key=KEY)
    kinds = [[a.dtype for a in jax.tree.leaves(s) if hasattr(a, "dtype")] for s in (state, after)]
    assert kinds[0] == kinds[1]


def test_what_is_no_optimiser_is_refused():
    with pytest.raises(ValueError, match=r"optim=adam: give an optimiser of optax"):
        Trainer("adam", DataOnly(), loss)


@pytest.mark.medium
def test_muon_makes_layers_matrices_of_equal_singular_values():
    """And Adam without a mean, whose first update is a sign, moves all else."""
    key = jax.random.key(0)
    shapes = {
        "kernel": (6, 3, 2, 2),
        "dense": (5, 8),
        "bias": (6, 1, 1),
        "last": (1, 8),
        "one": (4,),
    }
    parameters = {name: jnp.zeros(shape) for name, shape in shapes.items()}
    gradient = {name: jax.random.normal(key, shape) for name, shape in shapes.items()}
    optim = muon(0.01, adam_learning_rate=0.002)
    found, _ = optim.update(gradient, optim.init(parameters), parameters)
    for name in ("kernel", "dense"):
        rows = shapes[name][0]
        matrix = np.asarray(found[name]).reshape(rows, -1)
        np.testing.assert_allclose(np.sqrt(np.mean(matrix**2)), 0.2 * 0.01, rtol=0.2)
        left, _, right = np.linalg.svd(
            np.asarray(gradient[name]).reshape(rows, -1), full_matrices=0
        )
        size = np.linalg.svd(matrix, compute_uv=False)
        assert size.max() < 1.8 * size.min()
        # the same singular vectors, so that the product with those of the gradient is diagonal
        product = -left.T @ matrix @ right.T
        np.testing.assert_allclose(product, np.diag(np.diag(product)), atol=1e-5)
        assert np.all(np.diag(product) > 0)
    for name in ("bias", "last", "one"):
        np.testing.assert_allclose(found[name], -0.002 * jnp.sign(gradient[name]), rtol=1e-4)


@pytest.mark.medium
def test_muon_trains_a_convolutional_energy_by_a_schedule():
    energy = ConvNet((4, 4, 1), (4,), key=jax.random.key(0))
    optim = muon(cosine_schedule(0.01, 20), weight_decay=0.01)
    trainer = Trainer(optim, NoiseSamples(UniformNoise()))
    x = 0.1 * np.ones((16, 4, 4, 1), np.float32)
    state = trainer.init(energy, key=jax.random.key(1))
    options = {"num_steps": 20, "log_every": 10, "key": KEY, "progress": False}
    state, history = ebmx.fit(trainer, state, [x] * 20, **options)
    gaps = history["real_energy_mean"] - history["fake_energy_mean"]
    assert gaps[-1] < gaps[0] - 0.01
    assert int(state.skipped) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"adam_learning_rate": 0.0}, "adam_learning_rate=0.0"),
        ({"momentum": 1.5}, "momentum=1.5"),
        ({"adam_b1": -0.1}, "adam_b1=-0.1"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
    ],
)
def test_numbers_of_muon_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        muon(**{"learning_rate": 0.01, **options})
