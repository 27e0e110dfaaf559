"""What holds for all negatives: keys are used once, no gradient passes, shapes stay."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jax.custom_derivatives import SymbolicZero
from jax.experimental.key_reuse._core import check_key_reuse

from ebmx.energies import Gaussian
from ebmx.samplers import AbstractSampler, ReplicaExchange, StepInfo, run
from ebmx.training import (
    CD,
    PCD,
    BFloat16,
    DiffusionRecovery,
    DiscreteNeighbours,
    Examples,
    FlippedTwice,
    GaussianNoise,
    Jarzynski,
    Neighbours,
    NoiseSamples,
    NumStepsAdaptation,
    Perturbed,
    PerturbedTwice,
    QuadraturePoints,
    RandomProjections,
    ReplayBuffer,
    ShortRun,
    SplitNegatives,
    StepSizeAdaptation,
    TemperedPCD,
    TransportPairs,
    UInt8,
)


class Slide(AbstractSampler[None]):
    """`x ← x − ε ∇E(x) + ξ`, so that positions depend on the energy, the start and the key."""

    step_size: jax.Array

    is_invariant = True

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        value, slope = jax.value_and_grad(energy)(x)
        moved = x - self.step_size * slope + jax.random.normal(key, x.shape)
        return moved, state, StepInfo(value, jnp.zeros(()), jax.nn.sigmoid(value), value > 1e9)


def jitter(x, *, key):
    return x + jax.random.normal(key, x.shape)


def stored(storage, num_shards=1):
    """Persistent chains that use every key; whether the sampler keeps to the range is no matter."""
    negatives = PCD(SLIDE, 2, 8, 0.5, augment=jitter, num_shards=num_shards)
    object.__setattr__(negatives, "storage", storage)
    return negatives


SLIDE = Slide(jnp.array(0.1))
ADAPTED = {"adaptation": StepSizeAdaptation()}
CHAINS = {
    "cd": CD(SLIDE, 2),
    "short-run": ShortRun(SLIDE, 2),
    "pcd": PCD(SLIDE, 2, 8, 0.5, augment=jitter),
    "pcd-energy": PCD(SLIDE, 2, 8, 0.5, restart="energy", **ADAPTED),
    "tempered": TemperedPCD(ReplicaExchange(SLIDE, jnp.array([1.0, 2.0])), 2, 8, 0.5),
    "jarzynski": Jarzynski(SLIDE, 2, 8, 8, num_negatives=4, **ADAPTED),
    "recovery": DiffusionRecovery(SLIDE, 0.5, 2),
    "adaptive": NumStepsAdaptation(PCD(SLIDE, 2, 8, 0.5)),
    "split": SplitNegatives((CD(SLIDE, 2), PCD(SLIDE, 2, 8, 0.5))),
}
CHAINLESS = {
    "transport": TransportPairs(),
    "transport-exact": TransportPairs(plan="exact"),
    "perturbed": Perturbed(0.1),
    "perturbed-levels": Perturbed(jnp.array([0.1, 0.2])),
    "perturbed-twice": PerturbedTwice(0.2, 3),
    "neighbours": Neighbours(0.2, 3),
    "discrete-neighbours": DiscreteNeighbours(1),
    "flipped-twice": FlippedTwice(0.2, 3),
    "noise": NoiseSamples(GaussianNoise(), 2),
    "directions": RandomProjections(),
}
WEIGHTED = {
    "jarzynski-weights": Jarzynski(SLIDE, 2, 8),
    "grid": QuadraturePoints(jnp.zeros(2), jnp.ones(2), 3, shifted=True),
}
STORED = {
    "pcd-bfloat16": stored(BFloat16()),
    "pcd-uint8": stored(UInt8()),
    "pcd-shards": stored(UInt8(), 2),
}
EVERY = {**CHAINS, **CHAINLESS, **WEIGHTED, **STORED}
KEY, X = jax.random.key(0), jnp.zeros((4, 2))
ENERGY = Gaussian(jnp.array([0.5, -0.5]), 0.3)


def update(negatives, energy, x, key):
    init_key, step_key = jax.random.split(key)
    state = negatives.init(x.shape[1:], key=init_key)
    return negatives.step(energy, Examples(x), state, key=step_key), state


def repeats_a_key(jaxpr):
    """Whether one key is spread over several places of an array."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "broadcast_in_dim":
            (operand, *_), (result,) = equation.invars, equation.outvars
            is_key = jax.dtypes.issubdtype(operand.aval.dtype, jax.dtypes.prng_key)
            if is_key and operand.aval.size < result.aval.size:
                return True
        inner = [getattr(leaf, "jaxpr", leaf) for leaf in jax.tree.leaves(equation.params)]
        if any(repeats_a_key(leaf) for leaf in inner if hasattr(leaf, "eqns")):
            return True
    return False


@pytest.mark.parametrize("name", EVERY)
def test_no_key_is_used_twice(name):
    def arrays(key):
        return jax.tree.leaves(eqx.filter(update(EVERY[name], ENERGY, X, key), eqx.is_array))

    check_key_reuse(arrays, KEY)
    assert not repeats_a_key(jax.make_jaxpr(arrays)(KEY).jaxpr)


