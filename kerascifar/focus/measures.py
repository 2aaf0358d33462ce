"""How well a focus map shows where a classifier looks: measures for any classifier and any map, in batches.

CIFAR-10 has no masks of its objects, so a map is judged by how the classifier responds when parts of images are removed
or combined. Compare each measure with its value for the baselines `random_maps` and `centred_maps`: a value that these
reach says nothing about a model.

In all functions: images float32 (n, 32, 32, 3) in 0..1; labels int (n,), 0..9, the class that each map explains; maps
float (n, 32, 32), of any scale, larger where there is more evidence; `predict` returns logits (n, 10) for images.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import integrate, linalg, ndimage, special, stats

Predict = Callable[[np.ndarray], np.ndarray]

SHARES = (0.2, 0.4, 0.6, 0.8)  # of the pixels that ROAD removes
NOISE = 0.01  # standard deviation; added to pixels that ROAD fills in, as smoothness would give them away
NEIGHBOURS = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], "float32") / 12  # their weights in ROAD's equations
AT_ONCE = 64  # images that are filled in together, in about 7 MB
STEPS = 10  # of deletion and insertion
BLUR = 4.0  # pixels: standard deviation for the blurred image that insertion starts from
SIDE = 32


def random_maps(count: int, grid: int = 8, seed: int = 0) -> np.ndarray:
    """Maps of noise on a coarse grid, enlarged linearly as a convolution's map is: float32 (count, 32, 32)."""
    noise = np.random.default_rng(seed).random((count, grid, grid), dtype="float32")
    return np.asarray(ndimage.zoom(noise, (1, SIDE / grid, SIDE / grid), order=1))


def centred_maps(count: int, deviation: float = 8.0) -> np.ndarray:
    """The centred spot, where photographers put their subject: the same Gaussian for all, float32 (count, 32, 32)."""
    line = np.exp(-(((np.arange(SIDE) - (SIDE - 1) / 2) / deviation) ** 2) / 2)
    return np.broadcast_to(np.outer(line, line).astype("float32"), (count, SIDE, SIDE))


def border_share(maps: np.ndarray, width: int = 4) -> np.ndarray:
    """Share of each map's evidence that lies within `width` pixels of the image's edge, (n,); NaN for an empty map.

    A constant map has 1 − (1 − 2 width / 32)², which is 0.4375 for four pixels. Maps must not be negative.
    """
    whole = maps.sum(axis=(1, 2), dtype="float64")
    inside = maps[:, width:-width, width:-width].sum(axis=(1, 2), dtype="float64")
    return np.divide(whole - inside, whole, out=np.full(len(maps), np.nan), where=whole > 0)


def order(maps: np.ndarray, seed: int = 0) -> np.ndarray:
    """Each map's pixels from the most to the least relevant, int (n, 1024). Ties, as in an empty map, are random."""
    flat = maps.reshape(len(maps), -1)
    tiebreak = np.random.default_rng(seed).random(flat.shape)
    return np.lexsort((tiebreak, -flat), axis=-1)


