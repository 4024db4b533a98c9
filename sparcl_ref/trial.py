"""A few events of a run, timed in a process like its worker: what they take, and the most memory that was held."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref import checkpoint, extensions
from sparcl_ref.config import Config
from sparcl_ref.cost.timing import Clock, median_seconds
from sparcl_ref.cost.work import Moment, Work
from sparcl_ref.draws import Place
from sparcl_ref.evaluation import EVALUATION_BATCH, accuracy_rows
from sparcl_ref.experiment import build
from sparcl_ref.forecast import Forecast
from sparcl_ref.memory import forget_peak, peak_bytes
from sparcl_ref.saved import learner_of
from sparcl_ref.streams import Dataset, Task, load_dataset
from sparcl_ref.text import one_line
from sparcl_ref.trainer import Trainer
from sparcl_ref.trial_phases import phase_seconds
from sparcl_ref.worker import prepare_process
from sparcl_ref.workers import CONTEXT, WorkerDiedError, begin, why_it_died

#: Steps to time: so many at least, and on until this share of the run's steps, or so many seconds, have gone by.
STEPS, SHARE, SECONDS = 4, 0.01, 2.0
#: The most test images that are predicted.
TEST_IMAGES = 4 * EVALUATION_BATCH
#: The most sizes of test batches that are tried.
SIZES = 8
#: Ends of tasks that are gone through, at most: each leaves memory in other pieces than before.
TASKS = 5


@dataclass(frozen=True)
class Trial:
    """What a run does, in seconds; ``failure`` says why nothing is known, if nothing is.

    Attributes
    ----------
    start : float
        Loading the data set, building the parts, and what the first step takes longer than others.
    step, refresh : float
        With a full buffer; at a refresh gradient masks are chosen.
    evaluation : float
        Of all tasks.
    adjustments : tuple of float
        Mask actions with their probe, in the order of the work's.
    own_samples : tuple of float
        A sample of a method's own passes with gradients, in the order of the work's.
    own_forward : float
        A sample of such a pass without gradients.
    phases : tuple of float
        A sample in the steps of each kind of phase, with their updates, in the order of the work's.
    peak_memory_bytes : int or None
        The most memory that the process held meanwhile; None where the system does not say.
    weights_bytes, state_bytes : int
        Of the file of weights, and of a checkpoint.
    """

    start: float = 0.0
    step: float = 0.0
    refresh: float = 0.0
    evaluation: float = 0.0
    adjustments: tuple[float, ...] = ()
    own_samples: tuple[float, ...] = ()
    own_forward: float = 0.0
    phases: tuple[float, ...] = ()
    peak_memory_bytes: int | None = None
    weights_bytes: int = 0
    state_bytes: int = 0
    failure: str = ""

    def seconds(self, work: Work) -> float | None:
        """How long the whole run will take in a worker process; None if the trial failed."""
        if self.failure:
            return None
        parts = [
            self.start,
            (work.steps - work.refreshes) * self.step,
            work.refreshes * self.refresh,
            work.evaluations * self.evaluation,
            work.own_forwards * self.own_forward,
            *(count * took for (_, count), took in zip(work.adjustments, self.adjustments, strict=True)),
            *(count * took for (_, count), took in zip(work.own_samples, self.own_samples, strict=True)),
            *(count * took for (_, count), took in zip(work.phases, self.phases, strict=True)),
        ]
        return sum(parts)


def with_trial(item: Forecast, trial: Trial) -> Forecast:
    """The forecast with what the trial of a few events says of the whole run on this machine."""
    if trial.failure:
        return item
    return dataclasses.replace(
        item,
        seconds=trial.seconds(item.work),
        peak_memory_bytes=trial.peak_memory_bytes,
        disk_bytes={
            **item.disk_bytes,
            "weights": trial.weights_bytes,
            "checkpoints": checkpoint.GENERATIONS * trial.state_bytes,
        },
    )


def tried(config: Config, work: Work, dataset: Dataset, *, clock: Clock = time.perf_counter) -> Trial:
    """Time the events of a run in this process. The run's weights move by nothing that could let it diverge."""
    begun = clock()
    trainer = build(dataclasses.replace(config, lr=1e-12), dataset)
    built = clock() - begun
    if trainer.rules.replay_from_task > 1 and len(trainer.stream.training) > 1:
        trainer.cursor.task = 1
    fill_buffer(trainer)
    trainer.cursor.due = "begin_task"
    while trainer.cursor.due != "step":
        trainer.advance()
    first = median_seconds(trainer.advance, 1, clock, warm=False)
    step = step_seconds(trainer, first, work, clock)
    refresh = median_seconds(lambda: again(trainer, 0), 2, clock, warm=False) if work.refreshes else 0.0
    evaluated = evaluation_seconds(trainer, clock)
    adjustments = tuple(
        median_seconds(functools.partial(adjust, trainer, moment), 1, clock, warm=False)
        for moment, _ in work.adjustments
    )
    own = tuple(own_pass_seconds(trainer, size, clock) / size for size, _ in work.own_samples)
    for _ in trainer.stream.training[:TASKS]:
        visit_batch_sizes(trainer)
        state_bytes = len(checkpoint.encode(trainer.state()))  # saving one is part of a run, and of its memory
    phases = phase_seconds(trainer, clock) if work.phases else {}
    peak = peak_bytes()
    snapshots = sum(bits.nbytes for bits in trainer.history.mask_alive) * config.epochs * len(trainer.stream.training)
    return Trial(
        start=built + max(0.0, first - step),
        step=step,
        refresh=refresh,
        evaluation=evaluated * sum(len(task.test_index) for task in trainer.stream.tasks),
        adjustments=adjustments,
        own_samples=own,
        own_forward=evaluated,
        phases=tuple(phases[kind][0] for kind, _ in work.phases),
        peak_memory_bytes=peak,
        weights_bytes=len(learner_of(trainer).content()),
        state_bytes=max([state_bytes, *(size for _, size in phases.values())]) + snapshots,
    )


