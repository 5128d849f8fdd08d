"""BLAS libraries that are made up of Python functions, for those that the tests' machine does not have."""

import ctypes

_DOT = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_void_p] * 5)


@_DOT
def narrow_dot(n, x, step_x, y, step_y):
    """The product of two vectors whose length is a 32-bit integer."""
    length = ctypes.c_int32.from_address(n).value
    return sum(a * b for a, b in zip(*((ctypes.c_double * length).from_address(v) for v in (x, y)), strict=True))


@_DOT
def wide_dot(n, x, step_x, y, step_y):
    """Takes its length for a 64-bit integer; that of the question is negative then."""
    assert ctypes.c_int64.from_address(n).value < 0
    return 0.0


VERSION = ctypes.create_string_buffer(b"9.8.7")
BLIS_LIKE = {
    "ddot_": narrow_dot,
    "bli_info_get_version_str": ctypes.CFUNCTYPE(ctypes.c_void_p)(lambda: ctypes.addressof(VERSION)),
}


class MadeUpLibrary(dict):
    """Symbols by name, looked up as in a loaded library."""

    def __missing__(self, name):
        raise AttributeError(name)


def _mkl():
    """The names of MKL that are called; the Fortran interface, in lower case, would read an int as an address."""
    threads, dynamic = [2], [1]

    def version(buffer, length):
        text = b"Intel(R) oneAPI Math Kernel Library Version 2026.2-Product Build 20260101 for applications"
        ctypes.memmove(buffer, text, min(length, len(text)))

    def fortran(count):
        raise AssertionError("the Fortran interface was called")

    get, set_ = ctypes.CFUNCTYPE(ctypes.c_int), ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
    return {
        "ddot_": narrow_dot,
        "dpotrf_": narrow_dot,
        "MKL_Get_Version_String": ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)(version),
        "MKL_Set_Threading_Layer": set_(lambda layer: 3),
        "MKL_Get_Max_Threads": get(lambda: threads[0]),
        "MKL_Set_Num_Threads_Local": set_(lambda count: threads.__setitem__(0, count) or 0),
        "MKL_Get_Dynamic": get(lambda: dynamic[0]),
        "MKL_Set_Dynamic": set_(lambda value: dynamic.__setitem__(0, value) or 0),
        "mkl_set_num_threads": set_(fortran),
        "mkl_set_num_threads_local": set_(fortran),
    }


MKL_LIKE = _mkl()
