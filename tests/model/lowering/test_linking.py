"""Linking: functions of one name and different bodies stay apart."""

import ctypes

import llvmlite.binding as llvm

from nutmill.model.lowering.entries import Lowered
from nutmill.model.lowering.fuse import link_model
from nutmill.native.object import NativeObject
from nutmill.native.processor import target

ENTRY = """
define linkonce_odr i64 @helper() noinline {{
  ret i64 {answer}
}}
define i32 @{symbol}(ptr %result, ptr %exception, i64 %word) {{
  %answer = call i64 @helper()
  store i64 %answer, ptr %result
  ret i32 0
}}
"""


def lowered(symbol, answer):
    """An entry as Numba makes it, of one word, that answers by way of a function that all of them call by one name."""
    text = ENTRY.format(symbol=symbol, answer=answer)
    return Lowered(llvm.parse_assembly(text).as_bitcode(), symbol, 1, 0, None)


def test_functions_of_one_name_stay_apart():
    answers = {"density": 3, "expand": 4, "prepare": 5}
    model = {name: lowered(f"entry_of_{name}", answer) for name, answer in answers.items()}
    native = NativeObject(link_model(model, target()))
    call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64)
    assert {name: call(native.address(name))(0) for name in answers} == answers
