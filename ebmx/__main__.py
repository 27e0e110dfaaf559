"""The command line: `ebmx train`, `sample`, `evaluate`, `recipes`, `config`, `data` and `help`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._output import Output, notices, report_training
from ._samples import free_stem, stem_of, write_samples

_INTERRUPTED = 130
_OVER = """exit codes: 0 done, 1 failed on the way, 2 an argument does not fit or is missing,
130 ended by Ctrl-C; a training is saved then, and --resume goes on."""
_PARTS = """options of the config, by its place in the tables:
  --energy ConvNet --energy.channels "[32, 64]"
  --sampler MALA --sampler.step_size 0.1
  --negatives.capacity 1000 --loss.alpha 0.1 --optim.adam.b1 0.9
  --data.batch_size 64 --trainer.ema_decay 0.999
A part without a dot names its class and forgets the arguments of the old one.
`ebmx help sampler` lists the names, `ebmx help MALA` the arguments of one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
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
        places, rest = _config_options(arguments)
        options, unknown = parser.parse_known_args(rest)
        if not hasattr(options, "run_command"):
            parser.print_help(sys.stderr)
            return 2
        if unknown:
            raise ValueError(_unknown(unknown[0], options.parser))
        if places and options.run_command not in (_train, _sample):
            raise ValueError(f"--{places[0][0]}: an option of `ebmx train`")
        options.places = places
        quiet = getattr(options, "quiet", False) or getattr(options, "json", False)
        with notices(quiet=quiet):
            return options.run_command(options)
    except SystemExit as end:
        return 0 if end.code in (0, None) else 2
    except BrokenPipeError:
        raise
    except (ValueError, ImportError) as error:
        print(f"ebmx: {error}", file=sys.stderr)
        return 2
    except (ArithmeticError, OSError) as error:
        print(f"ebmx: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _unknown(word: str, parser: argparse.ArgumentParser) -> str:
    """What to say of an argument that a command does not take."""
    from .config._calls import nearest

    names = [name for action in parser._actions for name in action.option_strings]
    near = nearest(word, names) if word.startswith("-") else ""
    return f"{word}: {parser.prog} takes no such argument{near}; see `{parser.prog} --help`"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        print(f"ebmx: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands but for the options of a config, which have a dot or a part."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        "ebmx",
        description="Energy-based models in JAX.",
        epilog=_OVER,
        formatter_class=plain,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, run: Any, text: str, **options: Any) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=plain,
            allow_abbrev=False,
            **options,
        )
        made.set_defaults(run_command=run, parser=made)
        return made

    _add_train(command)
    _add_sample(command)
    _add_evaluate(command)
    command("recipes", _recipes, "list the recipes")
    made = command("config", _config, "print a config, or check one")
    made.add_argument("action", choices=("show", "check"))
    made.add_argument("file", nargs="?", type=Path, metavar="FILE")
    made.add_argument("--recipe", default="digits", metavar="NAME", help="which one to show")
    command("data", _data, "list the data sets").add_argument("action", choices=("list",))
    made = command("help", _help, "what a config may name, and the arguments of a class")
    made.add_argument("name", nargs="?", metavar="NAME")
    made = command("completion", _completion, "print a script that completes commands in a shell")
    made.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


def _version() -> str:
    from importlib import metadata

    return f"ebmx {metadata.version('ebmx')}"


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print errors and warnings alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object and no more")


def _add_train(command: Any) -> None:
    parser = command("train", _train, "train an energy", epilog=_PARTS)
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="digits, mnist-5k, hf:NAME or a file; digits if not given",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--recipe", metavar="NAME", help="begin from this recipe")
    start.add_argument("--config", type=Path, metavar="FILE", help="begin from this TOML file")
    start.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--steps",
        "--num-steps",
        type=_count,
        metavar="N",
        help="how many updates; with --resume, in total",
    )
    length.add_argument(
        "--seconds", type=float, metavar="S", help="how long to train, without the time to compile"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="the folder of the run; the first free runs/NAME-N if not given",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="delete the run that --out holds, and nothing else there",
    )
    parser.add_argument("--seed", type=_seed, metavar="N", help="random seed")
    parser.add_argument(
        "--log-every", type=_count, metavar="N", help="updates between two lines of metrics"
    )
    parser.add_argument(
        "--devices", type=_count, metavar="N", help="N devices share the chains and the data"
    )
    _add_output(parser)


