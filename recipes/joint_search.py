"""Architecture and precision searched at once, under energy, against one after the other.

    python -m recipes.joint_search --methods=joint,uniform8 --seeds=0
    python -m recipes.joint_search --config=joint_imagenet

- `joint`: searches blocks and bits together, takes the best of the networks within the target, trains it from scratch.
- `uniform8`, `uniform4`, `uniform2`: the architecture that the run `architecture` found, the same bits in every block.
- `stepwise`: searches the architecture at 8 bits for half of the epochs, then the bits of that architecture.
- `reference`: blocks of expansion 6 and kernel 3, none skipped, at 8 bits, as in MobileNetV2.
- `transferred`: the blocks that another configuration found (`found`), for the images of this one, as in the paper.

All networks are trained alike, from their own first weights. A configuration whose candidates leave the bits alone open
(`joint_mobilenet_v2`) makes `joint` a search of bits for a given architecture. A killed search resumes.
"""

import dataclasses
import itertools
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import tfmp
from recipes import experiment
from recipes.datasets.augmented_images import AugmentedImages, EpochSeed
from recipes.datasets.image_folder import ImageFolder
from recipes.datasets.mixed_images import MixedImages
from recipes.image_sets import image_set
from tfmp import plots
from tfmp.joint.block_spec import BlockSpec
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.joint_data import iterate
from tfmp.joint.search_space import SearchSpace

_BATCH = 16  # of what energy and latency are for, as in the paper


def space_of(config):
    """The search space of a configuration."""
    return SearchSpace.from_dict({**config["space"], "image_size": config["image_size"]})


def search(run, space, *, target_mj, epochs, stage="search"):
    """Searches a space, or takes what the run `search_of` searched; returns the network with what the search logged."""
    config = run.config
    searched = dataclasses.replace(run, name=config["search_of"] + run.suffix) if config["search_of"] else run
    keras.utils.set_random_seed(run.seed)
    parts = search_parts(config, run.seed)
    steps = epochs * len(parts[0](0))
    rate = keras.optimizers.schedules.CosineDecay(config["search_learning_rate"], steps)
    found = tfmp.joint.JointSearch(
        space,
        target_mj * 1e6,
        cost=tfmp.costs.Energy(batch=_BATCH),
        settings=tfmp.joint.JointSettings(**config["search"]),
        optimizers=(
            keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, clipvalue=config["clip"]),
            keras.optimizers.Adam(config["controller_learning_rate"], beta_1=0.5),
        ),
        loss=search_loss(config),
        backup_dir=searched.backup_dir / stage,
    )
    history = found.fit(*parts, epochs=epochs, seed=run.seed, report=lambda entry: print(entry, flush=True))
    batches = list(itertools.islice(iterate(parts[1](0)), config["derivation_batches"]))
    network = found.derive(
        samples=config["derivation_samples"], spend=config["derivation_spend"], validation=batches, seed=run.seed
    )
    return network, {
        "target_mj": target_mj,
        "history": history,
        "expected_of_target": found.cost_gradient.estimate(found.logits.numpy(), (0,)).expected / found.target,
        "most_probable": [str(choice) for choice in found.derive().choices],
        "probabilities": found.probabilities().round(4).tolist(),
        "num_networks": float(space.num_networks),
    }


def search_loss(config):
    """The loss of a search with smoothed labels, where the settings say so; None is that without."""
    smoothing = config["search_label_smoothing"]
    if not smoothing:
        return None
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    return lambda labels, logits: loss(keras.ops.one_hot(labels, logits.shape[-1]), logits)


def search_parts(config, seed):
    """The training set's two parts, 80 % for weights and 20 % for the controller, as functions of the epoch."""
    if config["dataset"] not in ("cifar10", "cifar100"):
        return tuple(_folder_part(config, seed, held_out) for held_out in (False, True))
    training = image_set({**config, "num_train": config["num_search"]}, seed).training
    images, labels = _unpadded(training), training.labels
    first = round(0.8 * len(labels))
    parts = (
        AugmentedImages(images[chosen], labels[chosen], config["batch_size"], seed, margin=training.margin)
        for chosen in (slice(first), slice(first, None))
    )
    return tuple(_of_epoch(part) for part in parts)


def _folder_part(config, seed, held_out):
    """Every fifth image of a folder, or the others."""
    part = ImageFolder(pathlib.Path(config["dataset"]).expanduser() / "train")
    kept = [index for index in range(len(part)) if (index % 5 == 4) == held_out]
    part.paths, part.labels = [part.paths[index] for index in kept], part.labels[kept]
    count = config["num_search"] and config["num_search"] * (1 if held_out else 4) // 5 // config["batch_size"]

    def batches(epoch):
        found = part.training(config["image_size"], config["batch_size"], seed=1000 * seed + epoch)
        return found.take(count) if count else found

    return batches


def _unpadded(training):
    margin, (height, width, _) = training.margin, training.shape
    return training.padded[:, margin : margin + height, margin : margin + width]


def _of_epoch(part):
    def batches(epoch):
        part.set_epoch(epoch)
        return part

    return batches


