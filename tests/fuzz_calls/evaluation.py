"""Calls of the evaluation."""

from typing import Any

import numpy as np

import ebmx.evaluation as v
import ebmx.samplers as s

from .parts import KEY, Call


def evaluation_calls(parts: dict[str, Any]) -> dict[str, Call]:
    """Of `ebmx.evaluation`."""
    x = parts["x"]
    gaussian = parts["gaussian"]
    jem = parts["jem"]
    rbm = parts["rbm"]
    samples = parts["samples"]
    bits = parts["bits"]
    two = parts["two"]
    of_points = parts["of_points"]
    run = parts["run"]
    base = v.fit_gaussian(np.random.default_rng(1).normal(size=(50, 2)))
    return {
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
        "calibration_error": Call(
            v.calibration_error,
            {"probabilities": np.full((6, 3), 1 / 3), "labels": np.arange(6) % 3, "num_bins": 5},
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
