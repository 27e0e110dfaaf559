"""The command line: `ebmx train`, `sample`, `evaluate`, `config` and `data`."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from ._output import Voice, notices, take_voice, tell_report
from ._samples import stem_of, write_samples


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
    try:
        import tyro
    except ImportError:
        print("the command line needs tyro: pip install 'ebmx[cli]'", file=sys.stderr)
        return 2
    if arguments[:1] in (["-h"], ["--help"]):
        print(_USAGE)
        return 0
    if not arguments or arguments[0] not in _COMMANDS:
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        with notices(quiet=bool({"--quiet", "--json"} & {*arguments})):
            return _COMMANDS[arguments[0]](tyro, arguments[1:])
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


_INTERRUPTED = 130

_USAGE = """usage: ebmx train [DATA] [options]        train an energy
       ebmx train --resume RUN            go on with a run that was ended
       ebmx sample RUN [options]          draw samples of a trained run
       ebmx evaluate RUN [options]        measure how good a trained run is
       ebmx config show [--recipe NAME]   print a config and what it means
       ebmx config check FILE             say whether a config can be run
       ebmx data list                     print which data there are

DATA is digits, mnist-5k, hf:NAME or a file; digits if not given.
`ebmx train --help`, and so for sample and evaluate, lists the options.

options of train, sample and evaluate:
  --quiet         print nothing but errors and warnings, and show no bar
  --json          print one JSON object, and nothing else, to standard output
options of train:
  --recipe NAME   begin from this recipe; further options change it
  --config FILE   begin from this TOML file, such as the config.toml of a run
  --devices N     N devices share the chains and the data

