"""Compiled engine: all that runs once per row, per step or per mini-batch."""

from scipy.linalg import cython_blas

from . import _engine

_engine.load_blas(cython_blas.__pyx_capi__)
