"""Calls that work, one for each public name: what a fuzz then spoils, argument by argument."""

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx.config as c
import ebmx.data as d
import ebmx.energies as e
import ebmx.evaluation as v
import ebmx.samplers as s
import ebmx.training as t

ROOMS = {"energies": e, "samplers": s, "training": t, "evaluation": v, "data": d, "config": c}

# What these are for, no user has to make.
RETURNED = {
    *("Conditioned", "ForEach", "ClassEnergy", "StepInfo", "Samples", "Ladder", "RunningMoments"),
    *("NegativesInfo", "Populations", "WeightedChains", "TrainState", "Diagnosis", "Drift"),
    *("LogZ", "OutOfDistribution", "PrecisionRecall", "SteinDiscrepancy", "Minima", "RESULTS"),
    *("EnergyPath", "EnergySlice", "HessianEigenvalues", "Disconnectivity", "Evaluation"),
    *("Recipe", "Report", "PerChain"),
}
# What takes nothing, nothing but keys to known networks, or what may be anything.
TAKES_NOTHING = {
    *("BlockGibbs", "Last", "Moments", "Directions", "NoNegatives", "FullPrecision", "BFloat16"),
    *("NoProgress", "TqdmProgress", "shape_of", "as_scalar", "for_each", "value_and_gradient"),
    *("save_position", "save_position_and_energy", "to_dict", "show_config", "forget_unread"),
    *("cifar10", "deep", "mnist", "uva_mnist"),
}
# What works on a folder for minutes: the command line and the parts of it are spoiled instead.
WHOLE_RUNS = {"train_run", "resume_run", "evaluate_run", "frechet_judge", "check_config"}
# Shown, in a room whose names are looked at by its own tests.
LANDSCAPES = {
    *("barrier_height", "disconnectivity", "energy_slice", "hessian_eigenvalues"),
    *("local_minima", "minimum_energy_path", "straight_path"),
}

KEY = jax.random.key(0)
SHAPE = (2,)


@dataclasses.dataclass(frozen=True)
class Call:
    """A function, arguments with which it works, and other words by which it may name them."""

    function: Callable
    arguments: dict[str, Any]
    also: dict[str, str] = dataclasses.field(default_factory=dict)
    passes_nan: tuple[str, ...] = ()
    """Where a value that is not finite gives a result that is not, as the documentation says."""
    any_of: tuple[str, ...] = ()
    """Arguments that may be anything at all."""