def _add_sample(command: Any) -> None:
    parser = command("sample", _sample, "draw samples of a trained run")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--num", type=_count, default=100, metavar="N", help="how many (100)")
    parser.add_argument(
        "--label",
        type=int,
        metavar="N",
        help="of which class, for a conditional energy or a classifier",
    )
    parser.add_argument(
        "--steps",
        "--num-steps",
        type=_count,
        metavar="N",
        help="start from noise and take so many steps",
    )
    parser.add_argument(
        "--steps-without-noise",
        type=int,
        default=0,
        metavar="N",
        help="so many steps without noise follow (Langevin)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="NAME.npz holds the array x in data units, NAME.png a picture of images; "
        "NAME.npy writes that array too; the first free samples-N if not given",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files of that name")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="random seed (0)")
    parser.epilog = (
        "--sampler MALA --sampler.step_size 0.1 takes another sampler, from noise, with --steps."
    )
    _add_output(parser)


def _add_evaluate(command: Any) -> None:
    text = "measure how good a trained run is; the report goes to RUN/evaluation"
    parser = command("evaluate", _evaluate, text)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument(
        "--steps",
        "--num-steps",
        type=_count,
        default=2000,
        metavar="N",
        help="how many steps long chains take from the test data (2000)",
    )
    parser.add_argument(
        "--num", type=_count, default=2000, metavar="N", help="how many samples to draw (2000)"
    )
    parser.add_argument(
        "--others",
        nargs="*",
        default=(),
        metavar="DATA",
        help="further data of the same shape to tell from those of the run",
    )
    parser.add_argument(
        "--log-z",
        action="store_true",
        help="bracket the log likelihood by annealing, which takes minutes",
    )
    parser.add_argument(
        "--steps-without-noise",
        type=int,
        default=0,
        metavar="N",
        help="so many last steps of the samples have no noise (Langevin)",
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="random seed (0)")
    _add_output(parser)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number from 0 to {2**32 - 1}")
    return int(text)


def _config_options(arguments: list[str]) -> tuple[list[tuple[str, Any]], list[str]]:
    """The options that name a place in a config, with their values, and all other arguments."""
    from .config._calls import ROOMS

    places, rest, i = [], [], 0
    while i < len(arguments):
        word, equals, value = arguments[i].partition("=")
        place = word.removeprefix("--").replace("-", "_")
        i += 1
        if not word.startswith("--") or ("." not in place and place not in ROOMS):
            rest.append(arguments[i - 1])
            continue
        if not equals:
            if i == len(arguments) or arguments[i].startswith("--"):
                raise ValueError(f"{word}: give a value")
            value = arguments[i]
            i += 1
        places.append((place, _parsed(value)))
    return places, rest


def _parsed(text: str) -> Any:
    """A value as TOML writes it; any other text as it is."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return {"True": True, "False": False, "None": "none"}.get(text, text)


def _train(options: argparse.Namespace) -> int:
    from . import runs
    from .training import NoProgress

    say = Output(options.quiet, options.json)
    more: dict[str, Any] = {"mesh": None if options.devices is None else _mesh(options.devices)}
    if say.silent:
        more["progress"] = NoProgress()
    if options.resume is not None:
        given = [f"--{place}" for place, _ in options.places]
        names = ("data", "out", "seed", "seconds", "log_every", "overwrite")
        values = {name: getattr(options, name) for name in names}
        given += [f"--{n}" for n, v in values.items() if v is not None and v is not False]
        if given:
            word = given[0].replace("_", "-")
            raise ValueError(f"{word}: --resume goes with --steps and --devices alone")
        report = runs.resume(options.resume, num_steps=options.steps, **more)
    else:
        config = _config_of(options)
        report = runs.train(config, out=options.out, overwrite=options.overwrite, **more)
    report_training(say, report)
    return _INTERRUPTED if report.interrupted else 0


def _config_of(options: argparse.Namespace) -> dict[str, Any]:
    from .config import change, merge, read_config, recipe

    if options.config is not None:
        config = read_config(options.config)
    elif options.recipe is not None:
        config = recipe(options.recipe)
    else:
        config = _recipe_for(options)
    names = {"steps": "num_steps", "seconds": "seconds", "seed": "seed", "log_every": "log_every"}
    given = {key: getattr(options, name) for name, key in names.items()}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if options.data is not None:
        changes["data"] = {"name": options.data}
    config = merge(config, changes)
    for place, value in options.places:
        config = change(config, place, value)
    return config


def _recipe_for(options: argparse.Namespace) -> dict[str, Any]:
    """The recipe for the data, which are looked at unless they are those of the package.

    Batches hold at most all training examples.
    """
    from .config import merge, recipe_for
    from .data import load

    given = dict(options.places)
    name = given.get("data.name", options.data) or "digits"
    if name in ("digits", "mnist-5k"):
        return recipe_for(name, (8, 8, 1) if name == "digits" else (28, 28, 1))
    keys = [key for key in ("layout", "test_fraction") if f"data.{key}" in given]
    dataset = load(name, **{key: given[f"data.{key}"] for key in keys})
    config = recipe_for(name, dataset.shape)
    size = min(config["data"]["batch_size"], len(dataset.train))
    return merge(config, {"data": {"batch_size": size}})


def _mesh(num: int) -> Any:
    """So many devices; on a CPU, so many parts of it, if JAX is not in use yet."""
    import contextlib

    import jax

    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", num)
    if num > len(jax.devices()):
        raise ValueError(f"--devices={num}: give at most {len(jax.devices())}, which there are")
    return jax.make_mesh((num,), ("data",), devices=jax.devices()[:num])


def _sample(options: argparse.Namespace) -> int:
    from . import runs
    from .config import change

    say = Output(options.quiet, options.json)
    sampler: dict[str, Any] = {"sampler": {}}
    for place, value in options.places:
        if place.split(".")[0] != "sampler":
            raise ValueError(f"--{place}: an option of `ebmx train`; here only --sampler changes")
        sampler = change(sampler, place, value)
    out = free_stem("samples") if options.out is None else options.out
    stem_of(out, overwrite=options.overwrite)  # before the chains run
    opened = runs.open(options.run)
    call = sampler["sampler"]
    if call and "kind" not in call:
        call = {**opened.config["sampler"], **call}
    samples, source = runs.sample(
        opened,
        options.num,
        label=options.label,
        num_steps=options.steps,
        num_steps_without_noise=options.steps_without_noise,
        sampler=call or None,
        seed=options.seed,
    )
    facts: dict[str, Any] = {"samples": options.num, "samples_from": source}
    facts |= write_samples(out, samples, opened.to_units(samples), overwrite=options.overwrite)
    lines = [f"{options.num} samples ({source}): {facts['out']}"]
    lines += [f"{name}: {facts[name]}" for name in ("array", "picture") if name in facts]
    say(facts, *lines)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from . import runs

    found = runs.evaluate(
        options.run,
        num_steps=options.steps,
        num=options.num,
        others=tuple(options.others),
        log_z=options.log_z,
        num_steps_without_noise=options.steps_without_noise,
        seed=options.seed,
    )
    report = found.folder / "report.md"
    facts = {"report": report, "pictures": found.pictures, "seconds": found.seconds}
    lines = [f"picture: {picture}" for picture in found.pictures]
    say = Output(options.quiet, options.json)
    say(facts | found.facts, *lines, f"report: {report} ({found.seconds:.1f} s)")
    return 0


def _recipes(options: argparse.Namespace) -> int:
    import textwrap

    from .config import recipes

    del options
    for name, text in recipes().items():
        lines = textwrap.wrap(" ".join(text.split()), 78)
        print(name, *(f"  {line}" for line in lines), sep="\n")
    return 0


def _config(options: argparse.Namespace) -> int:
    from .config import read_config, recipe, show_config

    if options.action == "show":
        config = recipe(options.recipe) if options.file is None else read_config(options.file)
        print(show_config(config), end="")
        return 0
    if options.file is None:
        raise ValueError("config check: give a FILE")
    from .runs import check

    left_out = check(read_config(options.file))
    print(f"{options.file}: this config can be run{left_out and f'; {left_out}'}")
    return 0


def _data(options: argparse.Namespace) -> int:
    from .data import SOURCES

    del options
    for name, words in SOURCES.items():
        print(f"{name:10} {words}")
    return 0


def _help(options: argparse.Namespace) -> int:
    if options.name in (None, "train", "sample", "evaluate", "recipes", "completion"):
        return _run([options.name, "--help"] if options.name else ["--help"])
    from .config import describe

    print(describe(options.name))
    return 0


def _completion(options: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError as error:
        raise ImportError("completion needs shtab: pip install 'ebmx[cli]'") from error
    print(shtab.complete(make_parser(), options.shell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
