"""Data in single precision, with double precision on or implicit promotion off. Only traced."""

import contextlib

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from closed_forms import apply

import ebmx.training as t
from ebmx.energies import JEM, MLP, Conditional, NoiseConditional, geometric_levels
from ebmx.samplers import MALA, Langevin, ReplicaExchange
from ebmx.training._batch import as_examples

KEY = jax.random.key(0)
MODES = {
    "strict": lambda: jax.numpy_dtype_promotion("strict"),
    "x64": lambda: jax.enable_x64(True),
}
ADAPTED = {"adaptation": t.StepSizeAdaptation()}
BOUNDED = Langevin(0.1, bounds=(-1.0, 1.0))
NEGATIVES = {
    "cd": lambda: t.CD(MALA(0.1), 2),
    "short-run": lambda: t.ShortRun(Langevin(0.1, grad_clip=3.0), 20),
    "pcd": lambda: t.PCD(MALA(0.1), 2, 8, 0.5, num_shards=2, **ADAPTED),
    "pcd-age": lambda: t.PCD(BOUNDED, 2, 8, 0.5, restart="age", storage=t.UInt8()),
    "pcd-energy": lambda: t.PCD(BOUNDED, 2, 8, 0.5, restart="energy", storage=t.BFloat16()),
    "tempered": lambda: t.TemperedPCD(ReplicaExchange(MALA(0.1), jnp.array([1.0, 2.0])), 3, 8),
    "jarzynski": lambda: t.Jarzynski(MALA(0.1), 2, 8, 8, num_negatives=4, **ADAPTED),
    "jarzynski-weights": lambda: t.Jarzynski(MALA(0.1), 2, 8),
    "recovery": lambda: t.DiffusionRecovery(MALA(0.1), 0.5, 2),
    "adaptive": lambda: t.NumStepsAdaptation(t.PCD(MALA(0.1), 2, 8)),
    "split": lambda: t.SplitNegatives((t.CD(MALA(0.1)), t.Jarzynski(MALA(0.1), 2, 8))),
    "transport": lambda: t.TransportPairs(),
    "transport-exact": lambda: t.TransportPairs(plan="exact"),
    "perturbed": lambda: t.Perturbed(0.1),
    "perturbed-levels": lambda: t.Perturbed(jnp.array([0.1, 0.2])),
    "perturbed-twice": lambda: t.PerturbedTwice(0.2, 3),
    "neighbours": lambda: t.Neighbours(jnp.array(0.2), 3),
    "discrete-neighbours": lambda: t.DiscreteNeighbours(1),
    "categories": lambda: t.DiscreteNeighbours(1, categorical=True),
    "flipped-twice": lambda: t.FlippedTwice(jnp.array(0.2), 3),
    "changed-twice": lambda: t.FlippedTwice(0.2, 3, categorical=True),
    "noise": lambda: t.NoiseSamples(t.UniformNoise(), 2),
    "directions": lambda: t.RandomProjections(),
    "grid": lambda: t.QuadraturePoints(jnp.zeros(2), jnp.ones(2), 3, shifted=True),
}
SIGMA, NOISE = {"sigma": 0.1}, {"noise": t.GaussianNoise()}
TRIMMED = {"trim": jnp.array(0.1), "lower_bound": jnp.array(-3.0)}
STABLE = {"stable_targets": True}
LEVEL_LOSSES = {
    "levels": t.noise_level_loss,
    "stable": eqx.Partial(t.noise_level_loss, **STABLE, score_weight=jnp.array(1.0)),
    "classification": t.level_classification_loss,
    "pairs": eqx.Partial(t.level_classification_loss, num_neighbours=2),
    "derivative": t.level_derivative_loss,
}
LOSSES = {
    "contrastive": (eqx.Partial(t.contrastive_loss, alpha=jnp.array(0.1)), "cd"),
    "weighted": (t.contrastive_loss, "jarzynski-weights"),
    **{
        f"trimmed-{name}": (eqx.Partial(t.contrastive_loss, **TRIMMED), name)
        for name in ("cd", "jarzynski-weights", "split")
    },
    "sampler": (eqx.Partial(t.sampler_divergence_loss, step_size=0.1), "cd"),
    "sum": (t.WeightedSum((t.contrastive_loss, t.score_matching_loss), (1, 0.5)), "cd"),
    "denoising": (eqx.Partial(t.denoising_score_matching_loss, **SIGMA), "perturbed"),
    "sliced": (t.sliced_score_matching_loss, "directions"),
    "exact": (t.score_matching_loss, "directions"),
    "noise": (eqx.Partial(t.noise_contrastive_loss, **NOISE), "noise"),
    "discrepancy": (t.energy_discrepancy_loss, "perturbed-twice"),
    "flow": (t.minimum_probability_flow_loss, "neighbours"),
    "sites": (t.pseudo_likelihood_loss, "discrete-neighbours"),
    "ratios": (eqx.Partial(t.ratio_matching_loss, categorical=True), "categories"),
    "flips": (t.energy_discrepancy_loss, "flipped-twice"),
    "likelihood": (t.negative_log_likelihood_loss, "grid"),
    "transport": (t.transport_matching_loss, "transport"),
}


