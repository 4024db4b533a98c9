"""The port trained: as a recorded run was, which writes a trace, or by chance, which gives an accuracy.

``python tutorials/port_runs.py`` trains the right rules, the six wrong ones and the reference with five seeds each on
the digits, and keeps their accuracies for tutorial 09.
"""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from port import MASKED, MISTAKES, Port, Rules, network


class Chance:
    """Takes the random decisions of a run."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def now(self, at):
        pass

    def order(self, samples):
        return self.rng.permutation(samples)

    def joins(self, name, dead, count):
        return self.rng.choice(dead, count, replace=False)

    def slots(self, term, filled, count):
        return self.rng.choice(filled, count, replace=False)

    def draws(self, seen, count):
        return self.rng.integers(0, np.arange(seen, seen + count) + 1)


class Recorded:
    """Takes the decisions that a recorded run has taken."""

    def __init__(self, choices):
        self.events = choices.events()

    def now(self, at):
        self.event = next(event for event in self.events if event.at == at)

    def order(self, samples):
        return self.event.values["permutation"]

    def joins(self, name, dead, count):
        return self.event.joins[name]

    def slots(self, term, filled, count):
        return self.event.values[f"{term}_slots"]

    def draws(self, seen, count):
        return self.event.values["reservoir_draws"]


def images(data, which):
    """What the network sees of a data set's "train" or "test" images, and their labels."""
    mean, std = (np.reshape(data[name], (1, -1, 1, 1)) for name in ("mean", "std"))
    x = (data[f"{which}_x"] * float(data["scale"]) - mean) / std
    return torch.tensor(x, dtype=torch.float64), torch.tensor(data[f"{which}_y"], dtype=torch.int64)


def replay(rules, reference, path):
    """Trains as a recorded run did, and writes a trace."""
    from sparcl_ref.verify.trace import TraceWriter, read_choices

    choices = read_choices(reference)
    model = network(choices.config["width"], len(choices.class_order))
    model.load_state_dict({name: torch.as_tensor(value) for name, value in choices.initial.items()})
    masks = {name: torch.as_tensor(mask) for name, mask in choices.masks.items()}
    begun = [event.values for event in choices.events() if event.kind == "begin_task"]
    tasks = [(values["classes"], values["samples"]) for values in begun]
    chance = Recorded(choices)
    with TraceWriter(path) as writer:

        def log(*name_and_tensor):
            *name, tensor = name_and_tensor
            writer.write(chance.event.at, *name, tensor.detach().numpy())

        port = Port(rules, model, masks, choices.config, chance, log)
        test = images(choices.data, "test")
        for _ in port.train(tasks, *images(choices.data, "train")):
            port.accuracies(*test, [classes for classes, _ in tasks])
    return path


def accuracy(rules, config, data, seed):
    """Class-IL accuracy after the last task, with random decisions of its own; equal for all rules of one seed."""
    torch.manual_seed(seed)
    settings, (train_x, train_y) = config.to_json(), images(data, "train")
    model, chance = network(config.width, 10), Chance(seed)
    shapes = {name: dict(model.named_parameters())[name].shape for name in MASKED}
    masks = {name: torch.zeros(shape, dtype=torch.bool) for name, shape in shapes.items()}
    for mask in masks.values():
        living = rules.budget(mask.numel(), Fraction(str(config.sparsity)))
        mask.view(-1)[chance.joins("", np.arange(mask.numel()), living)] = True
    classes = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    tasks = [(own, np.flatnonzero(np.isin(train_y, own))) for own in classes]
    port = Port(rules, model, masks, settings, chance)
    for _ in port.train(tasks, train_x, train_y):
        pass
    return port.accuracies(*images(data, "test"), classes)["class_il_accuracy"].mean().item()


def main():
    from sparcl_ref import Config, load_dataset, train

    torch.set_num_threads(1)
    dataset, seeds = load_dataset("digits"), range(5)
    names = ("train_x", "train_y", "test_x", "test_y", "scale", "mean", "std")
    data = {name: getattr(dataset, name) for name in names}
    config = Config(
        method="derpp", width=16, sparsity=0.9, ddr=False, dgm=False, epochs=10, batch_size=16, lr=0.01, momentum=0.9,
        delta_k=2, buffer_size=100, dtype="float64", mix="initialise=released",
    )  # fmt: skip
    record = {rules.__name__: [accuracy(rules, config, data, seed) for seed in seeds] for rules in (Rules, *MISTAKES)}
    record["reference"] = [train(replace(config, seed=seed)).class_il_accuracy for seed in seeds]
    path = Path(__file__).parent / "results" / "ports" / "accuracy.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'  "{name}": {json.dumps([round(value, 4) for value in row])}' for name, row in record.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(path.read_text(), end="")


if __name__ == "__main__":
    main()