def trained(run, network):
    """Builds and trains a network; returns what is to be known of it."""
    config = run.config
    images = image_set(config, run.seed)
    keras.utils.set_random_seed(run.seed)
    model = tfmp.joint.build_network(keras, network, quantizer=config["quantizer"], seed=run.seed)
    if config["normalization"] == "range":
        model = keras.models.clone_model(model, clone_function=_with_range)
    data, steps = mixed(images, config), len(images.training)
    rate = keras.optimizers.schedules.CosineDecay(config["learning_rate"], config["epochs"] * steps)
    optimizer = keras.optimizers.SGD(
        rate, momentum=0.9, nesterov=True, weight_decay=config["weight_decay"], clipvalue=config["clip"]
    )
    smoothing = config["label_smoothing"]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    model.compile(optimizer, loss, metrics=["accuracy"])
    callbacks = [EpochSeed(data)] if isinstance(data, MixedImages) else []
    history = model.fit(data, epochs=config["epochs"], shuffle=False, callbacks=callbacks, verbose=2).history
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    accuracy = float(model.evaluate(**images.test, verbose=0)[1])
    report = tfmp.simulate(model, batch=_BATCH).total
    size_bits = tfmp.joint.ArchitectureCost(tfmp.costs.ModelSize(kernels_only=True))(network)
    return {
        "accuracy": accuracy,
        "error": 1 - accuracy,
        "energy_mj": report.energy_nj["total"] / 1e6,
        "latency_ms": report.latency_ms,
        "kernel_bytes": size_bits / 8,
        "blocks": [str(choice) for choice in network.choices],
        "network": network.to_json(),
        "training_history": history,
    }


def _with_range(layer):
    """A copy of a layer; normalizations take the deviation of a batch from its range."""
    is_normalization = type(layer) is keras.layers.BatchNormalization
    made = tfmp.layers.RangeBatchNormalization if is_normalization else type(layer)
    return made.from_config(layer.get_config())


def mixed(images, config):
    """The training images with one-hot labels, mixed where the settings say so."""
    if isinstance(images.training, AugmentedImages):
        return MixedImages(images.training, images.num_classes, config["mixup"])
    if config["mixup"]:
        layer = keras.layers.MixUp(config["mixup"], data_format="channels_last")
        one_hot = images.training.map(lambda x, y: {"images": x, "labels": keras.ops.one_hot(y, images.num_classes)})
        return one_hot.map(layer).map(lambda both: (both["images"], both["labels"]))
    return images.training.map(lambda x, y: (x, keras.ops.one_hot(y, images.num_classes)))


def run_joint(run):
    """Searches everything at once."""
    network, log = search(
        run, space_of(run.config), target_mj=run.config["target_mj"], epochs=run.config["search_epochs"]
    )
    return {**trained(run, network), "search": log}


def run_stepwise(run):
    """Searches the architecture at 8 bits, then the bits of that architecture."""
    config, space = run.config, space_of(run.config)
    first = config["search_epochs"] // 2
    slack = config["stepwise_slack"]  # what 8 bits cost more than the target, which the bits have to save
    eight, architecture = search(
        run, space.with_bits(8), target_mj=config["target_mj"] * slack, epochs=first, stage="architecture"
    )
    network, bits = search(
        run,
        space.with_architecture(eight),
        target_mj=config["target_mj"],
        epochs=config["search_epochs"] - first,
        stage="bits",
    )
    return {**trained(run, network), "architecture_search": architecture, "search": bits}


def run_reference(run):
    """Trains the blocks of MobileNetV2 at 8 bits."""
    space = space_of(run.config)
    choice = BlockSpec(False, 6, 3, 8, 8)
    return trained(run, DiscreteNetwork(space, [choice] * len(space.blocks)))


def run_transferred(run):
    """Trains the blocks that the search of another configuration found."""
    path = experiment.RESULTS / f"{run.config['found']}-seed{run.seed}.json"
    if not path.exists():
        raise FileNotFoundError(f"There is no {path}: run that search first, or set `found` to another one.")
    found = DiscreteNetwork.from_json(json.loads(path.read_text())["network"])
    return trained(run, DiscreteNetwork(space_of(run.config), found.choices))


def _run_uniform(bits):
    def run_uniform(run):
        found = DiscreteNetwork.from_json(run.result_of(run.config["architecture"])["network"])
        return trained(run, found.with_bits(bits))

    run_uniform.__doc__ = f"Trains the architecture of a search at {bits} bits."
    return run_uniform


METHODS = {
    "joint": run_joint,
    "reference": run_reference,
    **{f"uniform{bits}": _run_uniform(bits) for bits in (8, 4, 2)},
    "stepwise": run_stepwise,
    "transferred": run_transferred,
}


def draw(folder, figures):
    """Draws the networks that the searches in a folder of results found, those of one seed in a picture."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        if "search" in record:
            label = f"{record['method']}: {record['energy_mj']:.2f} mJ, error {record['error']:.1%}"
            found.setdefault(record["seed"], {})[label] = DiscreteNetwork.from_json(record["network"])
    for seed, networks in found.items():
        figures.mkdir(parents=True, exist_ok=True)
        plots.save(plots.network_blocks(networks), figures / f"{folder.name}-seed{seed}")


if __name__ == "__main__":
    experiment.main("joint_cifar10", METHODS, finish=draw)
