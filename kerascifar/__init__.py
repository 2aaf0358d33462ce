"""kerascifar: a reproduction of a report on small CNNs for CIFAR-10. Importing it loads no TensorFlow."""

__version__ = "0.1.0"
