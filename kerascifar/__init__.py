"""kerascifar: a reproduction of a report on small CNNs for CIFAR-10. Importing it loads no TensorFlow."""

import os
import sys

__version__ = "0.1.0"

# oneDNN's kernels train two to three times as fast on a CPU without AVX-512, where TensorFlow leaves them off unless
# asked. It reads the variable once, when it is loaded, so this comes first. Where it was built without oneDNN, the
# variable does nothing.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# A container's user may have no home. Caches need one.
if os.path.expanduser("~") == "~":
    os.environ["HOME"] = f"/tmp/kerascifar-{os.getuid()}"

# `python -m kerascifar` would look for modules in the working folder first, where a user's numpy.py may stand.
# While Python looks for another package's module, argv is the same; that package may need its folder.
if (
    sys.argv[:1] == ["-m"]
    and sys.orig_argv[-len(sys.argv)].removeprefix("-m").split(".")[0] == __name__
    and not sys.flags.safe_path
):
    del sys.path[0]
