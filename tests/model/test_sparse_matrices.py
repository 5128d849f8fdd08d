"""Sparse matrices of data: products and what is computed of them, beside sums that NumPy takes of dense ones."""

import numpy as np
import pymc as pm
import pytensor
import pytest
import scipy.sparse
from pytensor import sparse

from nutmill import compile_model
from nutmill.errors import ModelError
from nutmill.model.cache.unbuilt import name_of
from nutmill.model.graphs.pymc_model import from_pymc

RNG = np.random.default_rng(11)
ROWS, COLUMNS, TERMS = 20, 6, 2
DENSE = RNG.normal(size=(ROWS, COLUMNS)) * (RNG.random((ROWS, COLUMNS)) < 0.3)
TAU = 2.0  # as an array: PyTensor takes the number for one of single precision
Y, Z = RNG.normal(size=ROWS), RNG.normal(size=(TERMS, COLUMNS))
CHAIN = (np.abs(np.subtract.outer(np.arange(ROWS), np.arange(ROWS))) == 1).astype(float)


def regression(matrix) -> pm.Model:
    with pm.Model() as model:
        slope = pm.Normal("slope", shape=COLUMNS)
        pm.Normal("y", sparse.dot(sparse.as_sparse_variable(matrix), slope), observed=Y)
    return model


def everything() -> pm.Model:
    """Products from both sides, with vectors and matrices, and a prior that computes eigenvalues of its neighbours."""
    x = sparse.as_sparse_variable(scipy.sparse.csr_matrix(DENSE))
    with pm.Model() as model:
        slope = pm.Normal("slope", shape=COLUMNS)
        left = pm.Normal("left", shape=(TERMS, ROWS))
        site = pm.CAR("site", mu=np.zeros(ROWS), W=scipy.sparse.csr_matrix(CHAIN), alpha=0.5, tau=np.array(TAU))
        pm.Normal("y", sparse.structured_dot(x, slope[:, None])[:, 0] + site, observed=Y)
        pm.Normal("z", sparse.dot(left, x) + sparse.dot(site, x), observed=Z)
    return model


def test_density_and_gradient_are_those_of_dense_matrices():
    compiled = compile_model(everything(), progressbar=False)
    assert compiled.code.python_ops == () and compiled.code.fused
    q = 0.5 * np.random.default_rng(1).normal(size=compiled.n_dim)
    slope, left, site = q[:COLUMNS], q[COLUMNS:-ROWS].reshape(TERMS, ROWS), q[-ROWS:]
    off_y, off_z = Y - DENSE @ slope - site, Z - left @ DENSE - site @ DENSE
    precision = TAU * (np.diag(CHAIN.sum(axis=0)) - 0.5 * CHAIN)
    scale = np.sqrt(CHAIN.sum(axis=0))
    # As PyMC has it: the determinant of the neighbours' numbers, and of 2 pi, is left out.
    site_logp = 0.5 * ROWS * np.log(TAU) - 0.5 * site @ precision @ site
    site_logp += 0.5 * np.log(1.0 - 0.5 * np.linalg.eigvalsh(CHAIN / np.outer(scale, scale))).sum()
    normal = -0.5 * sum((part**2).sum() for part in (slope, left, off_y, off_z))
    n_normal = slope.size + left.size + Y.size + Z.size
    logp, gradient = compiled.logp_dlogp(q)
    np.testing.assert_allclose(logp, normal - 0.5 * n_normal * np.log(2.0 * np.pi) + site_logp, rtol=1e-12)
    of_site = off_y + DENSE @ off_z.sum(axis=0) - precision @ site
    expected = np.concatenate([DENSE.T @ off_y - slope, (off_z @ DENSE.T - left).ravel(), of_site])
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-12)


def test_a_model_is_recognised_by_the_entries_of_its_matrix():
    csr, other = scipy.sparse.csr_matrix(DENSE), scipy.sparse.csr_matrix(DENSE)
    other.data[3] += 1e-9
    moved = scipy.sparse.csr_matrix(np.roll(DENSE, 1, axis=1))
    names = [name_of(regression(matrix), None).digest for matrix in (csr, csr.copy(), other, moved)]
    assert names[0] is not None and names[0] == names[1] and len(set(names)) == 3


def test_what_cannot_be_written_is_told():
    shared = pytensor.shared(scipy.sparse.csr_matrix(DENSE), name="neighbours")
    with pm.Model() as may_change:
        pm.Normal("y", sparse.dot(shared, pm.Normal("slope", shape=COLUMNS)), observed=Y)
    with pytest.raises(ModelError, match="neighbours is a sparse matrix that may change: make a constant of it"):
        from_pymc(may_change)
    with pm.Model() as scaled:
        slope = pm.Normal("slope", shape=COLUMNS)
        x = sparse.as_sparse_variable(scipy.sparse.csr_matrix(DENSE))
        pm.Normal("y", sparse.sp_sum(sparse.multiply(x, slope), axis=1), observed=Y)
    with pytest.raises(ModelError, match=r"A sparse matrix of the model is used by .*toarray\(\)"):
        from_pymc(scaled)
