"""Which budget is worth it: fronts of accuracy against BitOps, of searched bits and of what one would do otherwise.

    python -m recipes.budget_front --seeds=0,1,2
    python -m recipes.budget_front --config=budget_front_cifar10 --seeds=0,1,2

A run is one `tfmp.tuner.BudgetTuner` over all strategies and budgets, which resumes after its last trial. Its JSON has
a point for every trial; all fronts of a seed are compared by the area up to the same corner: the BitOps of all layers
at the most bits, and the lowest accuracy of any trial. Beside the JSON of runs, `fronts/` has those of each seed as
JSON and CSV.
"""

import json
import pathlib

import keras

import tfmp
from recipes import classifier, experiment
from recipes.datasets.augmented_images import EpochSeed
from recipes.strategy_areas import front_of, strategy_areas
from tfmp import demo, plots, tuner

_OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "sgd": lambda learning_rate: keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True),
}
_CHOICES = ("weight_bits", "activation_bits", "quantizer", "relaxation", "multiplier")
_RATES = ("learning_rate", "search_learning_rate", "selection_learning_rate")


def run_front(run):
    """Trains every strategy within every budget."""
    config = run.config
    model, fit_arguments = _DATA[config["data"]](run)
    tuned = tuner.BudgetTuner(
        tuner.MixedPrecisionHyperModel(
            model,
            [tfmp.Budget("bitops", like_uniform=tuple(pair)) for pair in config["budgets"]],
            training=tuner.Training(
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                config["search_epochs"],
                config["finetune_epochs"],
                float_epochs=config["float_epochs"],
                float_learning_rate=config["float_learning_rate"],
                optimizer=_OPTIMIZERS[config["optimizer"]],
            ),
            strategies=config["strategies"],
            choices={name: _choice(config[name]) for name in (*_CHOICES, *_RATES)},
            seed=run.seed,
        ),
        directory=run.backup_dir.parent,
        project_name=run.backup_dir.name,
    )
    tuned.search(**fit_arguments)
    failed = {record.trial_id: record.reason for record in tuned.records() if not record.is_completed}
    points = tuned.pareto(x="bitops", y="val_accuracy").points
    return {
        "accuracy": max(point["val_accuracy"] for point in points),
        "dearest_bitops": tuned.hypermodel.bounds("bitops")[1],
        "points": points,
        "failed": failed,
    }


def _choice(value):
    return tuple(value) if isinstance(value, list) else value


def _digits(run):
    (x_train, y_train), test = demo.load_digits()
    batch_size = run.config["batch_size"]

    def build(width):
        return tfmp.networks.get("digits_cnn")(keras, width=width)

    return build, {"x": x_train, "y": y_train, "validation_data": test, "batch_size": batch_size}


def _cifar10(run):
    model, _ = classifier.float_model(run.config, run.seed, run.work_dir)
    data, (_, test) = classifier.datasets(run.config, run.seed)
    return model, {
        "x": data,
        "validation_data": test,
        "validation_batch_size": 500,
        "shuffle": False,  # the data shuffle themselves
        "callbacks": lambda: [EpochSeed(data)],
    }


_DATA = {"digits": _digits, "cifar10": _cifar10}
METHODS = {"front": run_front}


def finish(folder, figures):
    """Writes the fronts of each seed and draws them.

    Args:
        folder: Folder of the JSON of runs.
        figures: Folder of the pictures.
    """
    folder = pathlib.Path(folder)
    for path in sorted(folder.glob("*-seed*.json")):
        record = json.loads(path.read_text())
        front = front_of(record)
        (folder / "fronts").mkdir(exist_ok=True)
        front.to_json(folder / "fronts" / path.name, overwrite=True)
        front.to_csv(folder / "fronts" / f"{path.stem}.csv", overwrite=True)
        figures.mkdir(parents=True, exist_ok=True)
        config = record["config"]
        epochs = config["search_epochs"] + config["finetune_epochs"]
        title = f"{config['title']}, {epochs} epochs, seed {record['seed']}"
        figure = plots.pareto_front(front, group="strategy", x_label="BitOps", y_label="test accuracy", title=title)
        plots.save(figure, figures / f"{folder.name}{path.stem.removeprefix('front')}")
        print(path.name, {name: round(area, 4) for name, area in strategy_areas(record).items()}, flush=True)


if __name__ == "__main__":
    experiment.main("budget_front", METHODS, finish=finish)
