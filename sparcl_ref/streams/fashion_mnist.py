"""Fashion-MNIST: clothes in the files, sizes and layouts of MNIST."""

from __future__ import annotations

import dataclasses

from sparcl_ref.streams.mnist import MNIST, remotes

FASHION_MNIST = dataclasses.replace(
    MNIST,
    name="fashion-mnist",
    title="Fashion-MNIST",
    origin='H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset", 2017, Zalando SE',
    licence="MIT",
    mean=(0.28604,),
    std=(0.35302,),
    places=("fashion-mnist", "FashionMNIST/raw"),  # Debian's and Keras', torchvision's
    remotes=remotes(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "fashion-mnist",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    source="apt-get install dataset-fashion-mnist, or https://github.com/zalandoresearch/fashion-mnist",
)
