"""The model card of an exported energy: what it is, how to use it, what was measured."""

import json
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from ...energies import JEM, AbstractConditionalEnergy, AbstractNoiseConditionalEnergy
from .._folder import OpenRun
from .._run import is_image
from ._files import CONFIG, ENERGY, RECORD, shown_name
from ._hub import PREFIX
from ._model import Model

_PACKAGES = ("ebmx", "jax", "equinox")


def card(opened: OpenRun, model: Model, where: str, *, picture: str | None) -> str:
    """The text of `README.md`.

    Args:
        opened: the run.
        model: what is exported of it.
        where: as `load_model` takes it.
        picture: the name of a picture of samples, if there is one.

    Returns:
        Markdown, with front matter as the Hugging Face hub reads it; a license is not chosen.
    """
    parts = [
        _front_matter(model),
        f"# An energy-based model of {shown_name(opened.run.facts)}",
        _about(opened, model),
        f"![Samples of the training]({picture})" if picture else "",
        "## Use\n\n```bash\npip install 'ebmx[share]'\n```",
        f"```python\n{snippet(model, where)}```",
        _words(model),
        f"`{CONFIG}` has the whole config of the training, `{ENERGY}` the arrays of the energy "
        f"with averaged parameters and the moments of the data, `{RECORD}` the units of the data. "
        "Nothing in them is run when they are loaded, and nothing is unpickled.",
        _figures(opened),
        f"## Versions\n\n{_versions()}",
        "## License\n\nNot chosen yet: add `license:` to the lines at the top of this file.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def snippet(model: Model, where: str) -> str:
    """A program that loads the model, draws samples and evaluates the energy."""
    energy, label, value = model.energy, "", "ebmx.energy(model.energy, x)"
    if isinstance(energy, AbstractNoiseConditionalEnergy):
        with_classes = energy.num_classes is not None
        label = ", label=0" if with_classes else ""
        of_class = ".at_label(0)" if with_classes else ""
        value = f"ebmx.log_density(model.energy{of_class}, x)"
    elif isinstance(energy, AbstractConditionalEnergy):
        label, value = ", label=0", "ebmx.energy(model.energy.at(0), x)"
    elif isinstance(energy, JEM):
        label = ", label=0"
    comment = "" if where.startswith(PREFIX) else "  # the path of this folder"
    return f"""import jax

import ebmx

model = ebmx.runs.load_model({json.dumps(where, ensure_ascii=False)}){comment}
x = model.sample(16, key=jax.random.key(0){label})
print({value}.shape)  # (16,)
print(model.to_units(x).shape)  # {(16, *model.shape)}
"""


def _front_matter(model: Model) -> str:
    lines = ["---", "library_name: ebmx", "tags:", "- ebmx", "- energy-based-model", "- jax"]
    if is_image(model.shape):
        lines.append("pipeline_tag: unconditional-image-generation")
    return "\n".join([*lines, "---"])


def _about(opened: OpenRun, model: Model) -> str:
    facts, config = opened.run.facts, opened.config
    leaves = jax.tree.leaves(eqx.filter(opened.state.ema, eqx.is_inexact_array))
    numbers = sum(leaf.size for leaf in leaves)
    classes = "" if facts.num_labels is None else f" of {facts.num_labels} classes"
    return (
        f"A `{config['energy']['kind']}` with {numbers:,} numbers, trained with ebmx by "
        f"{int(opened.state.step):,} updates on `{shown_name(facts)}`, examples of shape "
        f"{model.shape}{classes}. The energy is a function of one example, `E(x)`, and "
        f"the density is `exp(-E(x)) / Z`{_temperature(model)}."
    )


def _temperature(model: Model) -> str:
    """What of the density if the chains of the training were cold."""
    found = float(getattr(model.sampler, "effective_temperature", 1.0))
    if isinstance(model.energy, AbstractNoiseConditionalEnergy) or found == 1.0:
        return ""
    return f" with `E/T` in place of `E`, at the temperature T = {found:.3g} of its chains"


def _words(model: Model) -> str:
    """How `sample` draws, and what the units are."""
    low, high = model.facts.span
    if isinstance(model.energy, AbstractNoiseConditionalEnergy):
        how = "Samples go down the noise levels and have the noise of the lowest one."
    elif model.num_steps is None:
        start = "a Gaussian of the data's moments"
        if model.facts.binarise is not None:
            start = "independent bits of the data's means"
        how = f"Samples are made by sequential Monte Carlo from {start}."
    else:
        sampler = re.sub(r"(?<=\()\s+|\s+(?=\))", "", " ".join(repr(model.sampler).split()))
        how = f"Samples are chains of {model.num_steps:,} steps of `{sampler}` from noise."
    scale = f"[{low:g}, {high:g}] at the ends of the range of the data"
    if model.config["data"].get("standardise", False):
        scale = "0 at the mean of each column and 1 a standard deviation from it"
    return f"{how} The scale of the model is {scale}; `to_units` and `from_units` go both ways."


def _figures(opened: OpenRun) -> str:
    """What the run has measured of this state, as it stands in its reports."""
    parts, step = [], int(opened.state.step)
    trained = _read(opened.folder / "report.json")
    if trained.get("updates") == step and trained.get("frechet_ratio") is not None:
        text = "The Fréchet ratio, the distance of samples to test data over that of as many "
        text += "training data, "
        text += f"is {trained['frechet_ratio']:.3f} ({trained.get('num_samples')} samples: "
        parts.append(f"{text}{trained.get('samples_from')}).")
    pages = [p.parent for p in opened.folder.glob("evaluation*/report.md")]
    fits = [p for p in pages if _read(p / "report.json").get("run", {}).get("updates") == step]
    if fits:
        page = max(fits, key=lambda p: (p / "report.md").stat().st_mtime_ns)
        text = (page / "report.md").read_text(encoding="utf-8")
        text = re.sub(r"^!\[.*\n?|^# .*\n", "", text, flags=re.MULTILINE)
        text = text.replace(opened.run.facts.name, shown_name(opened.run.facts))
        text = re.sub(r"^##", "###", text, flags=re.MULTILINE)
        parts.append(re.sub(r"\n{3,}", "\n\n", text).strip())
    if not parts:
        parts.append("This state has not been evaluated: `ebmx evaluate RUN` measures it.")
    return "\n\n".join(["## Figures", *parts])


def _read(path: Path) -> dict[str, Any]:
    """A report; an empty one if it is missing, or not of ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _versions() -> str:
    versions = [f"{name} {metadata.version(name)}" for name in _PACKAGES]
    return ", ".join([*versions, f"Python {platform.python_version()}"])
