"""Effective sample size of sequences: autocovariances up to Geyer's initial monotone sequence."""

import math

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.vectors import copy_into

# Sequences that move less have no autocorrelation (ArviZ's constant: the resolution of float64).
_CONSTANT = 1e-15
# Autocovariances at lags from here on are cheaper by a Fourier transform of all; even.
_DIRECT_LAGS = 128


@kernel
def effective_size(room):
    """Return the effective sample size of `room.z`, which is centred on the way."""
    z, rho = room.z, room.rho
    n = z.shape[1]
    if not _moves(z):
        return float(z.size)
    between = _centre(z)
    at_0, at_1 = _autocovariances(room, 0)
    variance = at_0 * n / (n - 1.0)
    total = at_0 + between
    even, odd = 1.0, 1.0 - (variance - at_1) / total
    rho[:] = 0.0
    rho[0], rho[1] = even, odd
    t = 1
    while t < n - 3 and even + odd > 0.0:
        at_even, at_odd = _autocovariances(room, t + 1)
        even, odd = 1.0 - (variance - at_even) / total, 1.0 - (variance - at_odd) / total
        if even + odd >= 0.0:
            rho[t + 1], rho[t + 2] = even, odd
        t += 2
    last = t - 2
    if even > 0.0:
        rho[last + 1] = even
    _make_monotone(rho, last)
    tau = -1.0 + rho[last + 1]
    for i in range(last + 1):
        tau += 2.0 * rho[i]
    return z.size / max(tau, 1.0 / math.log10(z.size))


@kernel
def _make_monotone(rho, last):
    t = 1
    while t <= last - 2:
        before = rho[t - 1] + rho[t]
        if rho[t + 1] + rho[t + 2] > before:
            rho[t + 1] = rho[t + 2] = 0.5 * before
        t += 2


@kernel
def _moves(z):
    """Whether values differ by more than the resolution of numbers near 1."""
    least = most = z[0, 0]
    for sequence in range(z.shape[0]):
        for value in z[sequence]:
            least, most = min(least, value), max(most, value)
            if most - least >= _CONSTANT:
                return True
    return False


@kernel
def _centre(z):
    """Take the mean of each sequence away; return the variance of the means."""
    n_sequences, n = z.shape
    count, mean_of_means, squares = 0.0, 0.0, 0.0
    for sequence in range(n_sequences):
        mean = mean_of(z[sequence])
        for i in range(n):
            z[sequence, i] -= mean
        count += 1.0
        step = mean - mean_of_means
        mean_of_means += step / count
        squares += step * (mean - mean_of_means)
    return squares / (n_sequences - 1.0)


@kernel
def _autocovariances(room, lag):
    """Mean autocovariances of the centred sequences at a lag and the next; even lags are asked for, one by one."""
    z, spectrum, one, other = room.z, room.spectrum, 0.0, 0.0
    n_sequences, n = z.shape
    if lag >= _DIRECT_LAGS:
        if lag == _DIRECT_LAGS:
            _transform_all(room)
        scale = 1.0 / (spectrum.shape[1] * float(n) * n_sequences)
        return spectrum[0, lag] * scale, spectrum[0, lag + 1] * scale
    for sequence in range(n_sequences):
        products = _products(z[sequence], z[sequence, lag:])
        one += products[0]
        other += products[1]
    return one / (float(n) * n_sequences), other / (float(n) * n_sequences)


@kernel
def _transform_all(room):
    """Leave the autocovariances at all lags in `room.spectrum[0]`, times its size.

    Two sequences share a transform, one as its real and one as its imaginary part: their autocovariances add up in
    the real part of what the sizes of their frequencies are transformed to. Frequencies stay in the order in which
    the transform leaves them.
    """
    z, spectrum = room.z, room.spectrum
    real, imaginary, power = spectrum[0], spectrum[1], spectrum[2]
    size, n = real.size, z.shape[1]
    power[:] = 0.0
    for sequence in range(0, z.shape[0], 2):
        for i in range(n):
            real[i], imaginary[i] = z[sequence, i], z[sequence + 1, i]
        real[n:] = 0.0
        imaginary[n:] = 0.0
        _transform(real, imaginary, room.waves)
        for k in range(size):
            power[k] += real[k] ** 2 + imaginary[k] ** 2
    copy_into(power, real)
    imaginary[:] = 0.0
    _transform_back(real, imaginary, room.waves)


