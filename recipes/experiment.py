"""The frame of recipes: settings from JSON and the command line, one JSON a finished run.

A recipe is a mapping of method names to functions of a `Run`, and `recipes/configs/<recipe>.json`:

    if __name__ == "__main__":
        experiment.main("resnet8_cifar10", METHODS)

A configuration is an object of settings. `"base"` names another one that it changes, and `"runs"` maps names of its own
to `{"method": ..., settings}`: then those are what there is to run, instead of the methods themselves.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
from absl import app, flags

import tfmp
from tfmp.files.atomic_file import write_atomically

CONFIGS = pathlib.Path(__file__).parent / "configs"
RESULTS = pathlib.Path(__file__).parent / "results"
FIGURES = pathlib.Path(__file__).resolve().parents[1] / "docs" / "figures"


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a method.

    Args:
        name: Of its files, without the seed: what is run, and each setting of the command line as `-key=value`.
        config: All settings.
        seed: Integer.
        work_dir: Folder of float weights, which recipes share, and of backups.
        results_dir: Folder of the JSON of finished runs.
        suffix: The part of `name` that shows settings.
    """

    name: str
    config: Mapping[str, Any]
    seed: int
    work_dir: pathlib.Path
    results_dir: pathlib.Path
    suffix: str = ""

    @property
    def path(self) -> pathlib.Path:
        """Where its JSON is, once it is finished."""
        return self.results_dir / f"{self.name}-seed{self.seed}.json"

    @property
    def backup_dir(self) -> pathlib.Path:
        """Where it may leave what it needs to go on when it was killed."""
        return self.work_dir / self.results_dir.name / f"{self.name}-seed{self.seed}"

    def result_of(self, name) -> dict:
        """The record of another run with the same settings and seed, given what it runs (`"mixed"`).

        Raises:
            FileNotFoundError: If it is not finished.
        """
        path = self.results_dir / f"{name}{self.suffix}-seed{self.seed}.json"
        if not path.exists():
            raise FileNotFoundError(f"There is no {path}: run `{name}` with the same settings first.")
        return json.loads(path.read_text())


Method = Callable[[Run], dict]


def load_config(name_or_path) -> dict:
    """Reads a configuration by its name in `recipes/configs/` or its path; missing settings are those of its base."""
    path = pathlib.Path(name_or_path)
    config = json.loads((path if path.suffix else CONFIGS / f"{path}.json").read_text())
    base = load_config(config.pop("base")) if "base" in config else {}
    return {**base, **config}


def parse_settings(items, config) -> dict:
    """Reads settings given as `key=value`; the values are JSON, or text.

    Raises:
        ValueError: If one is no such pair, or the configuration has no such key.
    """
    settings = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or key not in config:
            raise ValueError(f"Expected key=value with a key of {', '.join(sorted(config))}. Received: {item!r}")
        try:
            settings[key] = json.loads(value)
        except json.JSONDecodeError:
            settings[key] = value
    return settings


def plan(methods, config, *, names=None, seeds=(0,), settings=(), folders, naming=None):
    """Yields pairs of a method and a `Run` of it, seed by seed.

    Args:
        methods: Name to method.
        config: As `load_config` returns it.
        names: What to run: names of methods, or of the configuration's runs. None is all of the latter, or else of
            the former.
        seeds: Integers.
        settings: Of the command line, `key=value`.
        folders: `(work_dir, results_dir)` of the runs.
        naming: Method name to a function of its settings that names its runs, for those that few settings bear upon.

    Raises:
        ValueError: If a name or a setting is unknown.
    """
    config = dict(config)
    own = config.pop("runs", {})
    runs = {name: {"method": name} for name in methods} | own
    changes = parse_settings(settings, config)
    suffix = "".join(f"-{item}" for item in settings).replace("/", "_")  # the name of a file
    for seed in seeds:
        for name in names or own or methods:
            if name not in runs:
                raise ValueError(f"Runs are {', '.join(runs)}. Received: {name!r}")
            chosen = dict(runs[name])
            method = chosen.pop("method")
            all_settings = config | chosen | changes
            shown = naming[method](all_settings) if method in (naming or {}) else f"{name}{suffix}"
            yield methods[method], Run(shown, all_settings, seed, *folders, suffix)


def execute(method, run):
    """Runs a method and writes its record; leaves alone what is finished."""
    if run.path.exists():
        print(f"{run.path.name}: exists, skipped", flush=True)
        return
    start = time.time()
    result = method(run)
    record = {
        "method": run.name.removesuffix(run.suffix),
        "seed": run.seed,
        **result,
        "seconds": round(time.time() - start),
        "config": dict(run.config),
        "versions": {"tfmp": tfmp.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
    }
    run.results_dir.mkdir(parents=True, exist_ok=True)
    write_atomically(run.path, json.dumps(record, indent=1) + "\n")
    print(f"{run.path.name}: accuracy {record.get('accuracy')} after {record['seconds']} s", flush=True)


def main(recipe, methods, *, naming=None, finish=None):
    """Runs a recipe from the command line; the only place that defines its flags.

    Args:
        recipe: Its name, that of the default configuration.
        methods: Name to method.
        naming: See `plan`.
        finish: Called after the last run with the results' folder and one for pictures, to draw them: `docs/figures`,
            or for `--results_dir` a folder `figures` in it.
    """
    flags.DEFINE_list("methods", None, "What to run, in this order; all by default.")
    flags.DEFINE_list("seeds", ["0"], "Seeds to run with.")
    flags.DEFINE_string("config", recipe, "Settings: a name in recipes/configs/, or a JSON file.")
    flags.DEFINE_string("work_dir", "runs", "Folder of float weights and backups, to resume from; recipes share it.")
    flags.DEFINE_string("results_dir", None, "Folder of the JSON of finished runs; recipes/results/CONFIG by default.")
    flags.DEFINE_multi_string("set", [], "A setting to override, as key=value; the run's name then shows it.")

    def run_all(_):
        given = flags.FLAGS
        folder = pathlib.Path(given.results_dir) if given.results_dir else RESULTS / pathlib.Path(given.config).stem
        seeds = [int(seed) for seed in given.seeds]
        planned = plan(
            methods,
            load_config(given.config),
            names=given.methods,
            seeds=seeds,
            settings=given.set,
            folders=(pathlib.Path(given.work_dir), folder),
            naming=naming,
        )
        for method, run in planned:
            execute(method, run)
        if finish is not None:
            finish(folder, folder / "figures" if given.results_dir else FIGURES)

    app.run(run_all)
