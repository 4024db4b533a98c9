"""TDM around DER++ in PyTorch, as somebody might hand it over, and six ways to get one of its rules wrong.

Tutorial 09 holds it against `sparcl_ref`, from which it takes nothing but settings by name. `Rules` is what the method
says, each rule a function of its arguments alone; `Port` is the loop around them. How it is run stands in port_runs.py.
"""

from collections import OrderedDict
from fractions import Fraction
from math import floor

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

MASKED = ("conv2.weight", "conv3.weight")


class Rules:
    """What the method says."""

    @staticmethod
    def loss(logits, labels, classes=None):
        if classes is not None:  # new images: only the task's own classes compete
            others = np.setdiff1d(np.arange(logits.shape[1]), classes)
            logits = logits.index_fill(1, torch.as_tensor(others), -torch.inf)
        return cross_entropy(logits, labels)

    @staticmethod
    def importance(weight, new, old, alpha, beta):
        return weight.abs() + alpha * new.abs() + beta * old.abs()

    @staticmethod
    def keep(mask, importance, count):
        score = torch.where(mask, importance, -torch.inf).flatten()
        kept = torch.zeros_like(mask)
        kept.view(-1)[score.argsort(descending=True, stable=True)[:count]] = True
        return kept & mask

    @staticmethod
    def clear(mask, *tensors):
        for tensor in tensors:
            tensor[~mask] = 0.0

    @classmethod
    def update(cls, weight, grad, velocity, mask, lr, momentum, weight_decay):
        grad = grad if mask is None else torch.where(mask, grad, 0.0)
        velocity.mul_(momentum).add_(grad + weight_decay * weight)
        weight.sub_(lr * velocity)
        if mask is not None:
            cls.clear(mask, weight, velocity)

    @staticmethod
    def chunks(samples, size):
        return [slice(start, start + size) for start in range(0, samples, size)]

    @staticmethod
    def budget(n, sparsity):
        return floor((1 - min(max(sparsity, Fraction(0)), Fraction(1))) * n + Fraction(1, 2))

    @staticmethod
    def slot(presented, capacity, draw):
        return presented if presented < capacity else draw if draw < capacity else -1

    @staticmethod
    def right(logits, labels, classes=None):
        own = torch.arange(logits.shape[1]) if classes is None else torch.as_tensor(sorted(classes))
        return own[logits[:, own].argmax(dim=1)] == labels


class NoBuffer(Rules):
    @staticmethod
    def importance(weight, new, old, alpha, beta):
        return weight.abs() + alpha * new.abs()


class Multiplied(Rules):
    @staticmethod
    def clear(mask, *tensors):
        for tensor in tensors:
            tensor.mul_(mask)


class TiesByChance(Rules):
    @staticmethod
    def keep(mask, importance, count):
        score = torch.where(mask, importance, -torch.inf).flatten()
        kept = torch.zeros_like(mask)
        kept.view(-1)[score.topk(count).indices] = True
        return kept & mask


class OneChunk(Rules):
    @staticmethod
    def chunks(samples, size):
        return [slice(None)]


class MomentumOfTheDead(Rules):
    @staticmethod
    def clear(mask, weight, *velocity):
        weight[~mask] = 0.0


class WholeHead(Rules):
    @staticmethod
    def right(logits, labels, classes=None):
        return logits.argmax(dim=1) == labels


MISTAKES = (NoBuffer, Multiplied, TiesByChance, OneChunk, MomentumOfTheDead, WholeHead)


def planted(seed):
    """Rules with one of the six mistakes."""
    return MISTAKES[np.random.default_rng(seed).integers(len(MISTAKES))]


