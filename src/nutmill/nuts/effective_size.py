"""Effective sample size of sequences: autocovariances up to Geyer's initial monotone sequence."""

import math

from nutmill._jit import kernel, vector_kernel

# Sequences that move less have no autocorrelation (ArviZ's constant: the resolution of float64).
_CONSTANT = 1e-15
# Autocovariances at more lags than this are cheaper by a Fourier transform of all.
_DIRECT_LAGS = 64


@kernel
def effective_size(room):
    """Return the effective sample size of `room.z`, which is centred on the way."""
    z, rho = room.z, room.rho
    n = z.shape[1]
    if _spread(z) < _CONSTANT:
        return float(z.size)
    between = _centre(z)
    variance = _autocovariance(room, 0) * n / (n - 1.0)
    total = variance * (n - 1.0) / n + between
    even, odd = 1.0, 1.0 - (variance - _autocovariance(room, 1)) / total
    rho[:] = 0.0
    rho[0], rho[1] = even, odd
    t = 1
    while t < n - 3 and even + odd > 0.0:
        even = 1.0 - (variance - _autocovariance(room, t + 1)) / total
        odd = 1.0 - (variance - _autocovariance(room, t + 2)) / total
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
def _spread(z):
    least = most = z[0, 0]
    for sequence in range(z.shape[0]):
        for value in z[sequence]:
            least, most = min(least, value), max(most, value)
    return most - least


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
def _autocovariance(room, lag):
    """Mean autocovariance of the centred sequences; lags are asked for one after the other."""
    n_sequences, n = room.z.shape
    if lag > _DIRECT_LAGS:
        if lag == _DIRECT_LAGS + 1:
            _transform_all(room)
        return room.spectrum[0, lag] / (room.spectrum.shape[1] * float(n) * n_sequences)
    total = 0.0
    for sequence in range(n_sequences):
        total += _product(room.z[sequence], lag)
    return total / (float(n) * n_sequences)


@kernel
def _transform_all(room):
    """Leave the autocovariances at all lags in `room.spectrum[0]`, times its size.

    Two sequences share a transform, one as its real and one as its imaginary part.
    """
    z, spectrum = room.z, room.spectrum
    real, imaginary, power = spectrum[0], spectrum[1], spectrum[2]
    size, n = real.size, z.shape[1]
    power[:] = 0.0
    for sequence in range(0, z.shape[0], 2):
        for i in range(size):
            real[i] = z[sequence, i] if i < n else 0.0
            imaginary[i] = z[sequence + 1, i] if i < n else 0.0
        _transform(real, imaginary, room.waves)
        for k in range(size):
            power[k] += real[k] ** 2 + imaginary[k] ** 2
    # The spectrum of two real sequences together is that of both, added to itself backwards.
    real[0] = power[0]
    imaginary[:] = 0.0
    for k in range(1, size):
        real[k] = 0.5 * (power[k] + power[size - k])
    _transform(real, imaginary, room.waves)


@kernel
def _transform(real, imaginary, waves):
    """Fourier transform in place, of a length that is a power of two (Cooley and Tukey 1965)."""
    size = real.size
    reverse = 0
    for i in range(1, size):
        bit = size >> 1
        while reverse & bit:
            reverse ^= bit
            bit >>= 1
        reverse |= bit
        if i < reverse:
            real[i], real[reverse] = real[reverse], real[i]
            imaginary[i], imaginary[reverse] = imaginary[reverse], imaginary[i]
    span = 1
    while span < size:
        step = size // (2 * span)
        for first in range(0, size, 2 * span):
            for k in range(span):
                cosine, sine = waves[0, k * step], waves[1, k * step]
                i, j = first + k, first + k + span
                x = cosine * real[j] + sine * imaginary[j]
                y = cosine * imaginary[j] - sine * real[j]
                real[j], imaginary[j] = real[i] - x, imaginary[i] - y
                real[i], imaginary[i] = real[i] + x, imaginary[i] + y
        span *= 2


@vector_kernel
def mean_of(values):
    first, total = values[0], 0.0  # equal values have exactly their mean
    for value in values:
        total += value - first
    return first + total / values.size


@vector_kernel
def _product(values, lag):
    total = 0.0
    for i in range(values.size - lag):
        total += values[i] * values[i + lag]
    return total
