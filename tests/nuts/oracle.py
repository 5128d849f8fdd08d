"""One NUTS transition in recursive plain Python: slow, short, and what the fast kernel must equal.

Hoffman and Gelman's recursion with multinomial choice (Betancourt 2017, A.3) and Stan's U-turn checks. It
takes its random numbers from the same stream in the same order.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from nutmill.nuts import rng as kernel_rng


@numba.njit
def next_word(state):
    """Wrap the kernel's generator for Python."""
    return kernel_rng.next_word(state)


@numba.njit
def uniform(state):
    """Wrap the kernel's generator for Python."""
    return kernel_rng.uniform(state)


@numba.njit
def normals(state, n):
    """Wrap the kernel's generator for Python."""
    out = np.empty(n)
    kernel_rng.normals_into(state, out)
    return out


class Point(NamedTuple):
    """A point of phase space: position, momentum, gradient, log density, place in the trajectory."""

    q: np.ndarray
    p: np.ndarray
    g: np.ndarray
    lp: float
    index: int


class Tree(NamedTuple):
    """A part of the trajectory, its ends in time order."""

    first: Point
    last: Point
    momentum: np.ndarray
    log_weight: float
    chosen: Point
    size: int


class Failed(Exception):
    """The extension turns or diverges; the argument says which."""


class Oracle:
    """NUTS for `density` with the inverse metric `root @ root.T`."""

    def __init__(self, density, data, root, state):
        self.density, self.data, self.root, self.state = density, data, root, state
        self.inverse_metric = root @ root.T
        self.n_steps = 0

    def transition(self, q, step_size, max_depth):
        """Return the next point, the depth, and what ended it: "depth", "turning" or "diverging"."""
        lp, g = self.evaluate(q)
        p = np.linalg.solve(self.root.T, normals(self.state, len(q)))
        start = Point(q, p, g, lp, 0)
        self.start_energy, self.step_size, self.n_steps = self.energy(start), step_size, 0
        tree = self.leaf(start)
        directions = int(next_word(self.state))
        for depth in range(max_depth):
            forward = directions >> depth & 1 == 1
            try:
                new = self.build(tree.last if forward else tree.first, depth, forward)
            except Failed as failure:
                return tree.chosen, depth, str(failure)
            turning = self.turns(*((tree, new) if forward else (new, tree)))
            tree = self.merge(tree, new, forward, min(1.0, math.exp(min(0.0, new.log_weight - tree.log_weight))))
            if turning:
                return tree.chosen, depth + 1, "turning"
        return tree.chosen, max_depth, "depth"

    def build(self, start, depth, forward):
        """Return a tree of 2^depth points beyond `start`."""
        if depth == 0:
            return self.step(start, forward)
        inner = self.build(start, depth - 1, forward)
        outer = self.build(inner.last if forward else inner.first, depth - 1, forward)
        if self.turns(*((inner, outer) if forward else (outer, inner))):
            raise Failed("turning")
        total = np.logaddexp(inner.log_weight, outer.log_weight)
        return self.merge(inner, outer, forward, math.exp(outer.log_weight - total))

    def step(self, point, forward):
        """Return the tree of the next point: by the fewest leapfrogs that keep the energy, as are those back to it."""
        step, index = (self.step_size, point.index + 1) if forward else (-self.step_size, point.index - 1)
        new = coarse = self.leapfrogs(point, step, 0)
        change = self.change(point, coarse)
        if not change < math.inf:
            raise Failed("diverging")
        level = 0
        if change > 3.0:
            new, level = self.refined(point, step, change, 5)
            if level > 0:
                back = self.change(new, self.leapfrogs(new, -step, 0))
                reversible = 3.0 < back < math.inf and self.refined(new, -step, back, level - 1)[1] == 0
            else:
                new, reversible = coarse, True
                if self.energy(new) - self.start_energy <= 1000.0:
                    reversible = self.refined(new, -step, change, 5)[1] <= 0
            if not reversible:
                raise Failed("ended")
        if not self.energy(new) - self.start_energy <= 1000.0:
            raise Failed("diverging")
        return self.leaf(new._replace(index=index))

    def refined(self, point, step, change, most):
        """Return where 2^level leapfrogs end, and the least level that keeps the energy; 0: none does; -1: no use."""
        for level in range(1, most + 1):
            new = self.leapfrogs(point, step, level)
            finer = self.change(point, new)
            if finer <= 3.0:
                return new, level
            if not finer < math.inf or (level == 2 and finer > change / 2 and change <= 1000.0):
                return new, -1
        return point, 0

    def change(self, one, other):
        """Return by how much two energies differ."""
        return abs(self.energy(one) - self.energy(other))

    def leapfrogs(self, point, step, level):
        """Step 2^level times, as long as energies are finite."""
        for _ in range(2**level):
            point = self.leapfrog(point, step / 2**level)
            if not math.isfinite(self.energy(point)):
                break
        return point

    def leapfrog(self, point, step):
        """Step once."""
        self.n_steps += 1
        p = point.p + 0.5 * step * point.g
        q = point.q + step * self.inverse_metric @ p
        lp, g = self.evaluate(q)
        return Point(q, p + 0.5 * step * g, g, lp, point.index)

    def leaf(self, point):
        """Return the tree of one point."""
        return Tree(point, point, point.p, self.start_energy - self.energy(point), point, 1)

    def merge(self, old, new, forward, probability):
        """Join two trees, and choose the newer one's point with a probability."""
        chosen = new.chosen if uniform(self.state) < probability else old.chosen
        first, last = (old.first, new.last) if forward else (new.first, old.last)
        log_weight = np.logaddexp(old.log_weight, new.log_weight)
        return Tree(first, last, old.momentum + new.momentum, log_weight, chosen, old.size + new.size)

    def turns(self, a, b):
        """Apply the rule to all of a and b, and to each with the next point of the other."""
        spans = [(a.momentum + b.momentum, a.first, b.last)]
        if a.size > 1:
            spans += [(a.momentum + b.first.p, a.first, b.first), (b.momentum + a.last.p, a.last, b.last)]
        return any(np.dot(rho, self.inverse_metric @ end.p) <= 0.0 for rho, *ends in spans for end in ends)

    def energy(self, point):
        """Return the energy of a point."""
        return 0.5 * np.dot(point.p, self.inverse_metric @ point.p) - point.lp

    def evaluate(self, q):
        """Return log density and gradient."""
        g = np.zeros_like(q)
        status, lp = self.density(q, g, self.data)
        return (lp, g) if status == 0 else (-math.inf, g)
