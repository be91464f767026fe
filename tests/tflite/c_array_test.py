"""The sources of a file compile, and hold its bytes, operators and scales."""

import pathlib
import shutil
import subprocess

import pytest

from tests.tflite.micro_check import needs_micro_runtime
from tests.tflite.random_graphs import residual_network
from tfmp.graph.targets import MICRO
from tfmp.tflite.c_array import resolver_methods, write_c_array
from tfmp.tflite.micro_interpreter import MicroInterpreter
from tfmp.tflite.writer.write_tflite import write_tflite

# A resolver that counts what is added, in place of the one of tflite-micro.
PROGRAM = """
#include <cstdint>
#include <cstdio>
#include "my-model.h"
struct Resolver {{ int count = 0; {methods} }};
int main() {{
  Resolver resolver;
  bool added = my_model_add_operators(resolver);
  std::printf("%d %d %d %zu %zu %.9g %d\\n", added, resolver.count == my_model_num_operators,
              reinterpret_cast<std::uintptr_t>(my_model_data) % 16 == 0, my_model_arena_bytes, my_model_size,
              my_model_input0_scale, my_model_input0_zero_point);
  std::fwrite(my_model_data, 1, my_model_size, stdout);
}}
"""


@needs_micro_runtime
def test_a_program_with_the_sources_has_the_file(tmp_path):
    content = write_tflite(residual_network(0), input_type="int8", output_type="int8", target=MICRO)
    path = tmp_path / "my-model.tflite"
    path.write_bytes(content)
    source, header = write_c_array(path)
    assert [pathlib.Path(each).name for each in (source, header)] == ["my-model.cc", "my-model.h"]
    with pytest.raises(FileExistsError):
        write_c_array(path)
    methods = resolver_methods(content)
    assert {"AddConv2D", "AddDepthwiseConv2D", "AddFullyConnected", "AddMaxPool2D", "AddSoftmax"} <= set(methods)
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    program = tmp_path / "main.cc"
    program.write_text(PROGRAM.format(methods=" ".join(f"int {name}() {{ ++count; return 0; }}" for name in methods)))
    subprocess.run([compiler, "-Wall", "-Werror", "-o", tmp_path / "main", program, source], check=True, timeout=120)
    output = subprocess.run([tmp_path / "main"], check=True, capture_output=True, timeout=60).stdout
    line, _, data = output.partition(b"\n")
    interpreter = MicroInterpreter(path)
    ((_, tensor),) = interpreter.inputs.items()
    added, counted, aligned, arena, size, scale, zero_point = line.decode().split()
    assert (added, counted, aligned) == ("1", "1", "1") and (int(arena), int(size)) == (
        interpreter.arena_bytes,
        len(content),
    )
    assert float(scale) == pytest.approx(tensor.scale, rel=1e-7) and int(zero_point) == tensor.zero_point
    assert data == content
