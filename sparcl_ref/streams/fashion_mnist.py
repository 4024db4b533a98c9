"""Fashion-MNIST: clothes in the files, sizes and layouts of MNIST."""

from __future__ import annotations

import dataclasses

from sparcl_ref.streams.mnist import MNIST

FASHION_MNIST = dataclasses.replace(
    MNIST,
    name="fashion-mnist",
    title="Fashion-MNIST",
    origin='H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset", 2017, Zalando SE',
    licence="MIT",
    mean=(0.28604,),
    std=(0.35302,),
    places=("fashion-mnist", "FashionMNIST/raw"),  # Debian's and Keras', torchvision's
    source="apt-get install dataset-fashion-mnist, or https://github.com/zalandoresearch/fashion-mnist",
)