@functools.cache
def table() -> dict[str, Call]:
    """All calls, by `room.name`."""
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    labels = np.arange(6) % 3
    images = np.random.default_rng(0).uniform(-1, 1, (6, 4, 4, 1)).astype(np.float32)
    gaussian, mlp = e.Gaussian(np.zeros(2), 1.0), e.MLP(SHAPE, (3,), key=KEY)
    network = e.MLPNetwork(SHAPE, 3, (4,), key=KEY)
    conditional = e.Conditional(network, num_labels=3, key=KEY)
    jem, chains = e.JEM(network), s.Langevin(0.1)
    rbm = e.BernoulliRBM(np.ones((3, 2)), np.zeros(3), np.zeros(2))
    spectral, state = eqx.nn.make_with_state(e.SpectralNorm)(mlp, key=KEY)
    negatives = t.PCD(chains, 1, capacity=8)
    trainer = t.Trainer(optax.sgd(0.1), negatives)
    started = trainer.init(mlp, key=KEY)
    ladder = s.ReplicaExchange(s.MALA(0.1), jnp.array([1.0, 2.0]))
    samples = s.sample(gaussian, chains, x, num_samples=4, key=KEY)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    t.save(folder / "energy", mlp)
    t.fit(
        trainer,
        started,
        [x],
        num_steps=1,
        key=KEY,
        progress=t.NoProgress(),
        checkpoints=t.Checkpoints(folder / "saved"),
    )
    bits = np.random.default_rng(0).integers(0, 2, (8, 3)).astype(np.float32)
    two = {"a": x, "b": x + 1}
    of_points = {"also": {"a": "a|b", "b": "a|b"}}
    net = {"shape": (4, 4, 1), "hidden_dims": (4,), "key": KEY}
    langevin = {
        "step_size": 0.1,
        "noise_scale": 0.1,
        "grad_clip": 1.0,
        "bounds": (-1.0, 1.0),
        "boundary": "clip",
        "increments": s.normal,
    }
    pair = {"energy": mlp, "positives": x, "negatives": x}
    of_pair = {
        "also": {"energy": "positives|shape", "positives": "x|shape", "negatives": "x|shape"},
        "passes_nan": ("positives", "negatives"),
    }
    run = {"energy": gaussian, "sampler": chains, "x": x, "key": KEY}
    sampled = {"also": {"energy": r"energy|shape|x"}, "passes_nan": ("x",)}
    evaluated = {"also": {"model": r"energy|x|shape"}, "passes_nan": ("x",)}
    energy_calls = {
        "Banana": Call(e.Banana, {"scale": 2.0, "bend": 0.5}),
        "BatchNormResNet": Call(e.BatchNormResNet, net),
        "BernoulliRBM": Call(
            e.BernoulliRBM,
            {"weight": np.ones((3, 2)), "visible_bias": np.zeros(3), "hidden_bias": np.zeros(2)},
            {"weight": "weight|visible_bias|hidden_bias"},
        ),
        "Box": Call(
            e.Box,
            {"energy": gaussian, "low": -1.0, "high": np.ones(2)},
            {"low": "high", "energy": "energies"},
        ),
        "Conditional": Call(
            e.Conditional,
            {
                "network": network,
                "num_labels": 3,
                "head": "projection",
                "activation": "silu",
                "key": KEY,
            },
        ),
        "ConvNet": Call(
            e.ConvNet,
            {
                **{"shape": (8, 8, 1), "widths": (3, 4), "kernel_sizes": (3, 3), "strides": 2},
                **{"paddings": (1, 1), "hidden_dims": (4,), "activation": "silu"},
                **{"head": "flatten", "compute_dtype": "float32", "key": KEY},
            },
        ),
        "ConvNetwork": Call(
            e.ConvNetwork, {"shape": (8, 8, 1), "out_size": 2, "widths": (3,), "key": KEY}
        ),
        "Convolution": Call(
            e.Convolution,
            {
                **{"in_channels": 1, "out_channels": 2, "size": 3},
                **{"stride": 1, "padding": 1, "key": KEY},
            },
        ),
        "DoubleWell": Call(e.DoubleWell, {"shape": SHAPE, "height": 2.0}),
        "Function": Call(e.Function, {"function": jnp.sum, "shape": SHAPE}),
        "Funnel": Call(e.Funnel, {"dim": 3, "scale": 3.0}),
        "Gaussian": Call(
            e.Gaussian, {"mean": np.zeros(2), "covariance": np.eye(2)}, {"mean": "covariance"}
        ),
        "GaussianMixture": Call(
            e.GaussianMixture,
            {"means": np.zeros((2, 2)), "scales": np.ones(2), "weights": np.ones(2)},
            {"means": "scales|weights"},
        ),
        "JEM": Call(e.JEM, {"network": network, "shape": SHAPE}),
        "MLP": Call(
            e.MLP,
            {
                "shape": SHAPE,
                "hidden_dims": (4,),
                "activation": "silu",
                "compute_dtype": "float32",
                "key": KEY,
            },
        ),
        "MLPNetwork": Call(
            e.MLPNetwork, {"shape": SHAPE, "out_size": 2, "hidden_dims": (4,), "key": KEY}
        ),
        "Marginal": Call(e.Marginal, {"energy": conditional}),
        "Mixture": Call(
            e.Mixture,
            {"energies": (gaussian, gaussian), "weights": np.ones(2)},
            {"energies": "shapes|weights"},
        ),
        "Normalised": Call(
            e.Normalised, {"energy": gaussian, "constant": 0.5}, {"energy": "energies"}
        ),
        "Product": Call(e.Product, {"energies": (gaussian, mlp)}),
        "ResNet": Call(
            e.ResNet, {**net, "norm": "none", "strides": 2, "blocks_per_stage": 1, "head": "sum"}
        ),
        "ResNetwork": Call(e.ResNetwork, {**net, "out_size": 2, "norm": "none"}),
        "Ring": Call(e.Ring, {"radius": 3.0, "scale": 0.3}),
        "SpectralNorm": Call(
            lambda **o: eqx.nn.make_with_state(e.SpectralNorm)(**o),
            {"energy": mlp, "num_iterations": 3, "key": KEY},
        ),
        "StudentT": Call(e.StudentT, {"shape": SHAPE, "dof": 5.0}),
        "Uniform": Call(e.Uniform, {"low": np.zeros(2), "high": np.ones(2)}, {"low": "high"}),
        "Weighted": Call(e.Weighted, {"energy": gaussian, "weight": 2.0}, {"energy": "energies"}),
        "advance": Call(
            e.advance,
            {"energy": spectral, "state": state, "x": x},
            {"energy": "energy|state"},
            ("x",),
        ),
        "conjunction": Call(
            e.conjunction,
            {"energy": conditional, "conditions": [0, 1], "base": gaussian},
            {"conditions": "y", "base": "energies|shapes"},
        ),
        "energy": Call(e.energy, {"model": gaussian, "x": x}, **evaluated),
        "freeze": Call(e.freeze, {"energy": spectral, "state": state}, {"energy": "energy|state"}),
        "log_density_unnormalised": Call(
            e.log_density_unnormalised, {"model": gaussian, "x": x}, **evaluated
        ),
        "resnet": Call(e.resnet, {**net, "norm": "spectral"}),
        "score": Call(e.score, {"model": gaussian, "x": x}, **evaluated),
    }
    sampler_calls = {
        "Annealed": Call(
            s.Annealed, {"sampler": chains, "schedules": {"temperature": s.Linear(2.0, 1.0, 5)}}
        ),
        "Barker": Call(s.Barker, {"step_size": 0.1}),
        "BlackJAX": Call(
            s.BlackJAX,
            {
                "init": s.MALA(0.1).kernel(x[0]).init_fn,
                "kernel": s.MALA(0.1).kernel(x[0]).kernel,
                "step_size": 0.1,
            },
            any_of=("step_size",),
        ),
        "Cycle": Call(s.Cycle, {"samplers": (chains, s.MALA(0.1))}),
        "Diagonal": Call(s.Diagonal, {"scale": np.ones(2)}),
        "Geometric": Call(
            s.Geometric, {"start": 2.0, "end": 1.0, "num_steps": 5}, any_of=("num_steps",)
        ),
        "HMC": Call(
            s.HMC, {"step_size": 0.1, "num_integration_steps": 2, "inverse_mass_matrix": np.ones(2)}
        ),
        "Independence": Call(s.Independence, {"proposal": gaussian}),
        "Langevin": Call(s.Langevin, {**langevin, "report_acceptance": False}),
        "Linear": Call(s.Linear, {"start": 2.0, "end": 1.0, "num_steps": 5}, any_of=("num_steps",)),
        "MALA": Call(s.MALA, {"step_size": 0.1}),
        "MCLMC": Call(s.MCLMC, {"step_size": 0.1, "decoherence_length": 1.0}),
        "Mixture": Call(
            s.Mixture,
            {"samplers": (chains, s.MALA(0.1)), "weights": np.ones(2)},
            {"samplers": "weights"},
        ),
        "NUTS": Call(
            s.NUTS, {"step_size": 0.1, "inverse_mass_matrix": np.ones(2), "max_num_doublings": 3}
        ),
        "PreconditionedLangevin": Call(
            s.PreconditionedLangevin, {**langevin, "preconditioner": s.RMSProp()}
        ),
        "RMSProp": Call(s.RMSProp, {"decay": 0.9, "damping": 0.1}),
        "ReplicaExchange": Call(
            s.ReplicaExchange,
            {"sampler": s.MALA(0.1), "temperatures": np.array([1.0, 2.0]), "scale_step": True},
        ),
        "Trace": Call(s.Trace, {"function": s.save_position}),
        "UnderdampedLangevin": Call(s.UnderdampedLangevin, {**langevin, "friction": 1.0}),
        "annealed": Call(s.annealed, {"sampler": chains, "temperature": s.Linear(2.0, 1.0, 5)}),
        "binomial": Call(s.binomial, {"key": KEY, "shape": SHAPE, "dtype": jnp.float32}),
        "displacement_budget": Call(s.displacement_budget, {"sampler": chains, "num_steps": 3}),
        "normal": Call(s.normal, {"key": KEY, "shape": SHAPE, "dtype": jnp.float32}),
        "rademacher": Call(s.rademacher, {"key": KEY, "shape": SHAPE, "dtype": jnp.float32}),
        "run": Call(s.run, {**run, "num_steps": 2}, **sampled),
        "run_replicas": Call(
            s.run_replicas,
            {
                "energy": gaussian,
                "sampler": ladder,
                "replicas": x.reshape(3, 2, 2),
                "num_steps": 2,
                "key": KEY,
            },
            {"energy": "energy|shape|replicas"},
            ("replicas",),
        ),
        "sample": Call(
            s.sample,
            {
                **run,
                **{"num_samples": 2, "num_warmup": 1, "thin": 2, "save": s.save_position},
                **{"throw": True, "mesh": None},
            },
            {"energy": r"energy|shape|x", "x": "x|chains?"},
        ),
        "warmup": Call(
            s.warmup,
            {
                **run,
                "sampler": s.MALA(0.1),
                "num_steps": 20,
                "target_acceptance": 0.6,
                "per_chain": False,
            },
            {"energy": r"energy|shape|x"},
            ("x",),
        ),
    }
    training_calls = {
        "AdaptiveSteps": Call(
            t.AdaptiveSteps,
            {"negatives": negatives, "lowest": 1, "highest": 10, "tolerance": 0.25, "gain": 0.05},
            {"lowest": "highest"},
        ),
        "CD": Call(t.CD, {"sampler": chains, "num_steps": 1}),
        "Checkpoints": Call(
            t.Checkpoints,
            {
                "folder": folder / "new",
                "every": 5,
                "keep": 2,
                "asynchronous": False,
                "config": {"a": 1},
            },
        ),
        "Classifier": Call(
            t.Classifier, {"shape": (4, 4, 1), "num_classes": 2, "num_features": 3, "key": KEY}
        ),
        "Examples": Call(
            t.Examples,
            {"x": x, "y": labels, "log_weights": np.zeros(6)},
            passes_nan=("x", "log_weights"),
            any_of=("x", "y", "log_weights"),
        ),
        "GaussianNoise": Call(t.GaussianNoise, {"mean": 0.5, "scale": 1.0}),
        "Grid": Call(
            t.Grid,
            {"low": np.zeros(1), "high": np.ones(1), "num": 5},
            {"low": "high", "high": "low"},
        ),
        "Jarzynski": Call(
            t.Jarzynski,
            {
                **{"sampler": s.MALA(0.1), "num_steps": 1, "num_chains": 4, "num_held_out": 2},
                **{"noise": t.UniformNoise(), "resample_below": 0.5, "num_negatives": 3},
                **{"adaptation": t.StepSizeAdaptation()},
            },
        ),
        "Neighbours": Call(t.Neighbours, {"sigma": 0.3, "num": 2}),
        "NoiseSamples": Call(t.NoiseSamples, {"noise": t.UniformNoise(), "ratio": 2}),
        "PCD": Call(
            t.PCD,
            {
                **{"sampler": chains, "num_steps": 1, "capacity": 8, "reinit_prob": 0.1},
                **{"noise": t.UniformNoise(), "adaptation": t.StepSizeAdaptation()},
                **{"num_labels": 2, "label_shares": np.ones(2), "restart": "alike"},
                **{"augment": lambda x, *, key: x, "storage": t.BFloat16(), "num_shards": 2},
            },
            {"num_labels": "label_shares", "num_shards": "capacity"},
        ),
        "Perturbed": Call(t.Perturbed, {"sigma": np.array([0.1, 0.2])}),
        "PerturbedTwice": Call(t.PerturbedTwice, {"time": 0.25, "num": 2}),
        "Recovery": Call(t.Recovery, {"sampler": chains, "sigma": 0.3, "num_steps": 2}),
        "ReplayBuffer": Call(
            t.ReplayBuffer,
            {
                **{"positions": jnp.zeros((8, 2)), "ages": jnp.zeros(8, int)},
                **{"log_scales": jnp.zeros(8), "labels": jnp.zeros(8, int)},
                **{"storage": t.FullPrecision(), "num_shards": 2},
            },
            {"positions": "num_shards|ages"},
            passes_nan=("positions", "log_scales"),
        ),
        "ShortRun": Call(
            t.ShortRun, {"sampler": chains, "num_steps": 2, "noise": t.UniformNoise()}
        ),
        "StepSizeAdaptation": Call(t.StepSizeAdaptation, {"target": 0.5, "gain": 0.1}),
        "TemperedPCD": Call(
            t.TemperedPCD,
            {
                "sampler": ladder,
                "num_steps": 1,
                "capacity": 8,
                "reinit_prob": 0.1,
                "noise": t.UniformNoise(),
            },
        ),
        "Trainer": Call(
            t.Trainer,
            {
                **{"optim": optax.sgd(0.1), "negatives": negatives, "loss": t.contrastive_loss},
                **{"ema_decay": 0.9, "data_noise": 0.1},
            },
        ),
        "TransportPairs": Call(
            t.TransportPairs, {"noise": t.UniformNoise(), "num_iterations": 3, "temperature": 0.1}
        ),
        "UInt8": Call(t.UInt8, {"low": -1.0, "high": 1.0}, {"low": "high"}),
        "UniformNoise": Call(t.UniformNoise, {"low": -1.0, "high": 1.0}, {"low": "high"}),
        "Watchdog": Call(
            t.Watchdog,
            {
                **{"max_energy": 1e3, "max_gap": 1e2, "max_saturated": 0.9, "min_distinct": 0.5},
                **{
                    "min_chain_grad_norm": 1e-8,
                    "max_chain_grad_norm": 1e6,
                    "max_skipped": 20,
                    "patience": 2,
                },
            },
        ),
        "checkpoint_config": Call(
            t.checkpoint_config,
            {"folder": folder / "saved", "step": 1},
            {"folder": "checkpoint", "step": "checkpoint"},
        ),
        "contrastive_loss": Call(t.contrastive_loss, {**pair, "alpha": 0.1}, **of_pair),
        "cross_entropy": Call(
            t.cross_entropy,
            {**pair, "energy": jem, "positives": (x, labels)},
            **{**of_pair, "any_of": ("negatives",)},
        ),
        "denoising_score_matching": Call(
            t.denoising_score_matching, {**pair, "negatives": x + 0.1, "sigma": 0.3}, **of_pair
        ),
        "distinct_share": Call(t.distinct_share, {"x": x}, any_of=("x",)),
        "energy_discrepancy": Call(
            t.energy_discrepancy,
            {**pair, "negatives": np.repeat(x, 2, 0), "stabilise": 1.0},
            **of_pair,
        ),
        "fit": Call(
            t.fit,
            {
                **{
                    "trainer": trainer,
                    "state": started,
                    "batches": [x],
                    "num_steps": 1,
                    "key": KEY,
                },
                **{"log_every": 1, "callbacks": [lambda *_: None], "progress": t.NoProgress()},
                **{"checkpoints": None, "mesh": None},
            },
        ),
        "load": Call(
            t.load,
            {"path": folder / "energy", "like": mlp},
            {"like": "path|state", "path": "No such file"},
        ),
        "minimum_probability_flow": Call(t.minimum_probability_flow, pair, **of_pair),
        "nearest_neighbour_entropy": Call(t.nearest_neighbour_entropy, {"x": x}, passes_nan=("x",)),
        "negative_log_likelihood": Call(
            t.negative_log_likelihood,
            {
                **pair,
                "negatives": t.Grid(np.zeros(2), np.ones(2), 3).step(None, x, None, key=KEY)[0],
            },
            **of_pair,
        ),
        "noise_contrastive_loss": Call(
            t.noise_contrastive_loss, {**pair, "noise": t.GaussianNoise()}, **of_pair
        ),
        "restore": Call(
            t.restore,
            {
                **{"folder": folder / "saved", "like": started, "step": 1},
                **{"fallback": False, "config": None, "mesh": None},
            },
            {"folder": "checkpoint", "step": "checkpoint", "like": "state|structure"},
        ),
        "restore_energy": Call(
            t.restore_energy,
            {
                "folder": folder / "saved",
                "like": mlp,
                "average": True,
                "step": 1,
                "fallback": False,
            },
            {"folder": "checkpoint", "step": "checkpoint", "like": "state|structure"},
        ),
        "sampler_divergence": Call(
            t.sampler_divergence,
            {**pair, "step_size": 0.1, "entropy_weight": 0.3},
            **{**of_pair, "any_of": ("positives",)},
        ),
        "save": Call(
            t.save,
            {"path": folder / "again", "state": mlp},
            any_of=("state",),
            also={"path": "No such file"},
        ),
        "score_matching": Call(t.score_matching, pair, **{**of_pair, "any_of": ("negatives",)}),
        "shard": Call(
            t.shard, {"state": started, "mesh": jax.make_mesh((1,), ("data",))}, any_of=("state",)
        ),
        "sliced_score_matching": Call(
            t.sliced_score_matching, {**pair, "negatives": np.ones_like(x)}, **of_pair
        ),
        "train_classifier": Call(
            t.train_classifier,
            {"x": images, "labels": np.arange(6) % 2, "num_steps": 1, "batch_size": 3, "key": KEY},
            also={"x": "labels|shape"},
        ),
        "transport_matching": Call(
            t.transport_matching,
            {**pair, "negatives": t.TransportPairs().step(None, x, None, key=KEY)[0]},
            **of_pair,
        ),
        "weighted_sum": Call(
            lambda term: t.weighted_sum(term), {"term": (1.0, t.contrastive_loss)}
        ),
    }
    base = v.fit_gaussian(np.random.default_rng(1).normal(size=(50, 2)))
    evaluation_calls = {
        "Bernoulli": Call(v.Bernoulli, {"logits": np.zeros(3)}),
        "LogisticRegression": Call(v.LogisticRegression, {"ridge": 0.01, "num_steps": 2}),
        "NearestNeighbours": Call(v.NearestNeighbours, {"k": 1}),
        "adaptive_smc": Call(
            v.adaptive_smc,
            {
                **{
                    "energy": gaussian,
                    "base": base,
                    "num_particles": 8,
                    "num_islands": 2,
                    "key": KEY,
                },
                **{
                    "target_ess": 0.5,
                    "max_temperatures": 5,
                    "sampler": s.MALA(0.1),
                    "num_steps": 1,
                },
            },
            {"energy": "energy|shape|base"},
        ),
        "annealed_importance_sampling": Call(
            v.annealed_importance_sampling,
            {
                **{
                    "energy": gaussian,
                    "base": base,
                    "num_chains": 4,
                    "num_temperatures": 3,
                    "key": KEY,
                },
                **{"sampler": s.MALA(0.1), "num_steps": 1},
            },
            {"energy": "energy|shape|base"},
        ),
        "bits_per_dimension": Call(
            v.bits_per_dimension,
            {"energy": gaussian, "x": x, "log_z": 1.0, "bin_width": 0.1},
            {"energy": "energy|shape|x"},
            ("x",),
        ),
        "diagnose": Call(v.diagnose, {"samples": samples, "warn": False}),
        "drift": Call(
            v.drift,
            {
                **run,
                "num_steps": 4,
                "num_records": 2,
                "features": lambda x: x,
                "bounds": (-1.0, 1.0),
            },
            {"energy": "energy|shape|x"},
            ("x",),
            any_of=("bounds",),
        ),
        "effective_classes": Call(v.effective_classes, {"classes": np.arange(6) % 3}),
        "energy_distance": Call(v.energy_distance, two, **of_points),
        "fit_bernoulli": Call(v.fit_bernoulli, {"x": bits}),
        "fit_gaussian": Call(v.fit_gaussian, {"x": x, "shrinkage": 0.1}),
        "frechet_distance": Call(v.frechet_distance, two, **of_points),
        "kernel_distance": Call(v.kernel_distance, {**two, "degree": 3}, **of_points),
        "kernel_distance_subsets": Call(
            v.kernel_distance_subsets,
            {**two, "num_subsets": 2, "subset_size": 3, "degree": 3, "key": KEY},
            **of_points,
        ),
        "kernel_stein_discrepancy": Call(
            v.kernel_stein_discrepancy,
            {
                "energy": gaussian,
                "x": x,
                "bandwidth": 1.0,
                "exponent": -0.5,
                "num_bootstrap": 5,
                "key": KEY,
            },
            {"energy": "energy|shape|x"},
        ),
        "log_likelihood": Call(
            v.log_likelihood,
            {"energy": gaussian, "x": x, "log_z": 1.0},
            {"energy": "energy|shape|x"},
            ("x",),
        ),
        "log_z_by_enumeration": Call(
            v.log_z_by_enumeration, {"energy": rbm, "num_bits": 3}, {"num_bits": "num_bits|shape"}
        ),
        "log_z_by_quadrature": Call(
            v.log_z_by_quadrature,
            {"energy": gaussian, "low": -np.ones(2), "high": np.ones(2), "num": 5},
            {"low": "low|high", "high": "low|high", "energy": "energy|shape"},
        ),
        "nearest_distances": Call(v.nearest_distances, two, **of_points),
        "negative_max_probability": Call(
            v.negative_max_probability, {"energy": jem, "x": x}, {"energy": "energy|x"}, ("x",)
        ),
        "out_of_distribution": Call(
            v.out_of_distribution, {"scores_in": np.arange(4.0), "scores_out": np.arange(5.0)}
        ),
        "precision_recall": Call(
            v.precision_recall,
            {"real": x, "fake": x + 1, "k": 2},
            {"real": "real|fake", "fake": "real|fake"},
        ),
        "reverse_annealed_importance_sampling": Call(
            v.reverse_annealed_importance_sampling,
            {
                **{"energy": gaussian, "base": base, "x": x, "num_temperatures": 3, "key": KEY},
                **{"sampler": s.MALA(0.1), "num_steps": 1},
            },
            {"energy": "energy|shape|base|x"},
        ),
        "saturated_share": Call(
            v.saturated_share, {"x": x, "bounds": (-1.0, 1.0), "tolerance": 0.1}
        ),
        "score_norm": Call(
            v.score_norm, {"energy": gaussian, "x": x}, {"energy": "energy|shape|x"}, ("x",)
        ),
        "sliced_wasserstein": Call(
            v.sliced_wasserstein,
            {**two, "num_projections": 3, "order": 2.0, "key": KEY},
            **of_points,
        ),
        "to_arviz": Call(v.to_arviz, {"samples": samples}),
        "two_sample_auc": Call(
            v.two_sample_auc,
            {**two, "classifier": v.LogisticRegression(num_steps=2), "num_folds": 2, "key": KEY},
            **of_points,
        ),
    }
    data_calls = {
        "Dataset": Call(
            d.Dataset,
            {
                **{
                    "name": "mine",
                    "train": x,
                    "test": x,
                    "train_labels": labels,
                    "test_labels": labels,
                },
                **{"low": -1.0, "high": 1.0},
            },
            {"train": "train|train_labels", "test": "test|test_labels", "low": "high"},
            any_of=("name",),
        ),
        "batches": Call(
            lambda **o: next(d.batches(**o)),
            {"x": x, "batch_size": 2, "labels": labels, "start": 1, "key": KEY},
            also={"x": "labels"},
        ),
        "density": Call(d.density, {"name": "rings"}),
        "load": Call(
            lambda **o: d.load(**o).train,
            {"name": "digits", "test_share": 0.2, "seed": 0},
            also={"name": "path"},
        ),
        "read_idx": Call(d.read_idx, {"path": _idx(folder)}, also={"path": "No such file"}),
        "scale": Call(
            d.scale, {"x": np.arange(6).reshape(3, 2), "low": 0.0, "high": 5.0}, {"high": "low"}
        ),
        "split": Call(
            d.split, {"x": x, "labels": labels, "test_share": 0.5, "key": KEY}, also={"x": "labels"}
        ),
    }
    config = c.RunConfig(steps=1, negatives=c.NegativesConfig(capacity=128))
    c.write_config(folder / "config.toml", config)
    config_calls = {
        "build_energy": Call(
            c.build_energy,
            {
                "config": config.energy,
                "shape": (8, 8, 1),
                "objective": "contrastive",
                "num_labels": None,
                "key": KEY,
            },
        ),
        "build_negatives": Call(
            c.build_negatives,
            {"config": config.negatives, "sampler": config.sampler, "objective": config.objective},
        ),
        "build_objective": Call(
            c.build_objective, {"config": config.objective, "sampler": config.sampler}
        ),
        "build_optimiser": Call(c.build_optimiser, {"config": config.optimiser, "num_steps": 5}),
        "build_sampler": Call(c.build_sampler, {"config": config.sampler}),
        "build_trainer": Call(c.build_trainer, {"config": config, "num_steps": 5}),
        "default_config": Call(c.default_config, {"data": "digits"}, any_of=("data",)),
        "from_dict": Call(
            c.from_dict,
            {"values": c.to_dict(config), "kind": c.RunConfig},
            also={"values": "no such"},
        ),
        "read_config": Call(c.read_config, {"path": folder / "config.toml"}),
        "recipe": Call(c.recipe, {"name": "digits"}, also={"name": "recipe"}),
        "sample_run": Call(
            _sample_run,
            {"folder": folder / "none", "num": 2, "label": None, "seed": 0},
            any_of=("label", "seed"),
        ),
        "write_config": Call(
            c.write_config,
            {"path": folder / "new.toml", "config": config},
            also={"path": "No such file"},
        ),
    }
    calls = {
        "energies": energy_calls,
        "samplers": sampler_calls,
        "training": training_calls,
        "evaluation": evaluation_calls,
        "data": data_calls,
        "config": config_calls | _config_parts(),
    }
    return {f"{room}.{name}": call for room, part in calls.items() for name, call in part.items()}


