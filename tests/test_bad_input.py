"""Arguments that do not fit: each error names the argument and its value, and says what to give.

That an error names the argument at all is tested for every public call in `test_signatures.py`.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import conditional

import ebmx
import ebmx.energies as e
import ebmx.training as t
from ebmx.samplers import MALA, Langevin, run, sample

KEY = jax.random.key(0)
GAUSSIAN, OTHER = e.Gaussian(np.zeros(2), 1.0), e.Gaussian(np.zeros(3), 1.0)
X, IMAGE, ONES = np.zeros((3, 2), np.float32), (4, 4, 1), np.ones(3)
PLAIN, BOUNDED = Langevin(0.1), Langevin(0.1, bounds=(-1.0, 1.0))
LABELS = np.arange(3)
TURNED = np.array([1.0, 0.0])


class Silent:
    """A noise that does not say its density."""

    def sample(self, shape, *, key):
        return jax.random.normal(key, shape)


@functools.cache
def network():
    return e.MLP((2,), (2,), out_size=2, key=KEY)


@functools.cache
def labelled():
    return conditional(KEY)


@functools.cache
def real():
    return conditional(KEY, condition_dim=2)


def stateful():
    return eqx.nn.make_with_state(e.SpectralNorm)(e.MLP((2,), (2,), key=KEY), key=KEY)[0]


def mlp(*args, **options):
    return e.MLP(*args, **options, key=KEY)


def conv(*args, **options):
    return e.ConvNet(*args, **options, key=KEY)


def net(shape=IMAGE, channels=(2,), **options):
    return e.ResNet(shape, channels, key=KEY, **options)


def given(network, **options):
    return e.Conditional(network, key=KEY, **options)


def go(energy=GAUSSIAN, x=X, num_steps=2, key=KEY):
    return run(energy, PLAIN, x, num_steps=num_steps, key=key)


def draw(energy=GAUSSIAN, x=X, key=KEY, num_samples=2, **numbers):
    return sample(energy, PLAIN, x, num_samples=num_samples, key=key, **numbers)


def train(batch, energy=None, negatives=None, loss=t.contrastive_loss):
    energy = labelled() if energy is None else energy
    trainer = t.Trainer(optax.sgd(0.1), negatives or t.CD(PLAIN), loss)
    return t.fit(trainer, trainer.init(energy, key=KEY), [batch], num_steps=1, key=KEY)


# of each call: the call, how its error begins, and the fix
RUNS = [
    (lambda: ebmx.energy(lambda x: x, X), r"energy\(x\)=float32\[2\]", "ONE"),
    (lambda: ebmx.score(lambda x: x, X), r"energy\(x\)=float32\[2\]", "ONE"),
    (lambda: go(lambda x: x), r"energy\(x\)=float32\[2\]", "ONE"),
    (lambda: draw(lambda x: x), r"energy\(x\)=float32\[2\]", "ONE"),
    (lambda: ebmx.energy(lambda x: 1, X), r"energy\(x\)=int32", "floating"),
    (lambda: go(lambda x: jnp.argmax(x)), r"energy\(x\)=int32", "floating"),
    (lambda: GAUSSIAN(X), r"x='?float32\[3, 2\]", r"ebmx\.energy\(energy, x\)"),
    (lambda: e.Box(GAUSSIAN, -1, 1)(X), r"x='?float32\[3, 2\]", "ONE"),
    (lambda: (GAUSSIAN + jnp.sum)(X), r"x='?float32\[3, 2\]", "ONE"),
    (lambda: go(num_steps=0), "num_steps=0", "at least 1"),
    (lambda: go(num_steps=2.0), r"num_steps=2\.0", "integer"),
    (lambda: go(num_steps=True), "num_steps=True", "integer"),
    (lambda: draw(num_warmup=-1), "num_warmup=-1", "at least 0"),
    (lambda: go(key=jax.random.split(KEY, 2)), r"key\.shape=\(2,\)", "each of the 3"),
    (lambda: draw(key=jax.random.split(KEY, 4)), r"key\.shape=\(4,\)", "each of the 3"),
    *((lambda call=call: call(key=3), "key=3", "give a key") for call in (go, draw)),
    (lambda: Langevin(float("nan")), "step_size=nan", "finite number above 0"),
    (lambda: Langevin(0.1, temperature=-1.0), r"temperature=-1\.0", "at least 0"),
    (lambda: Langevin(0.1, temperature=0.5, noise_scale=0.1), r"temperature=0\.5", "either"),
    (lambda: Langevin(0.1, bounds=(1.0, -1.0)), r"bounds=\(1\.0, -1\.0\)", "low < high"),
    (lambda: Langevin(0.1, bounds=(1.0, 1.0)), r"bounds=\(1\.0, 1\.0\)", "low < high"),
]
NETWORKS = [
    (lambda: mlp((2,), activation="sine"), "activation='sine'", "a function or one of.*silu"),
    (lambda: conv(IMAGE, activation="sine"), "activation='sine'", "a function or one of.*silu"),
    (lambda: mlp((0,)), r"shape=\(0,\)", "positive integers"),
    (lambda: mlp((2,), (8, 0)), r"hidden_dims=\(8, 0\)", "positive integers"),
    (lambda: mlp((2,), compute_dtype="int8"), "compute_dtype='int8'", "None or one of bfloat16"),
    (lambda: conv(IMAGE, compute_dtype=jnp.bfloat16), "compute_dtype=.*bfloat16", "text or None"),
    (lambda: conv((8, 8)), r"shape=\(8, 8\)", "height, width, channel"),
    (lambda: conv(IMAGE, (4, 4), strides=(2,)), r"strides=\(2,\)", "one integer, or 2 of them"),
    (lambda: conv(IMAGE, (4,), paddings=-1), "paddings=-1", "at least 0"),
    (lambda: conv(IMAGE, head="mean"), "head='mean'", "'flatten' or 'sum'"),
    (lambda: conv(IMAGE, kernel_sizes=3, paddings=0), r"shape=\(4, 4, 1\)", "drop a layer"),
    (lambda: conv((6, 6, 1), (2, 2), strides=4, paddings=0), r"shape=\(6, 6, 1\)", "too small"),
    (lambda: net((4, 4)), r"shape=\(4, 4\)", "height, width, channel"),
    (lambda: net(channels=()), r"channels=\(\)", "at least one stage"),
    (lambda: net(channels=(-2,)), r"channels=\(-2,\)", "positive integers"),
    (lambda: net(strides=(1, 2)), r"strides=\(1, 2\)", "one integer, or 1 of them"),
    (lambda: net(blocks_per_stage=0), "blocks_per_stage=0", "at least 1"),
    (lambda: net(norm="instance"), "norm='instance'", "'none', 'layer' or 'group'"),
    (lambda: net(norm="batch"), "norm='batch'", "BatchNormResNet"),
    (lambda: net(norm="spectral"), "norm='spectral'", r"make_with_state\(SpectralNorm\)"),
    (lambda: mlp((2,), out_size=0), "out_size=0", "'scalar' for an energy, or an integer"),
    (lambda: conv(IMAGE, out_size=True), "out_size=True", "'scalar' for an energy"),
    (lambda: net(out_size="vector"), "out_size='vector'", "'scalar' for an energy"),
    (lambda: ebmx.energy(network(), X), "out_size=2", "no energy: leave out_size out"),
    (lambda: ebmx.score(conv(IMAGE, (2,), out_size=3), np.zeros((1, *IMAGE))), "out_size=3", "JEM"),
    (lambda: go(network()), "out_size=2", "no energy"),
    (lambda: go(lambda x: network()(x)), r"energy\(x\)=float32\[2\]", "leave out_size out"),
    (lambda: GAUSSIAN + network(), "out_size=2", "no energy"),
    (lambda: e.Box(network(), 0, 1), "out_size=2", "no energy"),
    (lambda: e.freeze(network()), "out_size=2", "no energy"),
    (
        lambda: eqx.nn.make_with_state(e.SpectralNorm)(network(), key=KEY),
        *("out_size=2", "no energy"),
    ),
    (lambda: e.JEM(mlp((2,))), "out_size='scalar'", r"MLP\(shape, out_size=10\)"),
    (lambda: given(net(), num_labels=2), "out_size='scalar'", "features are needed"),
    (lambda: net(channels=(1,), norm="group"), "channels=1", "at least 2 channels"),
    (lambda: net(activation="sine"), "activation='sine'", "a function or one of"),
    (lambda: net()(jnp.zeros((4, 5, 1))), r"x='?float32\[4, 5, 1\]", r"shape \(4, 4, 1\)"),
    (lambda: ebmx.energy(net(), jnp.zeros((2, 5, 4, 1))), r"x\.shape=", r"\(batch, 4, 4, 1\)"),
    (lambda: e.freeze(stateful()), "state=NoneType", "make_with_state"),
]
DENSITIES = [
    (lambda: e.Gaussian(np.zeros(2), -1.0), r"covariance=-1\.0", "positive definite"),
    (lambda: e.Gaussian(np.zeros(2), TURNED), r"covariance=\[1\.0, 0\.0\]", "positive definite"),
    (
        lambda: e.Gaussian(np.zeros(2), 2 - np.eye(2)),
        r"covariance=\[\[1\.0, 2",
        "positive definite",
    ),
    (lambda: e.Gaussian(np.zeros(2), ONES), r"covariance\.shape=\(3,\)", r"a matrix \(2, 2\)"),
    (lambda: e.GaussianMixture(0.0, 1.0), r"means\.shape=\(\)", r"\(components, \*shape\)"),
    (lambda: e.GaussianMixture(np.zeros((2, 1)), -1.0), r"scales=-1\.0", "above 0"),
    (lambda: e.GaussianMixture(np.zeros((2, 1)), ONES), r"scales\.shape=", r"\(2,\) or \(2, 1\)"),
    (lambda: e.GaussianMixture(np.zeros((2, 1)), 1.0, TURNED), r"weights=\[1\.0, 0", "above 0"),
    (lambda: e.GaussianMixture(np.zeros((2, 1)), 1.0, ONES), r"weights\.shape=", r"give \(2,\)"),
    (lambda: e.forty_modes(0), "dim=0", "at least 1"),
    (lambda: e.ManyWell(0), "num_wells=0", "at least 1"),
    (lambda: e.DoubleWellParticles(1), "num_particles=1", "at least 2"),
    (lambda: e.LennardJones(spring=-1.0), r"spring=-1\.0", "at least 0"),
    (lambda: e.LatticeField((2,), -1.0, 0.0), r"mass_squared=-1\.0", "positive coupling"),
    (lambda: e.LogGaussianCox(ONES), r"counts\.shape=\(3,\)", "rows, columns"),
    (lambda: e.LogisticRegression(np.ones((3, 2)), X[0]), r"labels\.shape=\(2,\)", r"give \(3,\)"),
    (lambda: e.BernoulliRBM(ONES, ONES, 1.0), r"weight\.shape=\(3,\)", "hidden"),
    (lambda: e.BernoulliRBM(np.ones((3, 2)), X[0], X[0]), r"visible_bias\.shape=", r"give \(3,\)"),
    (lambda: e.BernoulliRBM(np.ones((3, 2)), ONES, ONES), r"hidden_bias\.shape=", r"give \(2,\)"),
]
COMPOSED = [
    (lambda: e.Product(()), r"energies=\(\)", "at least one"),
    (lambda: GAUSSIAN + OTHER, r"shapes=\[\(2,\), \(3,\)\]", "one shape"),
    (lambda: GAUSSIAN - OTHER, r"shapes=\[\(2,\), \(3,\)\]", "one shape"),
    (lambda: e.Mixture((GAUSSIAN, OTHER)), r"shapes=\[\(2,\), \(3,\)\]", "one shape"),
    (lambda: e.Product((GAUSSIAN, 3.0)), "energies=float", "functions from one"),
    (lambda: e.Product((jnp.sum,)), r"energies=\[.*\]", r"Function\(function, shape\)"),
    (lambda: e.Box(jnp.sum, 0, 1), r"energies=\[.*\]", r"Function\(function, shape\)"),
    (lambda: e.Weighted(jnp.sum, 2), r"energies=\[.*\]", r"Function\(function, shape\)"),
    (lambda: GAUSSIAN + stateful(), "energies=SpectralNorm", r"freeze\(energy, state\)"),
    (lambda: e.Function(3.0, (2,)), r"function=3\.0", "give a function"),
    (lambda: e.Function(jnp.sum, (0,)), r"shape=\(0,\)", "positive integers"),
    (lambda: float("nan") * GAUSSIAN, "weight=nan", "one finite number"),
    (lambda: GAUSSIAN * jnp.ones(2), r"weight=\[1\.0, 1\.0\]", "a number"),
    (lambda: GAUSSIAN / 0.0, r"temperature=0\.0", "above 0"),
    (lambda: GAUSSIAN / -1, "temperature=-1", "above 0"),
    (lambda: e.Mixture((GAUSSIAN,), (1.0, 2.0)), r"weights\.shape=\(2,\)", "each of the 1"),
    (lambda: e.Mixture((GAUSSIAN,), (-1.0,)), r"weights=\[-1\.0\]", "above 0"),
    (lambda: e.Box(GAUSSIAN, jnp.zeros(3), 1.0), r"low\.shape=\(3,\)", r"shape \(2,\)"),
    (lambda: e.Box(GAUSSIAN, 0.0, np.ones((2, 2))), r"high\.shape=\(2, 2\)", "a number or"),
    (lambda: e.Box(GAUSSIAN, 0.0, TURNED), r"high=\[1\.0, 0\.0\]", "low < high"),
    (lambda: e.Box(GAUSSIAN, 0.0, np.nan), "high=nan", "low < high"),
    (lambda: labelled().at(0) - OTHER, r"shapes=\[\(2,\), \(3,\)\]", "one shape"),
]
CONDITIONAL = [
    (lambda: labelled().at(3), "y=3", "labels are 0 to 2"),
    (lambda: labelled().at(-1), "y=-1", "labels are 0 to 2"),
    (lambda: labelled().at(1.0), r"y\.dtype=.*float32", "whole numbers"),
    (lambda: labelled().at(np.array([1, 2])), r"y\.shape=\(2,\)", r"shape \(\)"),
    (lambda: labelled().at_each(1), r"y\.shape=\(\)", r"shape \(batch\)"),
    (lambda: labelled().at_each(np.array([0, 5])), r"y=\[0, 5\]", "labels are 0 to 2"),
    (lambda: e.JEM(network()).at(2), "y=2", "labels are 0 to 1"),
    (lambda: e.JEM(network()).at(0.0), r"y\.dtype=.*float32", "whole numbers"),
    (lambda: real().at(ONES), r"y\.shape=\(3,\)", r"shape \(2\)"),
    (lambda: real().at(np.array([1, 2])), r"y\.dtype=.*int32", "floating-point"),
    (lambda: real().at_each(X[0]), r"y\.shape=\(2,\)", r"shape \(batch, 2\)"),
    (lambda: ebmx.energy(real().at_each(X[:2]), X), r"y\.shape=", "one condition for each"),
    (lambda: go(labelled().at_each(np.zeros(4, int))), r"y\.shape=\(4,\)", "3 examples"),
    (lambda: labelled().at_each(LABELS)(X[0]), "energy=ForEach", r"ebmx\.energy"),
    (lambda: given(network()), r"num_labels=\(None, None\)", "one of"),
    (lambda: given(network(), num_labels=2, condition_dim=2), r"num_labels=\(2, 2\)", "one of"),
    (lambda: given(network(), num_labels=0), "num_labels=0", "at least 1"),
    (lambda: given(network(), condition_dim=0), "condition_dim=0", "at least 1"),
    (lambda: given(network(), num_labels=2, head="sum"), "head='sum'", "'projection' or 'embed"),
    (lambda: given(jnp.sin, num_labels=2), "network=.*", r"such as MLP\(shape, out_size=64\)"),
]
TRAINING = [
    (lambda: train((X, LABELS[:2])), r"batches\[0\]\[1\]\.shape", "each of the 3"),
    (lambda: train((X, LABELS + 1)), r"batches\[0\]\[1\]=", "labels are 0 to 2"),
    (lambda: train((X, LABELS - 1)), r"batches\[0\]\[1\]=", "labels are 0 to 2"),
    (lambda: train((X, np.ones(3))), r"y\.dtype=float", "whole numbers"),
    (lambda: train(X), "batch=x", r"train on batches \(x, y\)"),
    (lambda: train((X, LABELS), negatives=t.PCD(PLAIN)), "num_labels=None", "3 labels"),
    (lambda: train((X, LABELS), loss=t.cross_entropy_loss), "energy=", r"such as .*JEM"),
    (
        lambda: train(X, GAUSSIAN, loss=t.negative_log_likelihood_loss),
        "negatives=CD",
        "QuadraturePoints",
    ),
    (lambda: t.Perturbed(np.array([0.1, -0.1])), r"sigma=\[0\.1", "above 0"),
    (
        lambda: t.noise_contrastive_loss(GAUSSIAN, t.Examples(X), t.Examples(X), noise=Silent()),
        "noise=Silent",
        "density",
    ),
    (
        lambda: t.contrastive_loss(GAUSSIAN, X, t.Examples(X)),
        "positives=",
        "give an Examples",
    ),
    (lambda: t.Jarzynski(MALA(0.1), noise=Silent()), "noise=Silent", "a noise with a log_density"),
    (lambda: t.PCD(PLAIN, storage=t.UInt8()), "storage=UInt8", "sampler with `bounds`"),
    (lambda: t.PCD(BOUNDED, storage=t.UInt8(-0.5, 0.5)), r"bounds=\(-1\.0, 1\.0\)", "inside it"),
]
BATCHES = [
    (jnp.zeros((3, 4)), r"x\.shape=\(3, 4\)", r"a batch of shape \(batch, 2\)"),
    (jnp.zeros(2), r"x\.shape=\(2,\)", r"a batch of shape \(batch, 2\)"),
    (jnp.zeros(()), r"x\.shape=\(\)", r"at least one example"),
    (jnp.zeros((0, 2)), r"x\.shape=\(0, 2\)", r"at least one example"),
    (jnp.zeros((3, 2), int), r"x\.dtype=.*int32", r"ebmx\.data\.scale"),
    (np.zeros((3, 2), np.uint8), r"x\.dtype=.*uint8", r"ebmx\.data\.scale"),
    ([[0.0, 0.0]], r"x=list", r"JAX or NumPy array"),
]
ENTRIES = [
    *(functools.partial(f, GAUSSIAN) for f in (ebmx.energy, ebmx.score)),
    *(lambda x: go(x=x), lambda x: draw(x=x)),
]
CALLS = [*RUNS, *NETWORKS, *DENSITIES, *COMPOSED, *CONDITIONAL, *TRAINING]
CALLS += [(lambda f=f, x=x: f(x), start, fix) for f in ENTRIES for x, start, fix in BATCHES]


@pytest.mark.parametrize(("call", "start", "fix"), CALLS, ids=[row[1] for row in CALLS])
def test_bad_input_raises_an_error_that_instructs(call, start, fix):
    with pytest.raises(ValueError, match=f"^{start}.*: .*{fix}"):
        call()