@kernel
def _transform(real, imaginary, waves):
    """Fourier transform in place, of a length that is a power of two, frequencies in the order of reversed bits.

    (Gentleman and Sande 1966.)
    """
    size = real.size
    span = size // 2
    while span >= 4:
        for first in range(0, size, 2 * span):
            last = first + 2 * span
            _part(real[first:last], imaginary[first:last], waves[0, span : 2 * span], waves[1, span : 2 * span])
        span //= 2
    for i in range(0, size, 4):
        a, b, c, d = real[i], real[i + 1], real[i + 2], real[i + 3]
        p, q, r, s = imaginary[i], imaginary[i + 1], imaginary[i + 2], imaginary[i + 3]
        real[i], imaginary[i] = a + c + (b + d), p + r + (q + s)
        real[i + 1], imaginary[i + 1] = a + c - (b + d), p + r - (q + s)
        real[i + 2], imaginary[i + 2] = a - c + (q - s), p - r - (b - d)
        real[i + 3], imaginary[i + 3] = a - c - (q - s), p - r + (b - d)


@vector_kernel
def _part(real, imaginary, cosine, sine):
    span = real.size // 2
    for k in range(span):
        x, y = real[k] - real[k + span], imaginary[k] - imaginary[k + span]
        real[k] += real[k + span]
        imaginary[k] += imaginary[k + span]
        real[k + span] = cosine[k] * x + sine[k] * y
        imaginary[k + span] = cosine[k] * y - sine[k] * x


@kernel
def _transform_back(real, imaginary, waves):
    """Fourier transform in place of what `_transform` leaves (Cooley and Tukey 1965)."""
    size = real.size
    for i in range(0, size, 4):
        a, b, c, d = real[i], real[i + 1], real[i + 2], real[i + 3]
        p, q, r, s = imaginary[i], imaginary[i + 1], imaginary[i + 2], imaginary[i + 3]
        real[i], imaginary[i] = a + b + (c + d), p + q + (r + s)
        real[i + 2], imaginary[i + 2] = a + b - (c + d), p + q - (r + s)
        real[i + 1], imaginary[i + 1] = a - b + (r - s), p - q - (c - d)
        real[i + 3], imaginary[i + 3] = a - b - (r - s), p - q + (c - d)
    span = 4
    while span < size:
        for first in range(0, size, 2 * span):
            last = first + 2 * span
            _part_back(real[first:last], imaginary[first:last], waves[0, span : 2 * span], waves[1, span : 2 * span])
        span *= 2


@vector_kernel
def _part_back(real, imaginary, cosine, sine):
    span = real.size // 2
    for k in range(span):
        x = cosine[k] * real[k + span] + sine[k] * imaginary[k + span]
        y = cosine[k] * imaginary[k + span] - sine[k] * real[k + span]
        real[k + span], imaginary[k + span] = real[k] - x, imaginary[k] - y
        real[k] += x
        imaginary[k] += y


@vector_kernel
def mean_of(values):
    first, total = values[0], 0.0  # equal values have exactly their mean
    for value in values:
        total += value - first
    return first + total / values.size


@vector_kernel
def _products(values, later):
    """Sums of products of values with later ones, and with those that come after these."""
    one, other = 0.0, 0.0
    last = later.size - 1
    after = later[1:]
    for i in range(last):
        one += values[i] * later[i]
        other += values[i] * after[i]
    return one + values[last] * later[last], other