exit codes: 0 done, 1 failed on the way, 2 something given does not fit or is
missing, 130 ended by Ctrl-C; a training is saved then, and --resume goes on.

  ebmx train digits --seconds 60 --out runs/mine
  ebmx sample runs/mine --num 100 --out samples.npz"""


def _train(tyro, arguments: list[str]) -> int:
    from .config import RunConfig, forget_unread
    from .runs import resume as resume_run
    from .runs import train as train_run
    from .training import NoProgress

    say, arguments = take_voice(arguments)
    devices, arguments = _take("--devices", arguments)
    options: dict[str, Any] = {"mesh": None if devices is None else _mesh(devices)}
    if say.silent:
        options["progress"] = NoProgress()
    run, arguments = _take("--resume", arguments)
    if run is not None:
        if arguments:
            raise ValueError(f"--resume goes with no option but --devices, not {arguments[0]}")
        return _end(say, resume_run(run, **options))
    base, arguments = _base(arguments)
    prog = "ebmx train [DATA] [--recipe NAME | --config FILE]"
    config = tyro.cli(RunConfig, prog=prog, args=arguments, default=base)
    return _end(say, train_run(forget_unread(config, base), **options))


def _base(arguments: list[str]) -> tuple[Any, list[str]]:
    """The config that the options change, and the options."""
    from .config import default_config, read_config, recipe

    name, arguments = _take("--recipe", arguments)
    file, arguments = _take("--config", arguments)
    if name is not None and file is not None:
        raise ValueError("--config goes without --recipe: a file says all")
    data = None
    if arguments and not arguments[0].startswith("-"):
        data, *arguments = arguments
    if file is not None:
        base = read_config(file)
    else:
        base = default_config(data or "digits") if name is None else recipe(name)
    if data is not None:
        base = dataclasses.replace(base, data=dataclasses.replace(base.data, name=data))
    return base, arguments


def _mesh(devices: str) -> Any:
    """So many devices; on a CPU, so many parts of it, if JAX is not in use yet."""
    import jax

    if not devices.isdecimal() or int(devices) < 1:
        raise ValueError(f"--devices={devices}: give a whole number of at least 1")
    num = int(devices)
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", num)
    if num > len(jax.devices()):
        raise ValueError(f"--devices={num}: there are {len(jax.devices())}")
    return jax.make_mesh((num,), ("data",), devices=jax.devices()[:num])


def _end(say: Voice, report: Any) -> int:
    tell_report(say, report)
    return _INTERRUPTED if report.interrupted else 0


def _take(option: str, arguments: list[str]) -> tuple[str | None, list[str]]:
    """The value of an option, if it is given, and the other arguments."""
    for i, argument in enumerate(arguments):
        word, _, value = argument.partition("=")
        if word == option:
            rest = arguments[i + 1 :]
            if not value and not rest:
                raise ValueError(f"{option}: give a name")
            return value or rest[0], arguments[:i] + (rest if value else rest[1:])
    return None, arguments


def _config(tyro, arguments: list[str]) -> int:
    from .config import RECIPES, read_config, recipe, show_config
    from .runs import check as check_config

    del tyro
    name, arguments = _take("--recipe", arguments)
    if arguments == ["show"]:
        config = recipe(name or "digits")
        print(show_config(config, RECIPES[name or "digits"].description), end="")
        return 0
    if len(arguments) == 2 and arguments[0] == "check" and name is None:
        left_out = check_config(read_config(arguments[1]))
        print(f"{arguments[1]}: this config can be run{left_out and f'; {left_out}'}")
        return 0
    wrong = arguments not in (["-h"], ["--help"])
    print(_USAGE, file=sys.stderr if wrong else sys.stdout)
    return 2 if wrong else 0


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """Draw samples of a trained run."""

    num: int = 100
    """How many."""
    label: int | None = None
    """Of which class, if the energy is conditional or a classifier."""
    denoise: int = 0
    """How many steps without noise the chains take at last."""
    out: Path = Path("samples.npz")
    """Where to: NAME.npz holds the array `x` in data units, and NAME.png is put beside it; the name
    may end in .npz, .png or .npy, which writes that array by itself as well."""
    seed: int = 0
    """Of everything random."""


def _sample(tyro, arguments: list[str]) -> int:
    from .runs import sample as sample_run

    say, arguments = take_voice(arguments)

    def command(run: Annotated[Path, tyro.conf.Positional], options: SampleOptions) -> None:
        stem_of(options.out)  # before the chains run
        samples, dataset, source = sample_run(
            run,
            options.num,
            label=options.label,
            denoise=options.denoise,
            seed=options.seed,
        )
        facts: dict[str, Any] = {"samples": options.num, "samples_from": source}
        facts |= write_samples(options.out, samples, dataset.to_units(samples))
        lines = [f"{options.num} samples ({source}): {facts['out']}"]
        lines += [f"{name}: {facts[name]}" for name in ("array", "picture") if name in facts]
        say(facts, *lines)

    config = (tyro.conf.OmitArgPrefixes,)
    tyro.cli(command, prog="ebmx sample", args=arguments, config=config)
    return 0


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Measure how good a trained run is; `report.md` and `report.json` go to RUN/evaluation."""

    steps: int = 2000
    """How many steps the long chains take that start at the test data."""
    num: int = 2000
    """How many samples are judged."""
    others: tuple[str, ...] = ()
    """Further data sets of the same shape, whose examples are to be told from those of the run."""
    log_z: bool = False
    """Bracket the log likelihood by annealing, which takes minutes."""
    denoise: int = 0
    """How many steps without noise the samples take at last."""
    seed: int = 0
    """Of everything random."""


def _evaluate(tyro, arguments: list[str]) -> int:
    from .runs import evaluate as evaluate_run

    say, arguments = take_voice(arguments)

    def command(run: Annotated[Path, tyro.conf.Positional], options: EvaluateOptions) -> None:
        found = evaluate_run(
            run,
            num_steps=options.steps,
            num=options.num,
            others=options.others,
            log_z=options.log_z,
            denoise=options.denoise,
            seed=options.seed,
        )
        report = found.folder / "report.md"
        facts = {"report": report, "pictures": found.pictures, "seconds": found.seconds}
        lines = [f"picture: {picture}" for picture in found.pictures]
        say(facts | found.facts, *lines, f"report: {report} ({found.seconds:.1f} s)")

    config = (tyro.conf.OmitArgPrefixes,)
    tyro.cli(command, prog="ebmx evaluate", args=arguments, config=config)
    return 0


def _data(tyro, arguments: list[str]) -> int:
    from .data import SOURCES

    del tyro
    wrong = arguments not in (["list"], ["-h"], ["--help"])
    if arguments != ["list"]:
        print(_USAGE, file=sys.stderr if wrong else sys.stdout)
        return 2 if wrong else 0
    for name, words in SOURCES.items():
        print(f"{name:10} {words}")
    return 0


_COMMANDS = {
    "train": _train,
    "sample": _sample,
    "evaluate": _evaluate,
    "config": _config,
    "data": _data,
}


if __name__ == "__main__":
    sys.exit(main())
