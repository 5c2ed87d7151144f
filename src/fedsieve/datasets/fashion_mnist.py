"""Fashion-MNIST: 28x28 photographs of clothes, in torchvision's folder layout."""

from pathlib import Path

from torchvision.datasets import FashionMNIST

from fedsieve.archives import read_idx
from fedsieve.records import Dataset
from fedsieve.sources import Source, gzipped, provide, verified

SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""Of the unpacked files, so that a data root without the ``.gz`` can be verified too."""

SOURCE = Source(
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    license="MIT",
    citation=(
        "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for "
        "benchmarking machine learning algorithms, arXiv:1708.07747, 2017"
    ),
    files=gzipped(
        "FashionMNIST/raw",
        # torchvision's mirror has no TLS; the authors' repository holds the same files
        ["https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"],
        FashionMNIST.resources,
        SHA256,
    ),
)


def fetch(root: Path) -> dict[str, str]:
    """Verify the four idx files, after downloading what is missing (31 MB)."""
    return provide(root, SOURCE)


def read(root: Path) -> tuple[Dataset, Dataset]:
    """Return 60,000 training and 10,000 test images [1, 28, 28] of ten kinds of clothes."""
    train_images, train_labels, test_images, test_labels = verified(root, SOURCE)
    classes = tuple(FashionMNIST.classes)
    return (
        read_idx(train_images, train_labels, classes),
        read_idx(test_images, test_labels, classes),
    )
