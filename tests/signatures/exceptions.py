"""What no signature says: arguments that have to fit each other, files, and what is left out."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax

import ebmx.config as c
import ebmx.energies as e
import ebmx.runs as r
import ebmx.samplers as s
import ebmx.training as t

from .values import IMAGE, KEY, LABELS, Later, X, shared

LEFT_OUT = {
    "made by the library alone": """StepInfo Samples
        NegativesInfo TrainState
        RESULTS OpenRun Model""",
    "takes nothing, or nothing but a key": """BlockGibbs Last Moments RandomProjections DataOnly
        Ancestral ProbabilityFlow BFloat16 TqdmProgress constant deep mnist Exp
        Identity Softplus StickBreaking recipes""",
    "needs a package that the tests do not install": "WandB MLflow Trackio",
    "called inside compiled functions, where nothing is checked": "save_position_and_energy",
    "works on a folder for minutes; its command is spoiled": "train resume evaluate open check",
    "works on a folder, and has tests of its own": "export load_model",
}
"""Public names that are not called, by the reason."""


def _annealed(sampler: s.AbstractSampler, temperature: Callable) -> Any:
    return s.Annealed(sampler, temperature=temperature)


def _blackjax(init: Callable, kernel: Callable, step_size: float) -> Any:
    return s.BlackJAX(init, kernel, step_size=step_size)


@functools.wraps(e.SpectralNorm)
def _spectral_norm(**options):
    return eqx.nn.make_with_state(e.SpectralNorm)(**options)


@functools.wraps(r.sample)
def _sample_run(**options):
    try:
        return r.sample(**options)
    except ValueError as error:
        # it gets as far as the folder, which is empty
        if "holds no trained run" not in str(error) or not isinstance(options["run"], Path):
            raise


STAND_INS = {
    **{"samplers.Annealed": _annealed, "samplers.BlackJAX": _blackjax},
    "runs.sample": _sample_run,
    "energies.SpectralNorm": _spectral_norm,
}
"""Functions with a full signature, where a public one takes `*args`, or checks later."""

OPTIONS = {}
"""Where the `**options` of a function are described."""


def _file(name, content):
    path = shared("folder") / name
    path.write_bytes(content)
    return path


def _step(negatives):
    return negatives.step(None, t.Examples(X), None, key=KEY)[0]


def _grid():
    return t.QuadraturePoints(np.zeros(2), np.ones(2), 3)


def _kernel():
    return s.MALA(0.1).kernel(X[0])


def _bits():
    return (X > 0).astype(np.float32)


_OF_SITES = "pseudo_likelihood_loss ratio_matching_loss"


def _ladder():
    base = e.Gaussian(np.zeros(2), 2.0)
    return s.ReplicaExchange(s.MALA(0.1), np.array([1.0, np.inf]), base=base)


_LINE = np.arange(3.0)
_MLP, _STARTED, _JEM, _CONDITIONAL, _OVER_LEVELS = (
    Later(shared, name) for name in ("mlp", "started", "jem", "conditional", "over levels")
)
_LEVEL_LOSSES = "noise_level_loss level_classification_loss level_derivative_loss"
NEEDS = [
    ("x", np.zeros(IMAGE, np.float32), "RandomImage"),
    ("shape", IMAGE, "ResNet BatchNormResNet ConvNet Classifier UNet"),
    ("shape", (2,), "JEM"),
    ("kernel_sizes", 3, "ConvNet"),
    ("paddings", 1, "ConvNet"),
    ("num_labels", 3, "Conditional"),
    ("energy", _MLP, "SpectralNorm"),
    ("energy", _CONDITIONAL, "Marginal"),
    ("energy", _JEM, "cross_entropy_loss"),
    ("energy", Later(lambda: shared("spectral")[0]), "advance freeze"),
    ("energy", Later(lambda: shared("classes over levels")), "guided"),
    ("energy", _OVER_LEVELS, f"ClampedLevels sample_levels Calibrated {_LEVEL_LOSSES}"),
    ("energy", _OVER_LEVELS, "probability_flow_log_density calibrate_levels"),
    ("log_z", Later(lambda: np.zeros(shared("over levels").levels.sigma.size)), "Calibrated"),
    ("energies", Later(lambda: (shared("over levels"),) * 2), "NoiseMixture"),
    ("energies", Later(lambda: (e.ConvNet(IMAGE, (2,), key=KEY),)), "MultiScale"),
    ("network", Later(shared, "modulated"), "NoiseConditional"),
    ("sigma", np.array([0.1, 8.0]), "NoiseLevels sample_levels"),
    ("start", np.zeros((2, 2), np.float32), "sample_levels"),
    ("low", 0.1, "geometric_levels cosine_levels FourierFeatures"),
    ("high", 8.0, "geometric_levels cosine_levels FourierFeatures"),
    ("state", Later(lambda: shared("spectral")[1]), "advance freeze"),
    ("mask", np.array([True, False]), "Clamped ClampedLevels"),
    ("y", X[0], "ClampedLevels"),
    ("sizes", (1, 1), "Blockwise"),
    ("labels", LABELS % 2, "LogisticRegression"),
    ("example", {"x": np.zeros(2)}, "Raveled"),
    ("function", Later(lambda: lambda tree: jnp.sum(tree["x"])), "Raveled"),
    ("energy", Later(e.BernoulliRBM, np.ones((3, 2)), _LINE, X[0]), "log_z_by_enumeration"),
    ("num_bits", 3, "log_z_by_enumeration"),
    ("temperature", Later(optax.linear_schedule, 2.0, 1.0, 5), "Annealed"),
    ("state", None, "samplers.sample"),
    ("replicas", np.zeros((3, 2, 2), np.float32), "run_replicas log_z_by_tempering"),
    ("init", Later(lambda: _kernel().init_fn), "BlackJAX"),
    ("kernel", Later(lambda: _kernel().kernel), "BlackJAX"),
    ("sampler", Later(s.Langevin, 0.1, grad_clip=1.0), "displacement_budget"),
    ("sampler", Later(s.MALA, 0.1), "ReplicaExchange warmup Jarzynski"),
    ("sampler", Later(_ladder), "tune_ladder log_z_by_tempering"),
    ("num_steps", 20, "warmup"),
    ("prior", Later(e.Gaussian, np.zeros(2)), "EllipticalSlice"),
    ("num_steps", 60, "tune_ladder"),
    ("target_acceptance", 0.6, "warmup tune_ladder"),
    ("num_chains", 4, "Jarzynski"),
    ("num_negatives", 3, "Jarzynski"),
    ("negatives", t.DataOnly(), "Trainer"),
    ("loss", t.score_matching_loss, "Trainer"),
    ("num_labels", 2, "PCD TemperedPCD"),
    ("num_shards", 2, "ReplayBuffer"),
    ("labels", np.zeros(8, int), "ReplayBuffer"),
    ("folder", Later(lambda: shared("trained") / "saved"), "restore restore_energy"),
    ("step", 1, "restore restore_energy"),
    ("like", _STARTED, "restore"),
    ("like", _MLP, "restore_energy load_energy"),
    ("path", Later(lambda: shared("trained") / "energy"), "training.load_energy"),
    ("where", Later(lambda: shared("trained") / "energy"), "runs.load_energy"),
    ("positives", t.Examples(X, LABELS), "cross_entropy_loss"),
    ("positives", t.Examples(np.full((6, 2), 0.5, np.float32)), "negative_log_likelihood_loss"),
    ("negatives", t.Examples(np.repeat(X, 2, 0)), "energy_discrepancy_loss"),
    ("positives", Later(lambda: t.Examples(_bits())), _OF_SITES),
    ("negatives", Later(lambda: t.Examples(np.repeat(1 - _bits(), 2, 0))), _OF_SITES),
    ("negatives", t.Examples(np.ones_like(X)), "sliced_score_matching_loss"),
    ("negatives", t.Examples(X + 1, np.full(6, 8.0, np.float32)), _LEVEL_LOSSES),
    ("negatives", Later(lambda: _step(_grid())), "negative_log_likelihood_loss"),
    ("negatives", Later(lambda: _step(t.TransportPairs())), "transport_matching_loss"),
    ("noise", Later(t.GaussianNoise), "noise_contrastive_loss"),
    ("losses", (t.contrastive_loss, t.cross_entropy_loss), "WeightedSum"),
    ("weights", (1.0, 2.0), "WeightedSum"),
    ("negatives", Later(lambda: t.CD(s.MALA(0.1), 1)), "Trainer"),
    ("loss", t.contrastive_loss, "Trainer"),
    ("x", np.zeros((6, *IMAGE), np.float32), "train_classifier"),
    ("labels", LABELS % 2, "train_classifier"),
    ("num_particles", 8, "adaptive_smc"),
    ("base", Later(shared, "gaussian"), "annealed_importance_sampling adaptive_smc"),
    ("x", np.eye(4, dtype=np.float32), "fit_bernoulli fit_categorical"),
    ("weight", np.ones((3, 2, 2)), "CategoricalRBM"),
    ("visible_bias", np.zeros((3, 2)), "CategoricalRBM"),
    ("num_steps", 4, "drift"),
    ("num_steps", 200, "local_minima"),
    ("x", X[0], "hessian_eigenvalues"),
    ("a", X[0], "minimum_energy_path"),
    ("b", X[1], "minimum_energy_path"),
    ("name", "digits", "data.load recipe"),
    ("name", "rings", "plane"),
    ("name", "plane", "pretrained"),
    ("call", {"kind": "MALA", "step_size": 0.1}, "config.build"),
    ("known", {"shape": (2,)}, "config.build"),
    ("config", Later(c.recipe, "digits"), "merge show_config write_config"),
    ("changes", {"seed": 3}, "merge"),
    ("path", Later(lambda: shared("folder") / "written"), "training.save_energy write_config"),
    ("path", Later(_file, "config.toml", b"num_steps = 1\n"), "read_config"),
    ("run", Later(lambda: shared("folder") / "none"), "runs.sample"),
    ("num_steps_without_noise", 0, "runs.sample"),
    ("images", np.zeros((2, 3, *IMAGE)), "chain_strip"),
    ("steps", _LINE[:2], "chain_traces"),
    ("history", {"one": _LINE}, "training_curves"),
    ("energies", _LINE[:2], "disconnectivity_graph"),
    ("merges", np.array([[0.0, 1.0, 2.0]]), "disconnectivity_graph"),
    ("a", _LINE, "energy_landscape"),
    ("b", _LINE[:2], "energy_landscape"),
    ("energies", np.ones((2, 3)), "energy_landscape"),
    ("paths", {"one": (_LINE, _LINE)}, "energy_profile"),
    ("groups", {"one": np.zeros((3, *IMAGE))}, "sample_grid"),
    ("sets", {"one": np.zeros((3, 2))}, "pairwise_marginals"),
    ("warn", False, "diagnose"),
    ("swap_rates", np.full((1, 1), 0.5), "temperature_ladder"),
]
"""Arguments of which the convention does not hold, and where."""

ANYTHING = {
    **{"data.Dataset": "name reading", "data.prefetch": "batches"},
    **{"training.save_energy": "energy", "training.WeightedSum": "weights"},
    "training.Objective": "name",
    "energies.ResNet": "attention",  # of no stage: an empty tuple spoils nothing
    "runs.sample": "label seed num_steps_without_noise",
    **{"training.Examples": "x y log_weights", "training.cross_entropy_loss": "negatives"},
    **{
        "training.score_matching_loss": "negatives",
        "training.sampler_divergence_loss": "positives",
    },
    **{
        "training.shard": "state",
        "samplers.BlackJAX": "step_size",
    },
    "energies.UNet": "attention",  # no stages by default, and an empty tuple stays as it is
    **{"evaluation.drift": "bounds", "plotting.energy_histogram": "name"},
}
"""Arguments that may be anything at all, or that are not looked at."""

ZERO = {
    "energies.SpectralNorm": "num_iterations",
    "plotting.chain_strip": "steps",
    "evaluation.minimum_energy_path": "num_steps",
}
"""Numbers below 1 that pass, against the convention for the name."""

PASSES = {
    **dict.fromkeys(("energies.energy", "energies.score", "samplers.run"), "x"),
    **dict.fromkeys(("energies.log_density", "evaluation.log_likelihood"), "x"),
    **dict.fromkeys(("evaluation.probability_flow_log_density", "energies.advance"), "x"),
    **{"samplers.run_replicas": "replicas", "samplers.tune_ladder": "x"},
    "evaluation.log_z_by_tempering": "replicas",
    "samplers.sample_levels": "start",
    "training.ReplayBuffer": "positions ages log_scales labels",
    "evaluation.minimum_energy_path": "a b",
}
"""Arrays in which values that are not finite pass."""

FINITE = {
    **{"evaluation.kernel_stein_discrepancy": "x", "evaluation.local_minima": "starts"},
    "evaluation.annealed_importance_sampling": "samples",
    "evaluation.disconnectivity": "minima",
}
"""JAX arrays of functions in which they do not pass."""

NAN_RESULTS = ("evaluation.minimum_energy_path",)
"""Functions that return NaN for what they do not measure."""
