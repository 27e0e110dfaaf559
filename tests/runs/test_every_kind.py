"""Every sampler, energy, source of negatives and loss can be named in a config and trained."""

import equinox as eqx
import jax
import numpy as np
import pytest
from configs import TINY

from ebmx.config import merge
from ebmx.config._calls import kinds
from ebmx.data import Dataset
from ebmx.runs._facts import Facts
from ebmx.runs._run import has_labels, make_run

MALA = {"kind": "MALA", "step_size": 0.1}
GAUSSIAN = {"kind": "Gaussian", "mean": "$zeros", "covariance": 2.0}
MLP = {"kind": "MLP", "hidden_dims": [4]}
JUMP = {"kind": "Independence", "proposal": GAUSSIAN}
SCHEDULE = {"kind": "linear_schedule", "init_value": 1.0, "end_value": 0.1, "transition_steps": 5}
SAMPLERS = [
    MALA,
    JUMP,
    {"kind": "AdjustedMCLMC", "step_size": 0.1},
    {"kind": "Annealed", "sampler": {"kind": "Langevin", "step_size": 0.1}, "step_size": SCHEDULE},
    {"kind": "Barker", "step_size": 0.1},
    {
        "kind": "BlackJAX",
        "init": "@blackjax.multinomial_hmc.init",
        "kernel": {"kind": "blackjax.multinomial_hmc.build_kernel"},
        "step_size": 0.3,
        "inverse_mass_matrix": [1.0, 1.0],
        "num_integration_steps": 4,
    },
    {"kind": "BlockGibbs"},
    {"kind": "Cycle", "samplers": [MALA, JUMP]},
    {"kind": "EllipticalSlice", "prior": GAUSSIAN},
    {"kind": "GHMC", "step_size": 0.1},
    {"kind": "DMALA", "step_size": 0.2},
    {"kind": "DULA", "step_size": 0.2, "temperature": 2.0},
    {"kind": "Gibbs", "sweep": True},
    {"kind": "GibbsWithGradients", "categorical": True},
    {"kind": "HMC", "step_size": 0.1},
    {"kind": "JitteredHMC", "step_size": 0.1, "trajectory_length": 1.0},
    {"kind": "Langevin", "step_size": 0.1, "increments": "rademacher"},
    {"kind": "MCLMC", "step_size": 0.1, "decoherence_length": 1.0},
    {"kind": "Mixture", "samplers": [MALA, JUMP], "weights": [1.0, 2.0]},
    {"kind": "NUTS", "step_size": 0.1},
    {
        "kind": "PreconditionedLangevin",
        "step_size": 0.1,
        "preconditioner": {"kind": "ebmx.samplers.RMSProp"},
    },
    {"kind": "PreconditionedMALA", "step_size": 0.1, "inverse_mass_matrix": [1.0, 2.0]},
    {"kind": "Reflected", "sampler": MALA, "bounds": [0.0, "none"]},
    {"kind": "ReplicaExchange", "sampler": MALA, "temperatures": [1.0, 2.0]},
    {
        "kind": "ReplicaExchange",
        "sampler": MALA,
        "temperatures": [1.0, float("inf")],
        "base": GAUSSIAN,
    },
    {"kind": "UnderdampedLangevin", "step_size": 0.1},
]
OVER_LEVELS = {
    "kind": "NoiseConditional",
    "network": {**MLP, "condition_size": 3},
    "levels": {"kind": "cosine_levels", "low": 0.1, "high": 9.0, "num_levels": 3},
    "covariance": "$covariance",
}
ENERGIES = [
    MLP,
    GAUSSIAN,
    {"kind": "BatchNormResNet", "channels": [4]},
    {"kind": "Banana"},
    {"kind": "Bernoulli", "logits": [0.0, 1.0]},
    {"kind": "BernoulliRBM", "weight": [[1.0], [0.5]], "visible_bias": [0.0, 0.0],
     "hidden_bias": [0.0]},
    {"kind": "Box", "energy": MLP, "low": [-1.0, -1.0], "high": [1.0, 1.0]},
    {"kind": "Categorical", "logits": [0.0, 1.0]},
    {"kind": "CategoricalRBM", "weight": [[[1.0], [0.5]]], "visible_bias": [[0.0, 0.0]],
     "hidden_bias": [0.0]},
    {"kind": "Clamped", "energy": GAUSSIAN, "mask": [True, False]},
    {"kind": "Conditional", "network": {**MLP, "out_size": 4}, "num_labels": "$num_labels"},
    {"kind": "ConvNet", "channels": [4]},
    {"kind": "DoubleWell"},
    {"kind": "DoubleWellParticles", "num_particles": 2, "dim": 1},
    {"kind": "Fixed", "energy": GAUSSIAN},
    {"kind": "Function", "function": {"kind": "jax.numpy.sum"}},
    {"kind": "Funnel", "dim": 2},
    {"kind": "GaussianMixture", "means": [[-1.0, 0.0], [1.0, 0.0]], "scales": 0.5},
    {"kind": "LatticeField"},
    {"kind": "LennardJones", "num_particles": 2, "dim": 1},
    {"kind": "LogGaussianCox", "counts": [[1, 0]]},
    {"kind": "LogisticRegression", "features": [[1.0, 2.0], [0.5, 0.0]], "labels": [0, 1]},
    {"kind": "ManyWell", "num_wells": 1},
    {"kind": "Ising", "coupling": 0.5},
    {"kind": "JEM", "network": {**MLP, "out_size": "$num_labels"}},
    {"kind": "Marginal", "energy": {"kind": "Conditional", "network": {**MLP, "out_size": 4},
                                    "num_labels": 3}},
    {"kind": "Mixture", "energies": [GAUSSIAN, MLP]},
    {"kind": "Normalised", "energy": MLP},
    {**OVER_LEVELS, "num_classes": "$num_labels"},
    {"kind": "Calibrated", "energy": OVER_LEVELS, "log_z": [0.1, 0.1, 0.0]},
    {"kind": "NoiseMixture", "energies": [OVER_LEVELS, OVER_LEVELS]},
    {"kind": "Potts", "shape": [2], "num_states": 2, "coupling": 0.5},
    {"kind": "Product", "energies": [MLP, GAUSSIAN]},
    {"kind": "ResNet", "channels": [4]},
    {"kind": "UNet", "channels": [2, 2], "attention": [1], "num_heads": 1},
    {"kind": "MultiScale", "energies": [{"kind": "ResNet", "channels": [4]}]},
    {"kind": "Ring"},
    {"kind": "SpectralNorm", "energy": MLP},
    {"kind": "StudentT"},
    {"kind": "Transformed", "energy": GAUSSIAN, "bijection": {"kind": "Softplus"}},
    {"kind": "Uniform", "low": [-1.0, -1.0], "high": [1.0, 1.0]},
    {"kind": "Weighted", "energy": MLP, "weight": 2.0},
]  # fmt: skip
# made from a template of a tree, of a trained energy, or bound to a run by the library
NOT_BY_CONFIG = {"Raveled", "ClampedLevels", "Conditioned", "ForEach", "ClassEnergy", "PerChain"}
IMAGES = ("ConvNet", "ResNet", "BatchNormResNet", "UNet", "MultiScale")
NEGATIVES = [
    {"kind": "CD"},
    {"kind": "DataOnly"},
    {"kind": "DiffusionRecovery", "sigma": 0.5},
    {"kind": "Jarzynski", "num_chains": 8},
    {"kind": "Neighbours"},
    {"kind": "NoiseSamples", "noise": {"kind": "UniformNoise"}},
    {"kind": "NumStepsAdaptation", "negatives": {"kind": "PCD", "capacity": 8}},
    {"kind": "PCD", "capacity": 8, "adaptation": {"kind": "StepSizeAdaptation"}},
    {"kind": "Perturbed", "sigma": 0.1},
    {"kind": "PerturbedTwice", "time": 0.1},
    {"kind": "QuadraturePoints", "low": [-1.0, -1.0], "high": [1.0, 1.0], "num_points": 4},
    {"kind": "RandomProjections"},
    {"kind": "ShortRun"},
    {"kind": "TemperedPCD", "capacity": 8},
    {"kind": "TransportPairs", "plan": "exact"},
    {"kind": "SplitNegatives", "sources": [{"kind": "CD"}, {"kind": "ShortRun"}]},
    {"kind": "PerturbedLevels"},
    {"kind": "AdaptiveLevels", "num_levels": 3},
    {"kind": "DiscreteNeighbours", "num_sites": 1, "categorical": True},
    {"kind": "FlippedTwice", "num_negatives": 2},
]
LOSSES = {
    "binary_contrastive_loss": ({}, {"kind": "CD"}),
    "contrastive_loss": ({"alpha": 0.1}, {"kind": "CD"}),
    "cross_entropy_loss": ({}, {"kind": "DataOnly"}),
    "denoising_score_matching_loss": ({"sigma": 0.1}, {"kind": "Perturbed", "sigma": 0.1}),
    "energy_discrepancy_loss": ({}, {"kind": "PerturbedTwice", "time": 0.1}),
    **dict.fromkeys(
        ("noise_level_loss", "level_classification_loss", "level_derivative_loss"),
        ({}, {"kind": "PerturbedLevels"}),
    ),
    "minimum_probability_flow_loss": ({}, {"kind": "Neighbours"}),
    "negative_log_likelihood_loss": ({}, NEGATIVES[10]),
    "noise_contrastive_loss": ({"noise": "$negatives.noise"}, NEGATIVES[5]),
    "sampler_divergence_loss": ({"step_size": "$sampler.step_size"}, {"kind": "CD"}),
    **dict.fromkeys(
        ("pseudo_likelihood_loss", "ratio_matching_loss"),
        ({"categorical": True}, {"kind": "DiscreteNeighbours", "categorical": True}),
    ),
    "score_matching_loss": ({}, {"kind": "DataOnly"}),
    "sliced_score_matching_loss": ({}, {"kind": "RandomProjections"}),
    "transport_matching_loss": ({}, {"kind": "TransportPairs"}),
    "WeightedSum": (
        {"losses": [{"kind": "contrastive_loss"}], "weights": [0.5]},
        {"kind": "CD"},
    ),
}


