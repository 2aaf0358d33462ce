"""CIFAR-10 as it is published: names, file layout, addresses and checksums.

Source: A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html. The page lists no SHA-256: those of the binary
version's files come from github.com/ankane/torchvision-ruby, the MD5 of the Python version's from torchvision
(`datasets/cifar.py`), and the checksum of the Python version's archive from Keras (`datasets/cifar10.py`).
"""

from typing import NamedTuple

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASSES = len(CLASS_NAMES)
ROW_BYTES = 1 + 3 * 32 * 32  # label, red plane, green plane, blue plane
BATCH_ROWS = 10_000

SHA256 = {  # of the files of the binary version
    "data_batch_1": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
MD5 = {  # of the files of the Python version
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
BATCHES = tuple(SHA256)
TRAIN_BATCHES = BATCHES[:-1]

# Of the images of a whole split in the binary layout.
TRAIN_SHA256 = "a0181da372c0d63a5920fdbea2ec3f83ecbc552d378218e1cb473cf634941a3b"
TEST_SHA256 = SHA256["test_batch"]
FINGERPRINT = {"train": TRAIN_SHA256, "test": TEST_SHA256}


class Version(NamedTuple):
    """One of the two official downloads: a `.tar.gz` of a folder with six files."""

    folder: str
    suffix: str  # of the six files
    url: str
    sha256: str  # of the archive

    @property
    def archive(self) -> str:
        """The file name of the archive."""
        return self.url.rpartition("/")[2]

    @property
    def names(self) -> dict[str, str]:
        """The file name of each batch."""
        return {batch: batch + self.suffix for batch in BATCHES}


BINARY = Version(
    folder="cifar-10-batches-bin",
    suffix=".bin",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
PYTHON = Version(
    folder="cifar-10-batches-py",
    suffix="",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
VERSIONS = (BINARY, PYTHON)