def probability(predict: Predict, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The softmax probability of each image's label, float64 (n,)."""
    return special.softmax(np.asarray(predict(images), "float64"), axis=1)[np.arange(len(labels)), labels]


def road(
    predict: Predict, images: np.ndarray, labels: np.ndarray, maps: np.ndarray, *, shares: Sequence[float] = SHARES
) -> np.ndarray:
    """Remove and debias: (LeRF − MoRF) / 2, averaged over the shares, (n,); larger is more faithful, 0 is chance.

    LeRF and MoRF are the label's probability when the least or the most relevant share of the pixels is removed and
    filled in from the surrounding pixels (`filled`). Source: Rong et al. 2022, arXiv:2202.00449; combined as in the
    grad-cam package.
    """
    ranked = order(maps)
    total = np.zeros(len(images))
    for place, share in enumerate(shares):
        removed = round(share * SIDE * SIDE)
        without = {
            name: probability(predict, filled(images, _mask(pixels), seed=place), labels)
            for name, pixels in (("most", ranked[:, :removed]), ("least", ranked[:, -removed:]))
        }
        total += (without["least"] - without["most"]) / 2
    return total / len(shares)


def _mask(pixels: np.ndarray) -> np.ndarray:
    """bool (n, 32, 32), true at the given pixels (n, m) of the flattened image."""
    mask = np.zeros((len(pixels), SIDE * SIDE), bool)
    np.put_along_axis(mask, pixels, True, axis=1)
    return mask.reshape(-1, SIDE, SIDE)


def filled(images: np.ndarray, missing: np.ndarray, seed: int = 0) -> np.ndarray:
    """The images with missing pixels filled in from their neighbours: noisy linear imputation, float32.

    Each missing pixel is the weighted mean of its eight neighbours within the image, with weight 1/6 for adjacent and
    1/12 for diagonal ones. This is a system of linear equations. Noise is then added to the filled-in pixels. Source:
    Rong et al. 2022, arXiv:2202.00449, section 4.

    Args:
        missing: bool (n, 32, 32); an image without any pixel left becomes 0 plus noise.
    """
    result = np.where(missing[..., None], 0, images)
    around = ndimage.convolve(result, NEIGHBOURS[None, :, :, None], mode="constant")
    unknown = missing & ~missing.all(axis=(1, 2), keepdims=True)
    for start in range(0, len(images), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        if unknown[part].any():
            result[part][unknown[part]] = _solved(unknown[part], around[part][unknown[part]])
    noise = np.random.default_rng(seed).standard_normal(images.shape, dtype="float32")
    return np.clip(result + NOISE * noise * missing[..., None], 0, 1)


def _solved(unknown: np.ndarray, around: np.ndarray) -> np.ndarray:
    """The missing pixels, in the shape of `around`: solves one system for all images, by Cholesky decomposition.

    unknown: bool (n, 32, 32). around: float32 (pixels, channels), the weighted sum of each pixel's known neighbours.

    Pixels are numbered image by image and row by row, so a later neighbour is at most 33 numbers away, and images do
    not interact. The matrix is therefore a narrow band, and the work grows only linearly with the number of pixels.
    """
    number = np.full((len(unknown), SIDE + 2, SIDE + 2), -1)  # with a frame around each image, which has no neighbours
    number[:, 1:-1, 1:-1][unknown] = np.arange(len(around))
    band = np.zeros((SIDE + 2, len(around)), "float32")  # entry [k, i] belongs to pixels i + k and i
    weights = ndimage.convolve(np.ones((SIDE, SIDE), "float32"), NEIGHBOURS, mode="constant")
    band[0] = np.broadcast_to(weights, unknown.shape)[unknown]
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        other = number[:, 1 + down : 1 + down + SIDE, 1 + right : 1 + right + SIDE][unknown]
        pixel = np.flatnonzero(other >= 0)
        band[other[pixel] - pixel, pixel] = -NEIGHBOURS[1 + down, 1 + right]
    return np.asarray(linalg.solveh_banded(band, around, overwrite_ab=True, lower=True))


def deletion_and_insertion(
    predict: Predict, images: np.ndarray, labels: np.ndarray, maps: np.ndarray, *, steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Areas under the label's probability as pixels are deleted or inserted, the most relevant first: two (n,), 0..1.

    Deletion replaces pixels by the image's mean colour (lower is better); insertion starts from a blurred image (higher
    is better). Source: Petsiuk et al. 2018, arXiv:1806.07421.
    """
    ranked = order(maps)
    grey = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    blurred = ndimage.gaussian_filter(images, (0, BLUR, BLUR, 0))
    curves: dict[str, list[np.ndarray]] = {"deletion": [], "insertion": []}
    for step in range(steps + 1):
        changed = _mask(ranked[:, : round(step * SIDE * SIDE / steps)])[..., None]
        curves["deletion"].append(probability(predict, np.where(changed, grey, images), labels))
        curves["insertion"].append(probability(predict, np.where(changed, images, blurred), labels))
    deletion, insertion = (integrate.trapezoid(curve, axis=0) / steps for curve in curves.values())
    return deletion, insertion


def drop_increase_gain(
    predict: Predict, images: np.ndarray, labels: np.ndarray, maps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What happens to the label's probability when the image is multiplied by its map: three (n,), 0..1.

    Drop is the share that is lost (lower is better), gain the share of the rest that is won (higher is better), and
    increase says whether any is won. Maps must not be negative; each is divided by its maximum. Sources: Chattopadhay
    et al. 2018, arXiv:1710.11063, for drop and increase; Zhang et al. 2024, arXiv:2301.07002, for gain.
    """
    whole = probability(predict, images, labels)
    shown = probability(predict, masked(images, maps), labels)
    change = shown - whole
    return np.maximum(-change, 0) / whole, change > 0, np.maximum(change, 0) / np.maximum(1 - whole, 1e-12)


def masked(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The images multiplied by their maps, each divided by its maximum: float32."""
    return (images * _relative(maps)[..., None]).astype("float32")


def _relative(maps: np.ndarray) -> np.ndarray:
    """Each map divided by its maximum; an empty map stays empty."""
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros(maps.shape, "float32"), where=highest > 0)


def complexity(maps: np.ndarray) -> np.ndarray:
    """The mean of each map relative to its maximum, (n,), 0..1; lower is simpler. 0 for an empty map.

    Source: Poppi et al. 2021, arXiv:2104.10252.
    """
    return np.asarray(_relative(maps).mean(axis=(1, 2), dtype="float64"))


def sparseness(maps: np.ndarray) -> np.ndarray:
    """The Gini index of each map's pixels, (n,): 0 if all are equal, near 1 if few hold all evidence; NaN if empty.

    Maps must not be negative. Source: Chalasani et al. 2020, arXiv:1810.06583.
    """
    flat = np.sort(maps.reshape(len(maps), -1).astype("float64"), axis=1)
    size = flat.shape[1]
    weights = 2 * (size - np.arange(1, size + 1) + 0.5) / size
    whole = flat.sum(axis=1)
    return 1 - np.divide(flat @ weights, whole, out=np.full(len(maps), np.nan), where=whole > 0)


def coherency(maps: np.ndarray, again: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each map with that of the image multiplied by it (`masked`), on a scale of 0..1, (n,).

    Higher is better: what the map shows is what the model looks at when it sees nothing beside it. NaN if a map is
    constant. Source: Poppi et al. 2021, arXiv:2104.10252.
    """
    return (1 + _correlation(*(m.reshape(len(m), -1).astype("float64") for m in (maps, again)))) / 2


def adcc(coherency: np.ndarray, complexity: np.ndarray, drop: np.ndarray) -> np.ndarray:
    """The harmonic mean of coherency, 1 − complexity and 1 − drop, (n,), 0..1; higher is better.

    It is 0 if one of them is. Source: Poppi et al. 2021, arXiv:2104.10252.
    """
    return _harmonic_mean(coherency, 1 - complexity, 1 - drop)


def arcc(coherency: np.ndarray, complexity: np.ndarray, road: np.ndarray) -> np.ndarray:
    """The harmonic mean of coherency, 1 − complexity and twice ROAD, (n,), 0..1; higher is better.

    ROAD is at most 0.5. The result is 0 if one of the three is, or if ROAD is negative. Source: Domeniconi et al. 2026,
    arXiv:2605.14641.
    """
    return _harmonic_mean(coherency, 1 - complexity, np.clip(2 * road, 0, 1))


def _harmonic_mean(*parts: np.ndarray) -> np.ndarray:
    lowest = np.min(parts, axis=0)
    return np.where(lowest > 0, stats.hmean(np.maximum(parts, 1e-300), axis=0), lowest)


def noisy(images: np.ndarray, radius: float, seed: int) -> np.ndarray:
    """The images with uniform noise of at most `radius` added to each pixel, within 0..1: float32."""
    noise = np.random.default_rng(seed).uniform(-radius, radius, images.shape)
    return np.clip(images + noise, 0, 1).astype("float32")


def sensitivity(maps: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """The largest relative change of each map under small noise, (n,); lower is more stable. NaN for an empty map.

    `others` are the maps of `noisy` copies of the images; the change is the Euclidean distance relative to the map's
    own length. Source: Yeh et al. 2019, arXiv:1901.09392.
    """
    flat = maps.reshape(len(maps), -1)
    change = [np.linalg.norm(other.reshape(flat.shape) - flat, axis=1) for other in others]
    own = np.linalg.norm(flat, axis=1)
    return np.divide(np.max(change, axis=0), own, out=np.full(len(maps), np.nan), where=own > 0)


def mosaics(images: np.ndarray, labels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image at half its size in one quarter of a mosaic, with images of other classes in the other three.

    Returns:
        The mosaics, in the shape of `images`; each image's quarter, int (n,), 0 … 3 row by row; the indices of the
        other three images (n, 3).
    """
    random = np.random.default_rng(seed)
    small = images.reshape(len(images), SIDE // 2, 2, SIDE // 2, 2, 3).mean(axis=(2, 4))
    others = _of_other_classes(labels, 3, random)
    quarter = random.integers(0, 4, len(images))
    place = (np.arange(4) - quarter[:, None]) % 4  # 0 is the image itself, 1 … 3 the others
    sources = np.take_along_axis(np.column_stack([np.arange(len(images)), others]), place, axis=1)
    tiles = small[sources].reshape(-1, 2, 2, SIDE // 2, SIDE // 2, 3)
    return tiles.transpose(0, 1, 3, 2, 4, 5).reshape(images.shape).astype("float32"), quarter, others


def _of_other_classes(labels: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """For each image, the indices of `count` images of other classes, int (n, count)."""
    others = np.empty((len(labels), count), int)
    for label in np.unique(labels):
        of_label = np.flatnonzero(labels == label)
        others[of_label] = random.choice(np.flatnonzero(labels != label), (len(of_label), count))
    return others


def partners(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """For each image, the index of a random image of another class, int (n,)."""
    return _of_other_classes(labels, 1, np.random.default_rng(seed))[:, 0]


def with_background(images: np.ndarray, others: np.ndarray, maps: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Each image with another image's pixels where it has the least evidence, in a `share` of the image; float32.

    This tests the original's purpose: a model that looks at the object should be indifferent to its background.
    others: the other images, in the shape of `images`.
    """
    background = _mask(order(maps)[:, SIDE * SIDE - round(share * SIDE * SIDE) :])
    return np.where(background[..., None], others, images)


def pointing(maps: np.ndarray, quarter: np.ndarray) -> np.ndarray:
    """Share of a mosaic's positive evidence in the right quarter, (n,); chance is 0.25; NaN if there is no evidence."""
    positive = np.maximum(maps, 0).reshape(-1, 2, SIDE // 2, 2, SIDE // 2).sum(axis=(2, 4), dtype="float64")
    whole = positive.sum(axis=(1, 2))
    right = positive.reshape(-1, 4)[np.arange(len(maps)), quarter]
    return np.divide(right, whole, out=np.full(len(maps), np.nan), where=whole > 0)


def likeness(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each map with another map of the same image, (n,); NaN if either is constant.

    For the sanity checks: the maps of a model with random weights should not resemble those of the trained model
    (Adebayo et al. 2018, arXiv:1810.03292), nor the maps of one class those of another (Sixt et al. 2020,
    arXiv:1912.09818).
    """
    return _correlation(*(stats.rankdata(m.reshape(len(m), -1), axis=1) for m in (maps, others)))


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row (n, m) with the same row of the other array, (n,); NaN if one is constant."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), size, out=np.full(len(a), np.nan), where=size > 0)