def fill_buffer(trainer: Trainer) -> None:
    """Present as many samples to the buffer as it will hold, so that all steps replay full batches."""
    if trainer.buffer is None:
        return
    index, dataset = np.concatenate([task.train_index for task in trainer.stream.training]), trainer.dataset
    size, most = trainer.config.batch_size, min(trainer.config.buffer_size, len(index))
    for start in range(0, most, size):
        some = index[start : min(start + size, most)]
        logits = np.zeros((len(some), dataset.classes), trainer.config.dtype)
        trainer.buffer.add(dataset.train_x[some], dataset.train_y[some], logits, task=1, rng=np.random.default_rng(0))


def again(trainer: Trainer, step: int) -> None:
    """Take a step of this epoch once more."""
    trainer.cursor.due, trainer.cursor.step = "step", step
    trainer.advance()


def step_seconds(trainer: Trainer, first: float, work: Work, clock: Clock) -> float:
    """Median of a step that chooses no gradient masks, with so many repeats as the length of the run deserves."""
    size, interval = len(trainer.cursor.remaining), trainer.config.dgm_interval
    plain = [step for step in range(size // trainer.config.batch_size) if not work.refreshes or step % interval] or [0]
    times: list[float] = []
    enough = min(SECONDS, SHARE * work.steps * first)
    while len(times) < STEPS or sum(times) < enough:
        times.append(median_seconds(lambda: again(trainer, plain[len(times) % len(plain)]), 1, clock, warm=False))
    return statistics.median(times)


def evaluation_seconds(trainer: Trainer, clock: Clock) -> float:
    """Of a test image: a few batches are predicted, after a step of training as in the run.

    An engine that makes room for another size of batch takes longer for the first.
    """
    index = max((task.test_index for task in trainer.stream.tasks), key=len)[:TEST_IMAGES]
    times = []
    for _ in range(2):
        again(trainer, 0)
        times.append(median_seconds(functools.partial(evaluate, trainer, index), 1, clock, warm=False))
    return statistics.median(times) / len(index)


def evaluate(trainer: Trainer, index: np.ndarray) -> None:
    """Measure accuracy on some test images."""
    few = dataclasses.replace(trainer.stream, tasks=(Task(1, trainer.stream.class_order, index, index),))
    accuracy_rows(trainer.method, few, trainer.decisions.dtype)


def visit_batch_sizes(trainer: Trainer) -> None:
    """Take a batch of each size that the run will have, so that an engine holds what it will hold of each."""
    last = -(-len(trainer.cursor.remaining) // trainer.config.batch_size) - 1
    again(trainer, 0 if trainer.rules.drop_last else last)
    sizes = [
        size
        for task in trainer.stream.tasks
        for size in (min(EVALUATION_BATCH, len(task.test_index)), len(task.test_index) % EVALUATION_BATCH)
    ]
    for size in list(dict.fromkeys(filter(None, sizes)))[-SIZES:]:
        evaluate(trainer, np.arange(size))


def adjust(trainer: Trainer, moment: Moment) -> None:
    """Take the mask actions that are due then, with the step that is spent on them, if one is."""
    assert trainer.regime is not None
    task, epoch, step = moment
    if trainer.regime.spends(Place(*moment)):
        own = trainer.stream.training[trainer.cursor.task - 1]
        batch = trainer.decisions.batch(trainer.place, own, own.train_index[: trainer.config.batch_size])
        trainer.spend(batch, Place(*moment))
    elif step:
        trainer.regime.before_step(task, epoch, step, trainer.charged_probe)
    else:
        trainer.regime.before_epoch(task, epoch, trainer.charged_probe)


def own_pass_seconds(trainer: Trainer, size: int, clock: Clock) -> float:
    """Of a pass with gradients over so many images, of which a layer may want more in train mode."""
    model, config = trainer.model, trainer.config
    images = trainer.dataset.train_x[:size]
    upstream = np.zeros((len(images), model.classes), config.dtype)

    def once() -> None:
        model.forward(trainer.decisions.prepare(images), mode="train" if size > 1 else "eval")
        model.backward(upstream, need_dx=False)

    return median_seconds(once, 2, clock)


def trials(configs: Sequence[Config], works: Sequence[Work], *, threads: int) -> tuple[float, list[Trial]]:
    """Seconds until a worker process is ready, and a trial of each configuration in one, one after the other.

    Raises
    ------
    WorkerDiedError
        If the process ended without an answer.
    MemoryError
        If a run does not fit into this machine.
    """
    here, there = CONTEXT.Pipe(duplex=False)
    asked = (there, time.time(), list(configs), list(works), threads, extensions.added())
    process = CONTEXT.Process(target=_answer, args=asked, daemon=True)
    begin(process)
    there.close()
    try:
        answer: tuple[float, list[Trial]] | MemoryError = here.recv()
    except EOFError:
        process.join()
        raise WorkerDiedError(f"a trial of the runs: {why_it_died(process.exitcode, ready=True)}") from None
    finally:
        process.terminate()
        process.join()
    if isinstance(answer, MemoryError):
        raise answer
    return answer


def _answer(
    pipe: Any, asked_at: float, configs: list[Config], works: list[Work], threads: int, things: extensions.Added
) -> None:
    """The body of the process."""
    prepare_process(threads, things)
    ready = time.time() - asked_at
    found: list[Trial] = []
    dataset, name, loading = None, "", 0.0
    for config, work in zip(configs, works, strict=True):
        gc.collect()
        forget_peak()
        if dataset is None or name != config.dataset:
            begun = time.perf_counter()
            dataset, name = load_dataset(config.dataset), config.dataset
            loading = time.perf_counter() - begun
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                trial = tried(config, work, dataset)
                found.append(dataclasses.replace(trial, start=trial.start + loading))
            except MemoryError as error:
                pipe.send(error)
                return
            except Exception as error:  # whatever it is, it is the run that has to say it, and what it leaves behind
                found.append(Trial(failure=one_line(error)))
    with contextlib.suppress(BrokenPipeError):
        pipe.send((ready, found))
