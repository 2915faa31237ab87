"""Downloads: the public files of a set, fetched once into the user's cache and known by their sha256."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from minilwa.errors import InputError


class Source(NamedTuple):
    """Two servers of the same files, tried in turn, and the sha256 of each file."""

    mirrors: tuple[str, str]
    sha256: dict[str, str]


SOURCES = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion-mnist": Source(
        (
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    "cifar10": Source(
        ("https://www.cs.toronto.edu/~kriz/", "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/"),
        {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    ),
}


def download(name: str) -> Path:
    """The folder of the user's cache that holds the files of ``name``, those fetched that are not there yet.

    A file whose sha256 is not the known one is never kept. InputError, which names the way without a network, if
    neither mirror gives the right file.
    """
    import pooch

    source = SOURCES[name]
    folder = Path(pooch.os_cache("minilwa")) / name
    for file, sha256 in source.sha256.items():
        reasons = []
        for mirror in source.mirrors:
            try:
                # a bar for each file (pooch draws it with tqdm); it asks no server if the cache has the file
                bar = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16)
                pooch.retrieve(mirror + file, f"sha256:{sha256}", fname=file, path=folder, downloader=bar)
                break
            except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong sha256 is a ValueError
                reasons.append(f"{urlsplit(mirror).hostname}: {_reason(error)}")
        else:
            raise InputError(
                "data",
                f'"{name}", whose {file} could not be downloaded ({"; ".join(reasons)})',
                "a network connection or the files in a local folder",
                f"Put {', '.join(source.sha256)} into a folder and name it with --data-dir or MINILWA_DATA.",
            )
    return folder


def _reason(error: Exception) -> str:
    if (response := getattr(error, "response", None)) is not None:
        return f"HTTP status {response.status_code}"
    if isinstance(error, OSError):
        return error.strerror or "no connection"  # requests' own errors carry no strerror, the file system's do
    return "wrong sha256"
