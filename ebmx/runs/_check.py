"""Whether a config can be run."""

from typing import Any

import equinox as eqx
import jax

from .._arguments import guarded
from ..config._build import build_trainer
from ..config._build_energy import build_energy
from ..config._fields_read import LABELLED
from ..config._schema import RunConfig
from ._batches import count_labels, load_data, training_batches


@guarded
def check(config: RunConfig) -> str:
    """Check that a config can be run: build what it names and trace one update.

    No array is made but the data, which are loaded unless they are on the Hugging Face hub.

    Args:
        config: a config.

    Returns:
        What could not be checked, in words; nothing if that is nothing.

    Raises:
        ValueError: that names what does not fit.
    """
    name, objective = config.data.name, config.objective.kind
    if name.startswith("hf:"):
        build_trainer(config, config.steps or 1, 1 if objective in LABELLED else None)
        return f"the network was not tried on {name}, which a check does not download"
    dataset = load_data(config)
    num_labels = count_labels(config, dataset)
    trainer = build_trainer(config, config.steps or 1, num_labels)
    batch = next(training_batches(config, dataset))

    def update(key: jax.Array) -> Any:
        options = {"objective": objective, "num_labels": num_labels, "key": key}
        state = trainer.init(*build_energy(config.energy, dataset.shape, **options), key=key)
        return trainer.step(state, batch, key=key)

    eqx.filter_eval_shape(update, jax.random.key(0))
    return ""
