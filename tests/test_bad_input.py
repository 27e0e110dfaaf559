"""Arguments that do not fit: each error names the argument and what to give instead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_energies import BAD_ENERGIES
from bad_training import BAD_TRAINING

import ebmx
from ebmx.energies import MLP, ConvNet, Gaussian, GaussianMixture
from ebmx.samplers import Langevin, run, sample

KEY = jax.random.key(0)
GAUSSIAN = Gaussian(jnp.zeros(2), 1.0)
X = jnp.zeros((3, 2))
PLAIN = Langevin(0.1)


def go(energy=GAUSSIAN, x=X, num_steps=2, key=KEY):
    return run(energy, PLAIN, x, num_steps=num_steps, key=key)


def draw(energy=GAUSSIAN, x=X, key=KEY, num_samples=2, **numbers):
    return sample(energy, PLAIN, x, num_samples=num_samples, key=key, **numbers)


# of each call: what it is, the call, the argument that its error names, and the fix
BATCHES = [
    ("shape", jnp.zeros((3, 4)), r"x\.shape=\(3, 4\)", r"a batch of shape \(batch, 2\)"),
    ("one example", jnp.zeros(2), r"x\.shape=\(2,\)", r"a batch of shape \(batch, 2\)"),
    ("0-d", jnp.zeros(()), r"x\.shape=\(\)", r"at least one example"),
    ("empty", jnp.zeros((0, 2)), r"x\.shape=\(0, 2\)", r"at least one example"),
    ("integers", jnp.zeros((3, 2), int), r"x\.dtype=.*int32", r"ebmx\.data\.scale"),
    ("uint8", np.zeros((3, 2), np.uint8), r"x\.dtype=.*uint8", r"ebmx\.data\.scale"),
    ("list", [[0.0, 0.0]], r"x=list", r"JAX or NumPy array"),
]
ENTRIES = {
    "energy": lambda x: ebmx.energy(GAUSSIAN, x),
    "score": lambda x: ebmx.score(GAUSSIAN, x),
    "log_density": lambda x: ebmx.log_density_unnormalised(GAUSSIAN, x),
    "run": lambda x: go(x=x),
    "sample": lambda x: draw(x=x),
}
CALLS = [
    ("vector energy", lambda: ebmx.energy(lambda x: x, X), r"energy\(x\)=float32\[2\]", "ONE"),
    ("vector energy", lambda: ebmx.score(lambda x: x, X), r"energy\(x\)=float32\[2\]", "ONE"),
    ("vector energy", lambda: go(lambda x: x), r"energy\(x\)=float32\[2\]", "ONE"),
    ("vector energy", lambda: draw(lambda x: x), r"energy\(x\)=float32\[2\]", "ONE"),
    ("integer energy", lambda: ebmx.energy(lambda x: 1, X), r"energy\(x\)=int32", "floating"),
    ("integer energy", lambda: go(lambda x: jnp.argmax(x)), r"energy\(x\)=int32", "floating"),
    ("batch for one", lambda: GAUSSIAN(X), r"x='?float32\[3, 2\]", r"ebmx\.energy\(energy, x\)"),
    ("batch for one", lambda: MLP((2,), key=KEY)(X), r"x='?float32\[3, 2\]", "jax.vmap"),
    ("num_steps", lambda: go(num_steps=0), "num_steps=0", "at least 1"),
    ("num_steps", lambda: go(num_steps=2.0), r"num_steps=2\.0", "integer"),
    ("num_steps", lambda: go(num_steps=True), "num_steps=True", "integer"),
    ("num_samples", lambda: draw(num_samples=0), "num_samples=0", "at least 1"),
    ("num_warmup", lambda: draw(num_warmup=-1), "num_warmup=-1", "at least 0"),
    ("thin", lambda: draw(thin=0), "thin=0", "at least 1"),
    ("keys", lambda: go(key=jax.random.split(KEY, 2)), r"key\.shape=\(2,\)", "each of the 3"),
    ("keys", lambda: draw(key=jax.random.split(KEY, 4)), r"key\.shape=\(4,\)", "each of the 3"),
    ("step size", lambda: Langevin(-0.1), r"step_size=-0\.1", "above 0"),
    ("step size", lambda: Langevin(0.0), r"step_size=0\.0", "above 0"),
    ("step size", lambda: Langevin(float("nan")), "step_size=nan", "finite number above 0"),
    ("step size", lambda: Langevin(float("inf")), "step_size=inf", "finite number above 0"),
    ("temperature", lambda: Langevin(0.1, temperature=-1.0), r"temperature=-1\.0", "at least 0"),
    (
        "both temperatures",
        lambda: Langevin(0.1, temperature=0.5, noise_scale=0.1),
        r"temperature=0\.5",
        "either a temperature or a noise scale",
    ),
    ("noise scale", lambda: Langevin(0.1, noise_scale=-0.1), r"noise_scale=-0\.1", "at least 0"),
    ("grad clip", lambda: Langevin(0.1, grad_clip=0.0), r"grad_clip=0\.0", "above 0"),
    ("bounds", lambda: Langevin(0.1, bounds=(1.0, -1.0)), r"bounds.*=-2\.0", "low < high"),
    ("bounds", lambda: Langevin(0.1, bounds=(1.0, 1.0)), r"bounds.*=0\.0", "low < high"),
    ("activation", lambda: MLP((2,), activation="sine", key=KEY), "activation='sine'", "silu"),
    (
        "activation",
        lambda: ConvNet((8, 8, 1), activation="sine", key=KEY),
        "activation='sine'",
        "a function or one of",
    ),
    ("shape", lambda: MLP((0,), key=KEY), r"shape=\(0,\)", "positive integers"),
    ("shape", lambda: MLP((2.5,), key=KEY), r"shape=\(2\.5,\)", "integer"),
    ("hidden", lambda: MLP((2,), (8, 0), key=KEY), r"hidden_dims=\(8, 0\)", "positive integers"),
    ("widths", lambda: ConvNet((8, 8, 1), (-3,), key=KEY), r"widths=\(-3,\)", "positive integers"),
    ("no channel", lambda: ConvNet((8, 8), key=KEY), r"shape=\(8, 8\)", "height, width, channel"),
    (
        "kernel",
        lambda: ConvNet((8, 8, 1), kernel_sizes=0, key=KEY),
        "kernel_sizes=0",
        "at least 1",
    ),
    (
        "strides",
        lambda: ConvNet((8, 8, 1), (4, 4), strides=(2,), key=KEY),
        r"strides=\(2,\)",
        "one integer, or 2 of them",
    ),
    (
        "paddings",
        lambda: ConvNet((8, 8, 1), (4,), paddings=-1, key=KEY),
        "paddings=-1",
        "at least 0",
    ),
    ("head", lambda: ConvNet((8, 8, 1), head="mean", key=KEY), "head='mean'", "'flatten' or 'sum'"),
    (
        "too small",
        lambda: ConvNet((4, 4, 1), kernel_sizes=3, paddings=0, key=KEY),
        r"shape=\(4, 4, 1\)",
        "drop a layer",
    ),
    ("covariance", lambda: Gaussian(np.zeros(2), -1.0), r"covariance=-1\.0", "positive definite"),
    (
        "covariance",
        lambda: Gaussian(np.zeros(2), np.array([1.0, 0.0])),
        r"covariance=\[1\.0, 0\.0\]",
        "positive definite",
    ),
    (
        "covariance",
        lambda: Gaussian(np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]])),
        r"covariance=\[\[1\.0, 2\.0\]",
        "positive definite",
    ),
    (
        "covariance",
        lambda: Gaussian(np.zeros(2), np.ones(3)),
        r"covariance\.shape=\(3,\)",
        r"a matrix \(2, 2\)",
    ),
    ("means", lambda: GaussianMixture(0.0, 1.0), r"means\.shape=\(\)", r"\(components, \*shape\)"),
    ("scales", lambda: GaussianMixture(np.zeros((2, 1)), -1.0), r"scales=-1\.0", "above 0"),
    (
        "scales",
        lambda: GaussianMixture(np.zeros((2, 1)), np.ones(3)),
        r"scales\.shape=\(3,\)",
        r"\(2,\) or \(2, 1\)",
    ),
    (
        "weights",
        lambda: GaussianMixture(np.zeros((2, 1)), 1.0, np.array([1.0, 0.0])),
        r"weights=\[1\.0, 0\.0\]",
        "above 0",
    ),
    (
        "weights",
        lambda: GaussianMixture(np.zeros((2, 1)), 1.0, np.ones(3)),
        r"weights\.shape=\(3,\)",
        r"give \(2,\)",
    ),
]
CALLS += BAD_ENERGIES + BAD_TRAINING
CALLS += [
    (f"{entry}: {what}", lambda f=f, x=x: f(x), argument, fix)
    for entry, f in ENTRIES.items()
    for what, x, argument, fix in BATCHES
]


@pytest.mark.parametrize(
    ("call", "argument", "fix"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS]
)
def test_bad_input_raises_an_error_that_instructs(call, argument, fix):
    with pytest.raises(ValueError, match=f"^{argument}.*: .*{fix}"):
        call()


@pytest.mark.parametrize("call", [go, draw], ids=["run", "sample"])
@pytest.mark.parametrize("key", [3, None, jnp.zeros(2)], ids=["integer", "none", "floats"])
def test_a_key_that_is_none_is_refused(call, key):
    with pytest.raises(ValueError, match=r"^key=.*give a key"):
        call(key=key)


def test_the_table_has_a_call_that_works():
    # so that an error of the calls themselves cannot pass for the one that is meant
    assert go()[0].shape == (3, 2)
    assert draw(num_warmup=1, thin=2).values.shape == (3, 2, 2)
    assert all(f(X) is not None for f in ENTRIES.values())
