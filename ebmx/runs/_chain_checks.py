"""Warnings about the chains of a trained run."""

import numpy as np

from .. import _warnings
from .._types import Key
from ..evaluation import diagnose, saturated_fraction
from ..evaluation._diagnostics import ConvergenceWarning
from ..evaluation._problems import largest
from ..samplers import Samples, sample
from ..training import TrainState
from ._kept_chains import adapted, at_labels
from ._run import Run, averaged
from ._sample import Drawn

_CHAINS, _SAMPLES, _THIN = 64, 100, 4
_RHAT = 1.1
_ACCEPTED = 0.01
_SATURATED = 0.2


def warn_of_chains(run: Run, state: TrainState, drawn: Drawn, key: Key) -> None:
    """Warn if samples lie at the bounds, or if chains of the density do not mix or diverge.

    Chains at a low temperature are not meant to mix, so only samplers that leave the density at
    T = 1 invariant are looked at.
    """
    bounds = run.bounds
    if bounds is not None and run.dataset is not None:
        ours, theirs = (saturated_fraction(x, bounds) for x in (drawn.x, run.dataset.train))
        if ours > theirs + _SATURATED:
            text = f"{100 * ours:.0f} % of the numbers of samples lie at the bounds {bounds}, "
            text += f"{100 * theirs:.0f} % of those of the data: if they are too black and white, "
            text += (
                "train longer, with noise on the data (--trainer.data_noise) or more chain steps"
            )
            _warnings.warn(text, ConvergenceWarning)
    if not run.sampler.is_invariant or run.num_chain_steps is None:
        return
    y = None if drawn.y is None else drawn.y[:_CHAINS]
    options = {"num_samples": _SAMPLES, "thin": _THIN, "throw": False, "key": key}
    sampler = adapted(run.sampler, state.negatives_state)
    found = sample(at_labels(averaged(state), y), sampler, drawn.x[:_CHAINS], **options)
    if np.any(np.asarray(found.result) != 0):
        text = "chains became non-finite: give the sampler a smaller step_size"
        _warnings.warn(text, ConvergenceWarning)
        return
    if run.sampler.reports_acceptance and _stand_still(found, run):
        return
    # labels differ between chains, which then have different densities
    diagnosis = diagnose(found, sampler=sampler, warn=False)
    worst = 0.0 if y is not None else largest(np.asarray(diagnosis.rhat))
    if worst > _RHAT:
        text = f"chains do not mix: R-hat is {worst:.2f} after {_SAMPLES * _THIN} steps, so the "
        text += "weights of separate modes are uncertain: train longer, or add jumps or tempering. "
        _warnings.warn(text + diagnosis.advice, ConvergenceWarning)


def _stand_still(found: Samples, run: Run) -> bool:
    """Warn if chains reject nearly all proposals: the training then saw chains that never moved."""
    rate = float(np.mean(np.asarray(found.info.acceptance)))
    if rate >= _ACCEPTED:
        return False
    energies = np.asarray(found.info.energy)
    text = f"chains stand still: of {_SAMPLES * _THIN} steps a fraction of {rate:.2g} is accepted, "
    text += f"at energies from {energies.min():.3g} to {energies.max():.3g}. A training by chains "
    text += "that do not move has no lower bound, so that energies run away: look at `acceptance` "
    text += "in the metrics and train again "
    follows = getattr(run.trainer.negatives, "adaptation", None) is not None
    if not follows and hasattr(run.sampler, "step_size"):
        text += "with steps that follow the energy, --negatives.adaptation StepSizeAdaptation, or "
    text += "with a lower learning rate"
    _warnings.warn(text, ConvergenceWarning)
    return True
