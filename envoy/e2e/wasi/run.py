"""Runs a test binary that was built for wasm32-wasip1: cargo's runner in `make test-wasm`.

The folder that cargo calls it in (the package) and the workspace above it can be read under their own names.
"""

import os
import pathlib
import sys

from wasmtime import Config, Engine, ExitTrap, Linker, Module, Store, Trap, WasiConfig

WORKSPACE = pathlib.Path(__file__).resolve().parents[3]

engine = Engine(Config())
linker = Linker(engine)
linker.define_wasi()
wasi = WasiConfig()
wasi.argv = sys.argv[1:]
wasi.env = list(os.environ.items())
wasi.inherit_stdout()
wasi.inherit_stderr()
wasi.preopen_dir(str(WORKSPACE), str(WORKSPACE))
wasi.preopen_dir(".", ".")
store = Store(engine)
store.set_wasi(wasi)
instance = linker.instantiate(store, Module.from_file(engine, sys.argv[1]))
try:
    instance.exports(store)["_start"](store)
except ExitTrap as end:
    sys.exit(end.code)
except Trap:
    # A failed test: there is no unwinding on wasm. Its message is printed already.
    sys.exit(101)
