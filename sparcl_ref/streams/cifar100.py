"""CIFAR-100: a hundred classes in twenty groups, by its fine labels or by its coarse ones.

One file for training and one for testing. A record of the binary version has the coarse label, then the fine one; the
Python version has both lists by name.
"""

from __future__ import annotations

import dataclasses

from sparcl_ref.streams.cifar import IMAGE_SHAPE, Format
from sparcl_ref.streams.download import Remote
from sparcl_ref.streams.known import KnownDataset

FINE = Format(names=("train", "test"), key="fine_labels", label_bytes=2, label_byte=1, classes=100)
COARSE = dataclasses.replace(FINE, key="coarse_labels", label_byte=0, classes=20)

CIFAR100 = KnownDataset(
    name="cifar100",
    title="CIFAR-100",
    origin='A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009',
    licence="none stated",
    train=50_000,
    test=10_000,
    input_shape=IMAGE_SHAPE,
    classes=FINE.classes,
    scale=1 / 255,
    mean=(0.5071, 0.4865, 0.4409),  # of the 50,000 training images, as often published
    std=(0.2673, 0.2564, 0.2762),
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    remotes=(Remote("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),),
    places=("cifar-100-binary", "cifar-100-python*", "cifar-100-python*/cifar-100-python"),
    files=FINE.files,
    read=FINE.read,
)

CIFAR100_COARSE = dataclasses.replace(
    CIFAR100,
    name="cifar100-coarse",
    title="CIFAR-100 by its 20 coarse labels",
    classes=COARSE.classes,
    files=COARSE.files,
    read=COARSE.read,
)
