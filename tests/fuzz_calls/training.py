"""Calls of the training."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx.samplers as s
import ebmx.training as t

from .parts import KEY, Call


def training_calls(parts: dict[str, Any]) -> dict[str, Call]:
    """Of `ebmx.training`."""
    x = parts["x"]
    labels = parts["labels"]
    images = parts["images"]
    mlp = parts["mlp"]
    jem = parts["jem"]
    chains = parts["chains"]
    negatives = parts["negatives"]
    trainer = parts["trainer"]
    started = parts["started"]
    ladder = parts["ladder"]
    folder = parts["folder"]
    pair = parts["pair"]
    of_pair = parts["of_pair"]
    return {
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
