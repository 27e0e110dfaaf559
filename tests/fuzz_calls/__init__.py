"""Calls that work, one for each public name: what a fuzz then spoils, argument by argument."""

import functools

import ebmx.config as c
import ebmx.data as d
import ebmx.energies as e
import ebmx.evaluation as v
import ebmx.samplers as s
import ebmx.training as t

from .data_and_config import config_calls, config_parts, data_calls
from .energies import energy_calls
from .evaluation import evaluation_calls
from .parts import Call, parts
from .samplers import sampler_calls
from .training import training_calls

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


@functools.cache
def table() -> dict[str, Call]:
    """All calls, by `room.name`."""
    shared = parts()
    calls = {
        "energies": energy_calls(shared),
        "samplers": sampler_calls(shared),
        "training": training_calls(shared),
        "evaluation": evaluation_calls(shared),
        "data": data_calls(shared),
        "config": config_calls(shared) | config_parts(),
    }
    return {f"{room}.{name}": call for room, part in calls.items() for name, call in part.items()}


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