@pytest.mark.parametrize("storage", [None, BFloat16(), UInt8()])
def test_no_key_is_used_twice_in_a_buffer_that_is_made_in_parts(storage):
    negatives = PCD(SLIDE, 2, 300)
    object.__setattr__(negatives, "storage", storage)
    check_key_reuse(lambda key: negatives.init((2,), key=key).positions, KEY)


def test_a_key_that_is_spread_is_found():
    normals = jax.vmap(lambda key: jax.random.normal(key, ()))
    spread = jax.make_jaxpr(lambda key: normals(jnp.broadcast_to(key, (4,))))(KEY)
    split = jax.make_jaxpr(lambda key: normals(jax.random.split(key, 4)))(KEY)
    assert repeats_a_key(spread.jaxpr)
    assert not repeats_a_key(split.jaxpr)


@pytest.mark.parametrize("storage", [BFloat16(), UInt8()], ids=["bfloat16", "uint8"])
def test_a_buffer_is_filled_with_one_key_for_places_and_one_for_rounding(storage):
    code = storage.encode(jnp.zeros((8, 2)), key=KEY)
    buffer = ReplayBuffer(code, jnp.arange(8), storage=storage)
    check_key_reuse(lambda key, x: buffer.fill(x, key=key).positions, KEY, X)


def gradient_passes(out_of, arguments):
    """Whether the output depends on the arguments for JAX's derivatives; nothing is compiled."""
    passes, num_leaves = [], 0

    @jax.custom_jvp
    def probe(x):
        return x

    def rule(primals, tangents):
        # JAX does not call it where no tangent arrives
        passes.append(not isinstance(tangents[0], SymbolicZero))
        return primals[0], jnp.zeros_like(primals[0])

    probe.defjvp(rule, symbolic_zeros=True)
    parameters, rest = eqx.partition(arguments, eqx.is_inexact_array)

    def total(parameters):
        nonlocal num_leaves
        leaves = jax.tree.leaves(out_of(eqx.combine(parameters, rest)))
        leaves = [leaf for leaf in leaves if eqx.is_inexact_array(leaf)]
        num_leaves = len(leaves)
        return sum(jnp.sum(probe(leaf)) for leaf in leaves)

    jax.eval_shape(jax.grad(total), parameters)
    assert num_leaves > 0
    return any(passes)


@pytest.mark.parametrize("name", [*CHAINS, *WEIGHTED, *STORED])
def test_no_gradient_passes_through_negatives(name):
    negatives = EVERY[name]
    assert not gradient_passes(lambda energy: update(negatives, energy, X, KEY)[0][0], ENERGY)
    assert not gradient_passes(lambda x: update(negatives, ENERGY, x, KEY)[0][0], X)


@pytest.mark.parametrize("name", ["jarzynski", "jarzynski-weights", "adaptive"])
def test_no_gradient_passes_through_what_is_compared_with_the_energy(name):
    assert not gradient_passes(lambda energy: update(EVERY[name], energy, X, KEY)[0][1], ENERGY)


def test_a_gradient_passes_through_a_chain_by_itself():
    moved = lambda energy: run(energy, SLIDE, X, num_steps=2, key=KEY)[0]  # noqa: E731
    assert gradient_passes(moved, ENERGY)


NUM = {"perturbed-twice": 12, "flipped-twice": 12, "neighbours": 12, "noise": 8}


@pytest.mark.parametrize("shape", [(2,), (3, 2, 1)])
@pytest.mark.parametrize("name", [*CHAINS, *CHAINLESS, *STORED])
def test_negatives_are_as_many_and_of_the_shape_of_the_data(name, shape):
    energy, x = Gaussian(jnp.zeros(shape)), jnp.zeros((4, *shape))
    found = eqx.filter_eval_shape(update, EVERY[name], energy, x, KEY)
    (out, after, info), before = found
    assert out.x.shape == (NUM.get(name, 4), *shape)
    assert out.x.dtype == x.dtype
    # what is kept stays of the same kind, so that it goes through a loop
    of = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)  # noqa: E731
    assert jax.tree.all(jax.tree.map(lambda a, b: a == b, of(before), of(after)))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    if name in STORED:
        code = EVERY[name].storage.encode(jnp.zeros((8, *shape)), key=KEY)
        assert (before.positions.shape, before.positions.dtype) == (code.shape, code.dtype)
    if name in CHAINS and name != "jarzynski":
        sizes = {a.shape for a in jax.tree.leaves((info.restarted, info.dead, info.chains))}
        assert sizes == {(4,)}
        assert info.saturated.shape == ()


@pytest.mark.parametrize("name", CHAINLESS)
def test_negatives_are_of_the_precision_of_the_data(name):
    x = jnp.zeros((4, 2), jnp.float16)
    (out, _, _), _ = eqx.filter_eval_shape(update, EVERY[name], ENERGY, x, KEY)
    assert out.x.dtype == jnp.float16
