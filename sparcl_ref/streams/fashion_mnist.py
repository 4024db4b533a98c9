"""Fashion-MNIST: photographs of clothes in the format of MNIST, and harder to tell apart."""

from __future__ import annotations

from sparcl_ref.streams.idx import idx_files, read_idx_files
from sparcl_ref.streams.known import KnownDataset

FASHION_MNIST = KnownDataset(
    name="fashion-mnist",
    title="Fashion-MNIST",
    origin='H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset", 2017, Zalando SE',
    licence="MIT",
    train=60_000,
    test=10_000,
    input_shape=(1, 28, 28),
    classes=10,
    scale=1 / 255,
    mean=(0.28604,),
    std=(0.35302,),
    places=("fashion-mnist", "FashionMNIST/raw"),  # Debian's and Keras', torchvision's
    files=idx_files,
    read=read_idx_files,
)
load_fashion_mnist = FASHION_MNIST.load