def update(make, energy, x):
    negatives = make()
    state = negatives.init((2,), key=KEY)
    batch, after, _ = negatives.step(energy, as_examples(x), state, key=KEY)
    kinds = [jax.tree.map(lambda a: (a.shape, a.dtype), tree) for tree in (state, after)]
    assert kinds[0] == kinds[1]
    return batch


def single(energy):
    """Its numbers in single precision, as shapes."""
    numbers, rest = eqx.partition(energy, eqx.is_inexact_array)
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.float32), numbers)
    return eqx.combine(shapes, rest)


def positions(num=4):
    return jnp.zeros((num, 2), jnp.float32)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NEGATIVES)
def test_negatives_are_of_the_precision_of_the_data(name, mode):
    with MODES[mode]():
        energy = MLP((2,), (3,), key=KEY)
        x = eqx.filter_eval_shape(update, NEGATIVES[name], energy, positions()).x
        assert x.dtype == jnp.float32


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_of_the_precision_of_the_data(name, mode):
    loss, source = LOSSES[name]

    def run(energy, x):
        positives, batch = t.Examples(x), update(NEGATIVES[source], energy, x)
        return eqx.filter_value_and_grad(lambda e: loss(e, positives, batch), has_aux=True)(energy)

    with MODES[mode]():
        energy = single(MLP((2,), (3,), key=KEY))
        (value, metrics), _ = eqx.filter_eval_shape(run, energy, positions())
        assert {leaf.dtype for leaf in (value, *metrics.values())} == {jnp.dtype("float32")}


@pytest.mark.parametrize("mode", [*MODES, "both"])
@pytest.mark.parametrize("name", LEVEL_LOSSES)
@pytest.mark.parametrize("num_classes", [None, 3])
def test_losses_over_noise_levels_are_of_the_precision_of_the_data(name, mode, num_classes):
    def run(energy, x):
        batch = x if num_classes is None else (x, jnp.zeros(4, int))
        noisy = update(t.PerturbedLevels, energy, batch)
        loss = lambda e: LEVEL_LOSSES[name](e, as_examples(batch), noisy)  # noqa: E731
        return eqx.filter_value_and_grad(loss, has_aux=True)(energy)

    with contextlib.ExitStack() as stack:
        for one in MODES if mode == "both" else [mode]:
            stack.enter_context(MODES[one]())
        network = MLP((2,), (3,), condition_size=4, key=KEY)
        levels = geometric_levels(0.1, 8.0, 4)
        energy = NoiseConditional(network, levels, num_classes=num_classes, key=KEY)
        (value, metrics), _ = eqx.filter_eval_shape(run, energy, positions())
        assert {leaf.dtype for leaf in (value, *metrics.values())} == {jnp.dtype("float32")}


@pytest.mark.medium
@pytest.mark.parametrize("mode", [*MODES, "both"])
def test_labels_of_any_precision(mode):
    with contextlib.ExitStack() as stack:
        for name in MODES if mode == "both" else [mode]:
            stack.enter_context(MODES[name]())
        head = MLP((2,), (4,), out_size=3, key=KEY)
        energy = Conditional(head, num_labels=3, key=KEY)
        negatives = t.PCD(Langevin(0.1), 2, 12, num_labels=3, num_shards=2)
        for dtype in (jnp.int32, jnp.uint8):
            batch = positions(), jnp.zeros(4, dtype)
            found = eqx.filter_eval_shape(update, lambda: negatives, energy, batch)
            assert found.x.dtype == jnp.float32
            loss = lambda x, y: apply(t.cross_entropy_loss, JEM(head), (x, y), None)[0]  # noqa: E731
            jax.eval_shape(loss, *batch)