def name(call):
    return call["kind"]


def run_of(shape=(2,), **changes):
    x = np.zeros((6, *shape), np.float32)
    x[0] = 1.0  # an energy over noise levels takes the covariance, which is not zero
    labels = np.arange(6) % 3
    base = merge({**TINY, "data": {"batch_size": 4, "name": "x"}}, {"negatives": {"kind": "CD"}})
    base = merge(base, {"energy": MLP, "sampler": MALA})
    config = {**base, **changes}
    return make_run(config, Facts.of(Dataset("x", x, x, labels, labels)))


def trace(run, shape=(2,)):
    """The shape of the loss after one update, of which nothing is computed."""
    x = jax.ShapeDtypeStruct((4, *shape), np.float32)
    y = jax.ShapeDtypeStruct((4,), np.int32)

    def step(batch, key):
        return run.trainer.step(run.init(), batch, key=key)[1]["loss"]

    batch = (x, y) if has_labels(run.energy) else x
    return eqx.filter_eval_shape(step, batch, jax.random.key(0)).shape


def test_each_kind_is_tried():
    tried = {
        "sampler": {*map(name, SAMPLERS)},
        "energy": {*map(name, ENERGIES)},
        "negatives": {*map(name, NEGATIVES)},
        "loss": {*LOSSES},
    }
    # its ensembles do not go on with a new state, so that no negatives take it
    tried["sampler"] |= {"StretchMove"}
    missing = {part: set(kinds(part)) - found - NOT_BY_CONFIG for part, found in tried.items()}
    assert not any(missing.values()), missing


