"""BatchNormalization with TensorFlow's fused kernel, for Experiment 3's model."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("kerascifar")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer for float32 (n, height, width, channels), faster in training.

    Keras computes each step of the formula with an operation of its own, and a training step of a small network can
    spend more time on these than on convolutions (docs/benchmarks.md). The fused kernel is one operation. Outputs and
    gradients agree up to rounding. The moving variance is the unbiased one, as in PyTorch; Keras's is biased. With
    another backend or dtype, Keras's own code runs.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalises `inputs` with the batch's statistics in training, otherwise with the moving ones."""
        fused = training and self.trainable and inputs.dtype == "float32"
        if not fused or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma, offset=self.beta, mean=[], variance=[], epsilon=self.epsilon
        )
        for moving, of_batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + of_batch * (1 - self.momentum))
        return outputs
