"""The table `[trackers]`: names, arguments, and places on the command line."""

import inspect

import pytest

from ebmx.config import merge, read_config, recipe, write_config
from ebmx.config._tables import change, check_keys
from ebmx.config._trackers import OWN, TRACKERS


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"tensorbord": {}}, r"trackers\.tensorbord: no tracker: did you mean tensorboard\?"),
        ({"nothing": {}}, r"trackers\.nothing: no tracker \(csv, tensorboard, wandb, mlflow, tra"),
        ({"csv": True}, r"trackers\.csv=True: give a table"),
        ({"csv": {"path": "x"}}, r"trackers\.csv\.path: a run has its own"),
        ({"mlflow": {"id": "x"}}, r"trackers\.mlflow\.id: a run has its own"),
        ({"wandb": {"projct": "x"}}, r"trackers\.wandb\.projct: .* did you mean project\?"),
        ({"wandb": {"project": 3}}, r"trackers\.wandb\.project=3: give a text"),
    ],
)
def test_a_table_that_does_not_fit_names_the_place(table, message):
    with pytest.raises(ValueError, match=message):
        check_keys(merge(recipe("digits"), {"trackers": table}))


def test_it_is_not_a_list():
    with pytest.raises(ValueError, match=r"trackers=\['csv'\]: give a table"):
        check_keys(recipe("digits") | {"trackers": ["csv"]})


def test_arguments_have_places(tmp_path):
    config = merge(recipe("digits"), {"trackers": {"wandb": {}, "csv": {}}})
    config = change(config, "trackers.wandb.project", "mine")
    assert config["trackers"] == {"wandb": {"project": "mine"}, "csv": {}}
    write_config(tmp_path / "config.toml", config)
    assert read_config(tmp_path / "config.toml") == config


def test_each_has_one_argument_that_a_run_fills_in_or_a_name():
    for tracker in TRACKERS.values():
        names = [*inspect.signature(tracker).parameters]
        assert len({*OWN} & {*names}) == 1 or "name" in names