class Port:
    """Learns tasks in order by some rules. Settings have the names of `sparcl_ref.Config`."""

    def __init__(self, rules, model, masks, settings, chance, log=lambda *name_and_tensor: None):
        self.rules, self.model, self.masks, self.chance, self.log = rules, model, dict(masks), chance, log
        self.c, self.sparsity = settings, Fraction(str(settings["sparsity"]))
        self.weights = dict(model.named_parameters())
        self.velocity = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        self.images, self.labels, self.logits, self.seen = [], [], [], 0
        self.put_masks_on()

    def train(self, tasks, x, y):
        """Yields after each task; a task is its classes and the indices of its images."""
        for task, (classes, samples) in enumerate(tasks, start=1):
            for epoch in range(1, self.c["epochs"] + 1):
                self.chance.now(f"task{task}.epoch{epoch}.begin")
                self.move_masks(task, epoch, classes, x[samples], y[samples])
                order, size = samples[self.chance.order(len(samples))], self.c["batch_size"]
                for step, batch in enumerate(np.split(order, range(size, len(order), size))):
                    self.chance.now(f"task{task}.epoch{epoch}.step{step}")
                    self.step(x[batch], y[batch], classes)
            self.chance.now(f"task{task}.end")
            yield task

    def step(self, x, y, classes):
        logits = self.model(x)
        losses = {"current": self.rules.loss(logits, y, classes)}
        if count := min(self.c["replay_batch_size"] or self.c["batch_size"], len(self.images)):
            images, labels, stored = map(torch.stack, (self.images, self.labels, self.logits))
            one, two = (self.chance.slots(term, len(images), count) for term in ("replay_mse", "replay_ce"))
            losses["replay_mse"] = self.c["alpha"] * mse_loss(self.model(images[one]), stored[one])
            losses["replay_ce"] = self.c["beta"] * self.rules.loss(self.model(images[two]), labels[two])
        for term, loss in losses.items():
            self.log(term, "-", "loss", loss)
        grads = torch.autograd.grad(sum(losses.values()), [*self.weights.values()])
        how = {name: self.c[name] for name in ("lr", "momentum", "weight_decay")}
        with torch.no_grad():
            for (name, weight), grad in zip(self.weights.items(), grads, strict=True):
                self.rules.update(weight, grad, self.velocity[name], self.masks.get(name), **how)
                if self.c["momentum"]:
                    self.log("update", name, "velocity", self.velocity[name])
                self.log("update", name, "value", weight)
        for new in zip(x, y, logits.detach(), self.chance.draws(self.seen, len(x)), strict=True):
            self.remember(*new)

    def remember(self, image, label, logits, draw):
        if (slot := self.rules.slot(self.seen, self.c["buffer_size"], int(draw))) >= 0:
            for kept, new in ((self.images, image), (self.labels, label), (self.logits, logits)):
                kept[slot : slot + 1] = [new]
        self.seen += 1

    def move_masks(self, task, epoch, classes, x, y):
        """TDM: what leaves and what joins before an epoch."""
        inter, intra = (Fraction(str(self.c[name])) for name in ("p_inter", "p_intra"))
        if epoch % self.c["delta_k"] == 0:
            self.shrink(self.sparsity + intra, classes, x, y)
            self.expand(self.sparsity)
        elif task > 1 and epoch == 1:
            self.expand(self.sparsity - inter)

    def shrink(self, sparsity, classes, x, y):
        first = slice(self.c["importance_samples"])
        new = self.probe(x[first], y[first], classes)
        old = self.probe(*map(torch.stack, (self.images, self.labels)))
        alpha, beta = self.c["importance_alpha"], self.c["importance_beta"]
        for name in MASKED:
            weight, mask = self.weights[name].detach(), self.masks[name]
            self.log("shrink", name, "current_gradient", new[name])
            self.log("shrink", name, "buffer_gradient", old[name])
            score = self.rules.importance(weight, new[name], old[name], alpha, beta)
            self.masks[name] = self.rules.keep(mask, score, self.rules.budget(mask.numel(), sparsity))
            self.log("shrink", name, "mask", self.masks[name])
        self.put_masks_on()

    def expand(self, sparsity):
        for name in MASKED:
            mask = self.masks[name].clone()
            count = self.rules.budget(mask.numel(), sparsity) - int(mask.sum())
            mask.view(-1)[self.chance.joins(name, np.flatnonzero(~mask.numpy()), count)] = True
            self.masks[name] = mask
            self.log("expand", name, "mask", mask)
        self.put_masks_on()

    def put_masks_on(self):
        with torch.no_grad():
            for name, mask in self.masks.items():
                self.rules.clear(mask, self.weights[name], self.velocity[name])

    def probe(self, x, y, classes=None):
        """Gradient of the mean loss; the running statistics of batch-norm are left alone."""
        saved = {name: value.clone() for name, value in self.model.state_dict().items()}
        total, weights = 0, [self.weights[name] for name in MASKED]
        for at in self.rules.chunks(len(y), self.c["batch_size"]):
            share = len(y[at]) / len(y)
            grads = torch.autograd.grad(share * self.rules.loss(self.model(x[at]), y[at], classes), weights)
            total = [before + grad for before, grad in zip(total or (0, 0), grads, strict=True)]
        self.model.load_state_dict(saved)
        return {name: torch.where(self.masks[name], grad, 0.0) for name, grad in zip(MASKED, total, strict=True)}

    def accuracies(self, x, y, tasks):
        """Class-IL and Task-IL on the images of each task, which is its classes."""
        self.model.eval()
        with torch.no_grad():
            logits = self.model(x)
        self.model.train()
        parts = [(torch.as_tensor(np.isin(y, classes)), classes) for classes in tasks]
        rows = {
            "class_il_accuracy": [self.rules.right(logits[at], y[at]) for at, _ in parts],
            "task_il_accuracy": [self.rules.right(logits[at], y[at], classes) for at, classes in parts],
        }
        means = {name: torch.stack([right.double().mean() for right in row]) for name, row in rows.items()}
        for name, row in means.items():
            self.log("evaluation", "-", name, row)
        return means


def network(width, classes):
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, width // 2, 3, padding=1, bias=False), bn1=nn.BatchNorm2d(width // 2),
            relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(width // 2, width, 3, padding=1, bias=False), bn2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(width, width, 3, padding=1, bias=False), bn3=nn.BatchNorm2d(width), relu3=nn.ReLU(),
            pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), linear=nn.Linear(width, classes),
        )
    ).double()  # fmt: skip
