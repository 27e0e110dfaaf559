"""The command line: `ebmx train`, `sample`, `evaluate`, `export`, and what lists and checks."""

import argparse
import contextlib
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from . import runs
from ._compilation_cache import keep_compiled
from ._output import notices, report_training, say
from ._parser import config_options, make_parser, unknown_argument
from ._samples import check_shape, free_stem, stem_of, write_samples
from .config import merge, read_config, recipe, recipes, show_config
from .config._describe import describe
from .config._recipes import recipe_for
from .config._tables import DATA, change
from .data import Dataset
from .data._load import SOURCES, load_where
from .training import DivergedError

_INTERRUPTED = 130
_OF_LOADING = [key for key in DATA if key not in ("name", "batch_size", "standardise")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    if arguments is None:  # a process of its own
        arguments = sys.argv[1:]
        keep_compiled()
    arguments = list(arguments)
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # a reader that has seen enough, such as `head`; Python would flush once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: list[str]) -> int:
    parser = make_parser()
    try:
        places, rest = config_options(arguments)
        options, unknown = parser.parse_known_args(rest)
        if not hasattr(options, "command"):
            parser.print_help(sys.stderr)
            return 2
        if unknown:
            raise ValueError(unknown_argument(unknown[0], options.parser))
        if places and options.command not in ("train", "sample"):
            raise ValueError(f"--{places[0][0]}: an option of `ebmx train`")
        options.places = places
        quiet = getattr(options, "quiet", False) or getattr(options, "json", False)
        with notices(quiet=quiet):
            return _COMMANDS[options.command](options) or 0
    except SystemExit as end:
        return 0 if end.code in (0, None) else 2
    except BrokenPipeError:
        raise
    except (ValueError, ImportError) as error:
        print(f"ebmx: {error}", file=sys.stderr)
        return 2
    except (ArithmeticError, OSError, DivergedError) as error:
        print(f"ebmx: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _train(options: argparse.Namespace) -> int:
    if options.named_data is not None:
        if options.data is not None:
            raise ValueError(f"--data={options.named_data}: {options.data} is given, too")
        options.data = options.named_data
    more: dict[str, Any] = {"mesh": None if options.devices is None else _mesh(options.devices)}
    if options.quiet or options.json:
        more["progress"] = False
    if options.resume is not None:
        given = [place for place, _ in options.places]
        given += _given(options, "data", "out", "seed", "seconds", "log_every", "tracker")
        given += ["overwrite"] if options.overwrite else []
        if given:
            word = given[0].replace("_", "-")
            raise ValueError(f"--{word}: --resume goes with --steps and --devices alone")
        report = runs.resume(options.resume, num_steps=options.num_steps, **more)
    else:
        config, dataset = _config_of(options)
        if dataset is not None:
            more["dataset"] = dataset
        report = runs.train(config, out=options.out, overwrite=options.overwrite, **more)
    report_training(options, report)
    return _INTERRUPTED if report.interrupted else 0


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _config_of(options: argparse.Namespace) -> tuple[dict[str, Any], Dataset | None]:
    """The config of all options, and its data if they had to be loaded for it."""
    dataset = None
    if options.config is not None:
        config = read_config(options.config)
    elif options.recipe is not None:
        config = recipe(options.recipe)
    else:
        config, dataset = _recipe_for(options)
    changes = _given(options, "num_steps", "seconds", "seed", "log_every")
    if options.data is not None:
        changes["data"] = {"name": options.data}
    if options.tracker is not None:
        changes["trackers"] = {name: {} for name in options.tracker}
    config = merge(config, changes)
    for place, value in options.places:
        config = change(config, place, value)
    return config, dataset


def _recipe_for(options: argparse.Namespace) -> tuple[dict[str, Any], Dataset | None]:
    """The recipe for the data, which are loaded unless they are those of the package."""
    places = dict(options.places)
    name = places.get("data.name", options.data) or "digits"
    if name in ("digits", "mnist-5k"):
        return recipe_for(name, (8, 8, 1) if name == "digits" else (28, 28, 1)), None

    def standardise(shape: tuple[int, ...]) -> bool:
        own = recipe_for(name, shape)["data"].get("standardise", False)
        return places.get("data.standardise", own)

    keys = [key for key in _OF_LOADING if f"data.{key}" in places]
    dataset = load_where(name, standardise, **{key: places[f"data.{key}"] for key in keys})
    config = recipe_for(name, dataset.shape)
    # a batch holds at most all training examples
    size = min(config["data"]["batch_size"], len(dataset.train))
    return merge(config, {"data": {"batch_size": size}}), dataset


def _mesh(num: int) -> Any:
    """So many devices; on a CPU, so many parts of it, if JAX is not in use yet."""
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", num)
    if num > len(jax.devices()):
        raise ValueError(f"--devices={num}: give at most {len(jax.devices())}, which there are")
    return jax.make_mesh((num,), ("data",), devices=jax.devices()[:num])


def _sample(options: argparse.Namespace) -> None:
    changed: dict[str, Any] = {"sampler": {}}
    for place, value in options.places:
        if place.split(".")[0] != "sampler":
            raise ValueError(f"--{place}: an option of `ebmx train`; here only --sampler changes")
        changed = change(changed, place, value)
    out = free_stem("samples") if options.out is None else options.out
    stem_of(out, overwrite=options.overwrite)  # before the chains run
    if str(options.run).startswith("hf:") or (options.run / "ebmx.json").is_file():
        _sample_shared(options, out)
        return
    opened = runs.open(options.run, best=options.best)
    check_shape(out, opened.shape)
    sampler = changed["sampler"]
    if sampler and "kind" not in sampler:
        sampler = {**opened.config["sampler"], **sampler}
    given = _given(options, "num", "num_steps", "num_steps_without_noise", "seed")
    if options.label is not None:
        given["label"] = _label(options.label, opened.classes)
    samples, source = runs.sample(opened, sampler=sampler or None, **given)
    _write_samples(options, out, samples, source, opened)


def _sample_shared(options: argparse.Namespace, out: Path) -> None:
    """Draw samples of an export, which has no chains of its own."""
    given = [f"--{place}" for place, _ in options.places] + (["--best"] if options.best else [])
    given += ["--steps-without-noise"] if options.num_steps_without_noise else []
    if given:
        raise ValueError(f"{given[0]}: {options.run} is an export; this is for runs")
    model = runs.load_model(str(options.run))
    check_shape(out, model.shape)
    label = None if options.label is None else _label(options.label, model.classes)
    key = jax.random.key(options.seed)
    x = model.sample(options.num, label=label, num_steps=options.num_steps, key=key)
    _write_samples(options, out, x, "a shared model, from noise", model)


def _write_samples(
    options: argparse.Namespace, out: Path, x: np.ndarray, source: str, model: Any
) -> None:
    """Write samples of a run or a shared model, and say where."""
    facts: dict[str, Any] = {"samples": options.num, "samples_from": source}
    given = {"columns": model.columns, "span": model.span, "overwrite": options.overwrite}
    facts |= write_samples(out, x, model.to_units(x), **given)
    lines = [f"{options.num} samples ({source}): {facts['out']}"]
    lines += [f"{name}: {facts[name]}" for name in ("array", "table", "picture") if name in facts]
    say(options, facts, *lines)


def _label(text: str, classes: Sequence[str]) -> int:
    """The number of a class, given by its name or its number."""
    if text in classes:
        return classes.index(text)
    if not text.lstrip("-").isdecimal():
        names = f" or a name: {', '.join(classes)}" if classes else ""
        raise ValueError(f"label={text!r}: give the number of a class{names}")
    return int(text)


def _evaluate(options: argparse.Namespace) -> None:
    given = _given(options, "num_steps", "num", "log_z", "num_steps_without_noise", "best", "seed")
    found = runs.evaluate(options.run, others=tuple(options.others), **given)
    report = found.folder / "report.md"
    facts = {"report": report, "verdict": found.verdict, "pictures": found.pictures}
    facts["seconds"] = found.seconds
    lines = [f"picture: {picture}" for picture in found.pictures]
    lines += [f"report: {report} ({found.seconds:.1f} s)", found.verdict]
    say(options, facts | found.facts, *lines)


def _export(options: argparse.Namespace) -> None:
    given = _given(options, "out", "overwrite", "best", "push", "public")
    found = runs.export(options.run, **given)
    facts = {"out": found.folder, "files": [str(f) for f in found.files], "address": found.address}
    lines = [f"export: {found.folder}"]
    say(options, facts, *lines, *([f"pushed: {found.address}"] if found.address else []))


def _recipes(options: argparse.Namespace) -> None:
    del options
    for name, text in recipes().items():
        lines = textwrap.wrap(" ".join(text.split()), 78)
        print(name, *(f"  {line}" for line in lines), sep="\n")


def _config(options: argparse.Namespace) -> None:
    if options.action == "show":
        config = recipe(options.recipe) if options.file is None else read_config(options.file)
        print(show_config(config), end="")
    elif options.file is None:
        raise ValueError("config check: give a FILE")
    else:
        left_out = runs.check(read_config(options.file))
        print(f"{options.file}: this config can be run{left_out and f'; {left_out}'}")


def _data(options: argparse.Namespace) -> None:
    del options
    for name, words in SOURCES.items():
        print(f"{name:10} {words}")


def _help(options: argparse.Namespace) -> None:
    if options.name in (None, "train", "sample", "evaluate", "export", "recipes", "completion"):
        _run([options.name, "--help"] if options.name else ["--help"])
    else:
        print(describe(options.name))


def _completion(options: argparse.Namespace) -> None:
    try:
        import shtab
    except ImportError as error:
        raise ImportError("completion needs shtab: pip install 'ebmx[cli]'") from error
    print(shtab.complete(make_parser(), options.shell))


_HANDLERS = (_train, _sample, _evaluate, _export, _recipes, _config, _data, _help, _completion)
_COMMANDS = {handler.__name__.strip("_"): handler for handler in _HANDLERS}

if __name__ == "__main__":
    sys.exit(main())