DISCRETE = {"BlockGibbs", "DMALA", "DULA", "Gibbs", "GibbsWithGradients"}
DISCRETE |= {"DiscreteNeighbours", "FlippedTwice"}


def without_noise(call):
    """The table of a trainer for parts that take zeros and ones, where noise is refused."""
    return {"data_noise": 0.0} if name(call) in DISCRETE else {}


@pytest.mark.parametrize("call", SAMPLERS, ids=name)
def test_a_sampler_moves_the_chains_of_a_training(call):
    rbm = name(call) == "BlockGibbs"
    energy = next(e for e in ENERGIES if name(e) == "BernoulliRBM") if rbm else MLP
    tempered = name(call) == "ReplicaExchange"
    # chains that need more than a gradient, or are not restartable, have negatives of their own
    negatives = {"kind": "TemperedPCD", "capacity": 8} if tempered else {"kind": "CD"}
    trainer = without_noise(call)
    run = run_of(sampler=call, energy=energy, negatives=negatives, trainer=trainer)
    assert type(run.sampler).__name__ == name(call)
    assert trace(run) == ()


FIXED = {"Banana", "DoubleWell", "Fixed", "Function", "Funnel", "Ring", "StudentT", "Uniform"}
FIXED |= {"DoubleWellParticles", "LatticeField", "LennardJones", "LogGaussianCox", "ManyWell"}
FIXED |= {"LogisticRegression"}


