"""Compiled engine: all that runs once per mini-batch or once per row."""

from scipy.linalg import cython_blas

from . import _engine

_engine.load_blas(cython_blas.__pyx_capi__)
