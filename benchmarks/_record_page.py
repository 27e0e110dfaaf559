"""The page of the table of record, `docs/record.md`, and its picture."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from _record_targets import KEPT, KNOWN, NOTES

DOCS = Path(__file__).parents[1] / "docs"
PICTURE = "images/record.png"
HEAD = """# The table of record

<!-- made by `python benchmarks/record.py --page` from benchmarks/record.csv: change that -->

Each sampler on each target with the same number of evaluations of the energy (a gradient is one),
about a fifth of them for its warm-up: nothing is tuned by hand. 64 chains start from a broad normal
distribution. The numbers are medians over {seeds} seeds, with the lowest and the highest in
brackets, after {budget} evaluations for each chain, or as many as a target says.

- **bias** is the squared error of the second moment of an observable over its variance, the largest
  of all observables: 0.01 is low; what `n` independent draws have is about `1/n`. **first** is the
  same of the mean.
  The true moments come from exact samples, or from long chains of NUTS, HMC or replica
  exchange (`record.py --truth`), which agree to an R-hat of {rhat} or less.
- **ESS** counts effective draws of the mean in 1,000 evaluations, the least of all observables, of
  512 draws at most that are kept of each chain; about {most:.0f} where these are independent. Where
  the bias is large it says nothing: chains that all sit in one mode agree with each other.
- **modes** are the share of the modes that chains visit, and how far the shares of the modes are
  from the true ones, in total variation.
- **log Z** is the size of its error in nats, where it is known and the ladder has a base.
- **seconds** are those of all chains after the warm-up, compiled, on two cores that also did other
  work.

`python benchmarks/record.py --csv mine.csv --sampler NAME` makes rows of a sampler of your own,
after one line in `benchmarks/_record_samplers.py`.

![Bias of the second moments against evaluations; low is good]({picture})
"""


UNKNOWN = "Long chains disagree (R-hat {rhat}), so no moments are known, and no bias."
FAILED = "The warm-up of the long chains failed, so no moments are known, and no bias."


def write_page(rows: list[dict[str, Any]]) -> None:
    """Write the page and draw its picture."""
    (DOCS / "record.md").write_text(page(rows))
    _draw(rows, DOCS / PICTURE)


def page(rows: list[dict[str, Any]]) -> str:
    """The text of the page."""
    seeds = len({row["seed"] for row in rows})
    budget = max(int(row["budget"]) for row in rows)
    kept = {name: one["rhat"] or np.inf for name, one in json.loads(KEPT.read_text()).items()}
    rhat = max(one for one in kept.values() if one <= KNOWN)
    facts = {"seeds": seeds, "budget": f"{budget:,}", "rhat": rhat, "most": 512e3 / (0.8 * budget)}
    parts = [HEAD.format(picture=PICTURE, **facts)]
    for target in _in_order(row["target"] for row in rows):
        own = [row for row in rows if row["target"] == target]
        known = kept.get(target, 1.0) <= KNOWN
        own_budget = int(own[0]["budget"])
        notes = [NOTES[target]] if target in NOTES else []
        if own_budget != budget:
            notes.append(f"{own_budget:,} evaluations for each chain.")
        if not known:
            of_chains = UNKNOWN.format(rhat=kept[target])
            notes.append(of_chains if np.isfinite(kept[target]) else FAILED)
        parts.append("\n\n".join([f"## {target}", *notes, _table(own, known)]))
    return "\n".join(parts)


def _table(rows: list[dict[str, Any]], known: bool) -> str:
    has_modes = any(row["coverage"] for row in rows)
    knows_log_z = any(row["log_z_error"] for row in rows)
    more = [name for name, has in (("modes", has_modes), ("log Z", knows_log_z)) if has]
    head = ["sampler", *(["bias", "first"] if known else []), "ESS", *more, "seconds"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    names = _in_order(row["sampler"] for row in rows)
    cells = {name: [row for row in rows if row["sampler"] == name] for name in names}

    def place(name: str) -> float:
        # the best first
        ess = _median(cells[name], "ess")
        return _median(cells[name], "bias_2_all") if known else -ess if np.isfinite(ess) else 0.0

    for name in sorted(names, key=place):
        own = cells[name]
        share = _median(own, "coverage")
        modes = [f"{share:.0%}, {_median(own, 'mode_distance'):.3f}" if np.isfinite(share) else ""]
        errors = [abs(float(row["log_z_error"])) for row in own if row["log_z_error"]]
        log_z = [_number(float(np.median(errors)) if errors else np.inf, "")]
        failed = sum(int(row["failed"]) for row in own)
        entry = [
            name + (f" ({failed} chains failed)" if failed else ""),
            *([_spread(own, "bias_2_all"), _number(_median(own, "bias_1_all"))] if known else []),
            _number(_median(own, "ess"), "–"),
            *(modes if has_modes else []),
            *(log_z if knows_log_z else []),
            _number(_median(own, "seconds"), "–"),
        ]
        lines.append(f"| {' | '.join(entry)} |")
    return "\n".join(lines) + "\n"


def _values(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([float(row[name] or "nan") for row in rows])


def _median(rows: list[dict[str, Any]], name: str) -> float:
    values = _values(rows, name)
    # a chain that failed has no moments, and counts as the worst
    return float(np.median(np.where(np.isnan(values), np.inf, values)))


def _spread(rows: list[dict[str, Any]], name: str) -> str:
    values = np.where(np.isnan(_values(rows, name)), np.inf, _values(rows, name))
    middle, low, high = map(_number, (np.median(values), values.min(), values.max()))
    return f"{middle} ({low} to {high})" if low != "failed" else low


def _number(value: float, failed: str = "failed") -> str:
    if not np.isfinite(value):
        return failed
    return f"{value:.2g}" if 1e-4 < value < 100 else f"{value:.1e}"


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import NullFormatter

    samplers = _in_order(row["sampler"] for row in rows)
    targets = _in_order(row["target"] for row in rows if row["bias_2_all"])
    colours = dict(zip(samplers, plt.colormaps["tab20"](np.linspace(0, 1, 20)), strict=False))
    height = -(-len(targets) // 4)
    foot = (0.1 + 0.2 * -(-len(samplers) // 5)) / (2.9 * height)
    figure, axes = plt.subplots(height, 4, figsize=(13, 2.9 * height), squeeze=False)
    for axis, target in zip(axes.flat, targets, strict=False):
        own = [row for row in rows if row["target"] == target]
        draws = 0.8 * float(own[0]["budget"])
        for name in _in_order(row["sampler"] for row in own):
            chains = [row for row in own if row["sampler"] == name]
            y = [_median(chains, f"bias_2_{part}") for part in ("tenth", "third", "all")]
            axis.loglog([0.1 * draws, draws / 3, draws], y, color=colours[name], label=name)
        axis.axhline(0.01, color="0.7", linewidth=0.8, zorder=0)
        axis.set_title(target, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
    for axis in axes.flat[len(targets) :]:
        axis.set_axis_off()
    figure.supxlabel("evaluations after the warm-up", fontsize=8, y=foot)
    for axis in axes[:, 0]:
        axis.set_ylabel("bias of second moments", fontsize=8)
    lines = [Line2D([], [], color=colours[name], label=name) for name in samplers]
    figure.legend(handles=lines, ncols=5, loc="lower center", fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, foot, 1, 1))
    figure.savefig(path, dpi=110)