@pytest.mark.parametrize("call", [e for e in ENERGIES if name(e) not in FIXED], ids=name)
def test_an_energy_is_made(call):
    shape = (8, 8, 1) if name(call) in IMAGES else (2,)
    run = run_of(shape, energy=call)
    assert type(run.energy).__name__ == name(call)
    assert (run.norm_state is not None) == (name(call) in ("BatchNormResNet", "SpectralNorm"))


@pytest.mark.parametrize("call", [e for e in ENERGIES if name(e) in FIXED], ids=name)
def test_a_density_of_fixed_numbers_has_nothing_to_train(call):
    with pytest.raises(ValueError, match="at least one"):
        run_of(energy=call).init()


@pytest.mark.slow
@pytest.mark.parametrize("call", NEGATIVES, ids=name)
def test_negatives_are_made(call):
    tempered = {"kind": "ReplicaExchange", "sampler": MALA, "temperatures": [1.0, 2.0]}
    sampler = tempered if name(call) == "TemperedPCD" else MALA
    fitting = [loss for loss, (_, negatives) in LOSSES.items() if name(negatives) == name(call)]
    loss = {"kind": fitting[0], **LOSSES[fitting[0]][0]} if fitting else TINY["loss"]
    energy = MLP
    if loss["kind"] == "cross_entropy_loss":
        energy = next(e for e in ENERGIES if name(e) == "JEM")
    if name(call) in ("PerturbedLevels", "AdaptiveLevels"):
        energy, loss = OVER_LEVELS, {"kind": "noise_level_loss"}
    run = run_of(
        negatives=call, sampler=sampler, loss=loss, energy=energy, trainer=without_noise(call)
    )
    assert type(run.trainer.negatives).__name__ == name(call)
    assert trace(run) == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(LOSSES))
def test_a_loss_is_made(kind):
    arguments, negatives = LOSSES[kind]
    energy = next(e for e in ENERGIES if name(e) == ("JEM" if "cross" in kind else "MLP"))
    if name(negatives) == "PerturbedLevels":
        energy = OVER_LEVELS
    loss = {"kind": kind, **arguments}
    trainer = without_noise(negatives)
    run = run_of(loss=loss, negatives=negatives, energy=energy, trainer=trainer)
    assert trace(run) == ()


OPTIMISERS = [
    {"kind": "sgd", "learning_rate": 0.1},
    {"kind": "lbfgs"},
    {"kind": "lion", "learning_rate": SCHEDULE},
]


@pytest.mark.parametrize("call", OPTIMISERS, ids=name)
def test_an_optimiser_of_optax(call):
    assert trace(run_of(optim=call)) == ()
