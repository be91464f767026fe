"""Writes a file for microcontrollers as C++ source text."""

import os
import re
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.checks import check_path
from tfmp.files.atomic_file import check_writable, write_atomically
from tfmp.reports import FileTensor
from tfmp.tflite.micro_interpreter import MicroInterpreter
from tfmp.tflite.writer.packing import unpack
from tfmp.version import VERSION

_PER_LINE = 20
_KINDS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
# Methods of MicroMutableOpResolver that are not spelled like their kind.
_METHODS = {"CONV_2D": "AddConv2D", "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D", "TFLM_DECODE": "AddDecode"}
_METHODS |= {"MAX_POOL_2D": "AddMaxPool2D", "AVERAGE_POOL_2D": "AddAveragePool2D"}


def c_array_paths(path: str | os.PathLike[str], overwrite: bool = False) -> tuple[str, str]:
    """Returns the paths of the sources beside a file: `model.cc` and `model.h` for `model.tflite`.

    Raises:
        OSError: If one of them exists and `overwrite` is False, or the folder cannot be written.
    """
    stem, _ = os.path.splitext(check_path("path", path))
    source, header = f"{stem}.cc", f"{stem}.h"
    for each in (source, header):
        check_writable(each, overwrite)
    return source, header


def write_c_array(path: str | os.PathLike[str], *, overwrite: bool = False) -> tuple[str, str]:
    """Writes the sources with which a program for a microcontroller contains a file.

    The source has the bytes of the file. The header declares them and has the size of the arena, as used here with
    pointers of 64 bits; scale and zero point of every input and output; and a function that adds the operators to a
    `MicroMutableOpResolver`.

    Args:
        path: A file of `tfmp.export_tflite(target="micro")`. The sources are written beside it.
        overwrite: True to replace existing sources.

    Returns:
        Paths of the source and of the header.

    Raises:
        OSError: If one of them exists and `overwrite` is False, or the folder cannot be written.
        ImportError: If the package `tflite-micro` is not installed.
        ValueError: If the runtime of microcontrollers cannot run the file.
    """
    source, header = c_array_paths(path, overwrite)
    interpreter = MicroInterpreter(path)
    name = _identifier(os.path.splitext(os.path.basename(source))[0])
    write_atomically(source, "\n".join(_source(name, os.path.basename(header), interpreter.content)), overwrite)
    write_atomically(header, "\n".join(_header(name, interpreter)), overwrite)
    return source, header


def resolver_methods(content: bytes) -> list[str]:
    """Returns the methods of `MicroMutableOpResolver` that add the operators of a file, in alphabetical order."""
    kinds = set()
    for code in unpack(content).operatorCodes:
        kind = _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        kinds.add(code.customCode.decode() if kind == "CUSTOM" else kind)
    return sorted(_METHODS.get(kind, "Add" + kind.title().replace("_", "")) for kind in kinds)


def _source(name: str, header: str, content: bytes) -> Iterator[str]:
    yield f'#include "{header}"\n'
    yield f"alignas(16) const unsigned char {name}_data[] = {{"
    for start in range(0, len(content), _PER_LINE):
        yield "    " + " ".join(f"{byte}," for byte in content[start : start + _PER_LINE])
    yield "};"
    yield f"const std::size_t {name}_size = sizeof({name}_data);\n"


def _header(name: str, interpreter: MicroInterpreter) -> Iterator[str]:
    methods = resolver_methods(interpreter.content)
    guard = f"{name.upper()}_H_"
    yield f"// Written by tfmp {VERSION}."
    yield f"#ifndef {guard}\n#define {guard}\n\n#include <cstddef>\n"
    yield f"extern const unsigned char {name}_data[];\nextern const std::size_t {name}_size;\n"
    yield "// What the interpreter uses with pointers of 64 bits; with those of 32 bits it uses less."
    yield f"constexpr std::size_t {name}_arena_bytes = {interpreter.arena_bytes};\n"
    for role, tensors in (("input", interpreter.inputs), ("output", interpreter.outputs)):
        for number, (label, tensor) in enumerate(tensors.items()):
            yield from _end(f"{name}_{role}{number}", label, tensor)
    yield f"// The size of the resolver: tflite::MicroMutableOpResolver<{name}_num_operators>."
    yield f"constexpr unsigned {name}_num_operators = {len(methods)};\n"
    yield "// Returns true if all operators were added."
    yield f"template <typename Resolver>\nbool {name}_add_operators(Resolver& resolver) {{"
    calls = " ||\n           ".join(f"resolver.{method}() != 0" for method in methods)
    yield f"  return !({calls});\n}}\n\n#endif  // {guard}\n"


def _end(prefix: str, label: str, tensor: FileTensor) -> Iterator[str]:
    """Yields the constants of an input or an output."""
    shape = " x ".join(map(str, tensor.shape))
    yield f"// {label}: {shape}, {tensor.in_words}"
    if tensor.scale is not None:
        yield f"constexpr float {prefix}_scale = {np.float32(tensor.scale):.9g}f;"
        yield f"constexpr int {prefix}_zero_point = {tensor.zero_point};"
    yield ""


def _identifier(text: str) -> str:
    """Returns a name that C++ allows."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return f"model_{name}" if not name or name[0].isdigit() else name
