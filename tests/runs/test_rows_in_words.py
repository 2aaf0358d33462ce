"""What tells a row apart, and how it differs from another."""

import dataclasses

import factories

from kerascifar.runs import rows_in_words


def test_rows_with_batch_normalization_or_dropout_are_told_apart_by_them():
    row = factories.record(row={"name": "Model4", "model": "model4", "augment": True}).row
    assert rows_in_words.described(row) == "2 BatchNorm (conv 2, 4), 2 Dropout"
    like = dataclasses.replace(row, model="model2")
    assert rows_in_words.described(like) == "4 BatchNorm (conv 1–4), 2 Dropout"
    trained = "Adam 0.001, batch 256, augmented"
    assert rows_in_words.described(factories.record(row={"augment": True}).row) == trained
    assert rows_in_words.described(factories.record(row={"model": "residual", "augment": True}).row) == trained


def test_what_differs_names_changed_options():
    base = factories.record().row
    changed = dataclasses.replace(base, model_options={"padding": "valid"}, monitor="val_accuracy", augment=True)
    assert rows_in_words.differing(changed, base) == "augmented, padding valid, monitor val_accuracy"
    assert rows_in_words.differing(dataclasses.replace(base, name="Same"), base) == "nothing"
    options = {"optimizer": "adamw", "optimizer_options": {"weight_decay": 0.05, "ema_momentum": 0.999}, "epochs": 60}
    schedule = {"decay": "cosine", "end": 0.01}
    full = dataclasses.replace(base, augment=True, augmentation={"mixup": 0.2}, schedule=schedule, **options)
    assert (
        rows_in_words.differing(dataclasses.replace(full, optimizer_options={"weight_decay": 0.05}), full)
        == "default ema momentum"
    )
    assert rows_in_words.differing(dataclasses.replace(full, schedule={}), full) == "no decay, no end"
    assert rows_in_words.differing(dataclasses.replace(full, epochs=90), full) == "epochs 90"
    endless = dataclasses.replace(base, patience=1000)
    assert rows_in_words.differing(endless, base) == "no early stopping"
    assert rows_in_words.differing(base, endless) == "patience 10"
    words = "AdamW, augmented, weight decay 0.05, ema momentum 0.999, mixup 0.2, no rotation range, no horizontal flip"
    assert rows_in_words.differing(full, base) == f"{words}, decay cosine, end 0.01, epochs 60"


def test_an_option_that_a_row_leaves_out_is_named():
    """Fails if only the options that a row has are compared: then M6 with Keras's defaults differs in nothing."""
    base = factories.record(
        row={"model_options": {"initialization": "pytorch"}, "optimizer_options": {"epsilon": 1e-8}}
    ).row
    plain = dataclasses.replace(base, model_options={}, optimizer_options={})
    assert rows_in_words.differing(plain, base) == "default initialization, default epsilon"
    filled = dataclasses.replace(base, augment=True, augmentation={"crop": 4, "fill_mode": "constant"})
    assert rows_in_words.differing(dataclasses.replace(filled, augmentation={}), filled) == "no crop, default fill mode"


def test_augmentation_that_is_off_makes_no_difference():
    """Fails if settings are named that have no effect."""
    row = factories.record(row={"augment": False}).row
    other = dataclasses.replace(row, name="B", augmentation={"rotation_range": 40.0})
    assert rows_in_words.differing(other, row) == "nothing"


def test_options_that_all_models_share_are_compared_between_models():
    """Fails if a row with another model and other pixels seems to differ in its model only."""
    base = factories.record(row={"model": "model3", "model_options": {"dropout": 0.1, "pixels": "-1..1"}}).row
    other = dataclasses.replace(base, model="model5", model_options={"momentum": 0.9})
    changed = "model5: Model4 without its two Dropout layers, BatchNorm momentum 0.9, default pixels"
    assert rows_in_words.differing(other, base) == changed
