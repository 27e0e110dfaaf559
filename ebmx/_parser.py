"""The arguments of the command line."""

import argparse
import math
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from .config._calls import PARTS, nearest
from .config._tables import MAX_SEED

_OVER = """exit codes: 0 done, 1 failed on the way, 2 an argument does not fit or is missing,
130 ended by Ctrl-C; a training is saved then, and --resume goes on."""
_EPILOGS = {
    "train": """options of the config, by its place in the tables:
  --energy ConvNet --energy.channels "[32, 64]"
  --sampler MALA --sampler.step_size 0.1
  --negatives.capacity 1000 --loss.alpha 0.1 --optim.muon.momentum 0.9
  --data.batch_size 64 --trainer.ema_decay 0.999
A part without a dot names its class and forgets the arguments of the old one.
`ebmx help sampler` lists the names, `ebmx help MALA` the arguments of one.""",
    "sample": """another sampler, from noise:
  --sampler MALA --sampler.step_size 0.1 --steps 100""",
}


def _whole(lowest: int, highest: float, range_: str) -> Callable[[str], int]:
    """A type of option: whole numbers of a range."""

    def whole(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"{text}: give a whole number {range_}")
        return int(text)

    return whole


_FLAG: dict[str, Any] = {"action": "store_true"}
_COUNT: dict[str, Any] = {"type": _whole(1, math.inf, "of at least 1")}
_STEPS = _COUNT | {"dest": "num_steps"}
_SEED: dict[str, Any] = {"type": _whole(0, MAX_SEED, f"from 0 to {MAX_SEED}")}
_PATH: dict[str, Any] = {"type": Path}
_MAYBE: dict[str, Any] = {"nargs": "?"}
_OUTPUT = [
    ("--quiet", "print errors and warnings alone", _FLAG),
    ("--json", "print one JSON object and no more", _FLAG),
]
_QUIET = {"dest": "num_steps_without_noise", "type": int, "default": 0}
_BEST = "the state that the table [monitor] measured as the best, not the last one"
_OF_A_RUN = [
    ("run RUN", "the folder of a run; `ebmx sample` takes exports and hf:USER/NAME, too", _PATH),
    ("--steps-without-noise N", "so many last steps have no noise (Langevin)", _QUIET),
    ("--best", _BEST, _FLAG),
    ("--seed N", "random seed (0)", _SEED | {"default": 0}),
    *_OUTPUT,
]
_DATA = "a name, a file or a folder, as `ebmx data list` has them; digits if not given"
_TRACKER = "log to csv, tensorboard, wandb, mlflow or trackio, too; may be given several times"
_TRAIN = [
    ("data DATA", _DATA, _MAYBE),
    ("--data DATA", "the same", {"dest": "named_data"}),
    [
        ("--recipe NAME", "begin from this recipe", {}),
        ("--config FILE", "begin from this TOML file", _PATH),
        ("--resume RUN", "go on with this run", _PATH),
    ],
    [
        ("--steps --num-steps N", "how many updates; with --resume, in total", _STEPS),
        ("--seconds S", "how long to train, without the time to compile", {"type": float}),
    ],
    ("--out DIR", "the folder of the run; the first free runs/NAME-N if not given", {}),
    ("--overwrite", "delete the run that --out holds, and nothing else there", _FLAG),
    ("--seed N", "random seed", _SEED),
    ("--log-every N", "updates between two lines of metrics", _COUNT),
    ("--devices N", "N devices share the chains and the data", _COUNT),
    ("--tracker NAME", _TRACKER, {"action": "append"}),
    *_OUTPUT,
]
_OUT = """NAME.npz holds the array x in data units, NAME.png a picture of images; NAME.npy or, of
tables, NAME.csv writes that array too; the first free samples-N if not given"""
_SAMPLE = [
    ("--num N", "how many (100)", _COUNT | {"default": 100}),
    ("--label CLASS", "of which class, by name or number, if the energy has classes", {}),
    (
        "--steps --num-steps N",
        "start from noise and take so many steps, at each noise level if any",
        _STEPS,
    ),
    ("--out FILE", _OUT, _PATH),
    ("--overwrite", "replace files of that name", _FLAG),
    *_OF_A_RUN,
]
_LONG = "how many steps long chains take from the test data (2000)"
_OTHERS = "further data of the same shape to tell from those of the run"
_EVALUATE = [
    ("--steps --num-steps N", _LONG, _STEPS | {"default": 2000}),
    ("--num N", "how many samples to draw (2000)", _COUNT | {"default": 2000}),
    ("--others DATA", _OTHERS, {"nargs": "*", "default": ()}),
    ("--log-z", "bracket log Z by annealing from both sides, which takes minutes", _FLAG),
    *_OF_A_RUN,
]
_EXPORT = [
    ("run RUN", None, _PATH),
    ("--out DIR", "the folder; the first free export-N if not given", _PATH),
    ("--overwrite", "replace the export that --out holds, and nothing else there", _FLAG),
    ("--best", _BEST, _FLAG),
    ("--push USER/NAME", "push it to this repository of the Hugging Face hub, too", {}),
    ("--public", "make that repository public; it is private otherwise", _FLAG),
    *_OUTPUT,
]
_CONFIG = [
    ("action", None, {"choices": ("show", "check")}),
    ("file FILE", None, _PATH | _MAYBE),
    ("--recipe NAME", "which one to show", {"default": "digits"}),
]
_SHELL = ("shell", None, {"choices": ("bash", "zsh", "tcsh")})
_COMMANDS: dict[str, tuple[str, list[Any]]] = {
    "train": ("train an energy", _TRAIN),
    "sample": ("draw samples of a trained run", _SAMPLE),
    "evaluate": ("measure how good a run is; the report goes to RUN/evaluation", _EVALUATE),
    "export": ("write a trained energy into a folder to share", _EXPORT),
    "recipes": ("list the recipes", []),
    "config": ("print a config, or check one", _CONFIG),
    "data": ("list the data sets", [("action", None, {"choices": ("list",)})]),
    "help": ("what a config may name, and the arguments of a class", [("name NAME", None, _MAYBE)]),
    "completion": ("print a script that completes commands in a shell", [_SHELL]),
}
"""What each command does, and its options: names with the word for the value, help and settings.

Options in a list of their own exclude each other.
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands but for the options of a config, which have a dot or a part."""
    plain: dict[str, Any] = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    parser = _Parser("ebmx", description="Energy-based models in JAX.", epilog=_OVER, **plain)
    parser.add_argument("--version", action="version", version=f"ebmx {metadata.version('ebmx')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (text, options) in _COMMANDS.items():
        description = f"{text[0].upper()}{text[1:]}."
        epilog = _EPILOGS.get(name)
        made = commands.add_parser(name, help=text, description=description, epilog=epilog, **plain)
        made.set_defaults(command=name, parser=made)
        _add(made, options)
    return parser


def _add(parser: Any, options: list[Any]) -> None:
    for option in options:
        if isinstance(option, list):
            _add(parser.add_mutually_exclusive_group(), option)
        else:
            names, text, settings = option
            *names, last = names.split()
            word = {"metavar": last} if names else {}
            parser.add_argument(*(names or [last]), help=text, **word, **settings)


def unknown_argument(word: str, parser: argparse.ArgumentParser) -> str:
    """What to say of an argument that a command does not take."""
    names = [name for action in parser._actions for name in action.option_strings]
    near = nearest(word, names) if word.startswith("-") else ""
    return f"{word}: {parser.prog} does not take this argument{near}; see `{parser.prog} --help`"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        print(f"ebmx: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)


def config_options(arguments: list[str]) -> tuple[list[tuple[str, Any]], list[str]]:
    """The options that name a place in a config, with their values, and all other arguments."""
    places, rest, left = [], [], iter(arguments)
    for argument in left:
        word, equals, value = argument.partition("=")
        place = word.removeprefix("--").replace("-", "_")
        if not word.startswith("--") or ("." not in place and place not in PARTS):
            rest.append(argument)
            continue
        if not equals:
            value = next(left, "--")
            if value.startswith("--"):
                raise ValueError(f"{word}: give a value")
        places.append((place, _parsed(value)))
    return places, rest


def _parsed(text: str) -> Any:
    """A value as TOML writes it; any other text as it is."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return {"True": True, "False": False, "None": "none"}.get(text, text)