def _sample_run(**options: Any) -> None:
    """It gets as far as the folder, which is empty."""
    try:
        c.sample_run(**options)
    except ValueError as error:
        if "no run in it" not in str(error) or not isinstance(options["folder"], Path):
            raise


def _idx(folder: Path) -> Path:
    path = folder / "images.idx"
    path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    return path


def _config_parts() -> dict[str, Call]:
    """The fields of each part of a config, through what is built from it."""
    full = c.RunConfig(negatives=c.NegativesConfig(capacity=128))

    def through(kind: type, use: Callable, any_of: tuple[str, ...] = ()) -> Call:
        values = {f.name: getattr(kind(), f.name) for f in dataclasses.fields(kind)}
        values |= {"grad_clip": 3.0, "noise_scale": 0.02} if kind is c.SamplerConfig else {}
        return Call(lambda **fields: use(kind(**fields)), values, any_of=any_of)

    def network(part: Any) -> Any:
        return c.build_energy(part, (8, 8, 1), key=KEY)

    return {
        "DataConfig": through(
            c.DataConfig,
            lambda part: c.build_trainer(dataclasses.replace(full, data=part), 5),
            ("name", "test_share"),
        ),
        "EnergyConfig": through(c.EnergyConfig, network),
        "NegativesConfig": through(
            c.NegativesConfig, lambda part: c.build_negatives(part, c.SamplerConfig())
        ),
        "ObjectiveConfig": through(
            c.ObjectiveConfig, lambda part: c.build_objective(part, c.SamplerConfig())
        ),
        "OptimiserConfig": through(
            c.OptimiserConfig,
            lambda part: c.build_trainer(dataclasses.replace(full, optimiser=part), 5),
        ),
        "SamplerConfig": through(c.SamplerConfig, c.build_sampler),
    }


def public() -> set[str]:
    """All names of the rooms that a user may call, by `room.name`."""
    found = set()
    for room, module in ROOMS.items():
        for name, thing in vars(module).items():
            ours = getattr(thing, "__module__", "").startswith("ebmx.") and callable(thing)
            error = isinstance(thing, type) and issubclass(thing, Exception)
            if ours and not name.startswith(("_", "Abstract")) and not error:
                found.add(f"{room}.{name}")
    return found


EXEMPT = RETURNED | TAKES_NOTHING | WHOLE_RUNS | LANDSCAPES | {"RunConfig"}
