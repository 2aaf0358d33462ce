"""One row as a user would write it in plain Keras: images in memory, ImageDataGenerator.flow, fit, EarlyStopping.

Prints the seconds of each epoch and the peak of memory, as JSON.
"""

import os
import tempfile
import time

import measured

arguments = measured.arguments()

import keras  # noqa: E402
from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator  # noqa: E402

from kerascifar.training import models  # noqa: E402

row, images, labels, split = measured.row_and_data(arguments)
x_train, y_train = images[split[0]].astype("float32"), labels[split[0]]
x_val, y_val = images[split[1]].astype("float32"), labels[split[1]]
x_train /= 255
x_val /= 255

keras.utils.set_random_seed(0)
keras.config.set_dtype_policy(row.precision)
model = models.build(row.model, **row.model_options)
optimizer = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop, "sgd": keras.optimizers.SGD}
model.compile(
    optimizer=optimizer[row.optimizer](row.learning_rate, **row.optimizer_options),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
ends = []
callbacks = [
    keras.callbacks.EarlyStopping(monitor=row.monitor, patience=row.patience, restore_best_weights=True),
    keras.callbacks.ModelCheckpoint(os.path.join(tempfile.mkdtemp(), "best.keras"), save_best_only=True),
    keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())),
]
began = time.perf_counter()
options = {"epochs": arguments.epochs, "validation_data": (x_val, y_val), "callbacks": callbacks, "verbose": 0}
if row.augment:
    generator = ImageDataGenerator(**row.augmentation)
    model.fit(generator.flow(x_train, y_train, batch_size=row.batch_size), **options)
else:
    model.fit(x_train, y_train, batch_size=row.batch_size, **options)
measured.report(began, ends)
