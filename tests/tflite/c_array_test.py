"""The sources of a file compile in the program of the page, and hold its bytes, operators and scales."""

import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.tflite.micro_check import needs_micro_runtime
from tests.tflite.random_graphs import residual_network
from tfmp.graph.targets import MICRO
from tfmp.tflite.c_array import resolver_methods, write_c_array
from tfmp.tflite.micro_interpreter import MicroInterpreter
from tfmp.tflite.writer.write_tflite import write_tflite

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "microcontrollers.md"
# Declarations of tflite-micro that the program uses. This resolver counts, and this interpreter copies the input.
HEADERS = {
    "tensorflow/lite/schema/schema_generated.h": """
#pragma once
namespace tflite {{
struct Model {{}};
inline const Model* GetModel(const void* data) {{ return static_cast<const Model*>(data); }}
}}
""",
    "tensorflow/lite/micro/micro_mutable_op_resolver.h": """
#pragma once
enum TfLiteStatus {{ kTfLiteOk, kTfLiteError }};
namespace tflite {{
struct MicroOpResolver {{}};
template <unsigned int capacity>
struct MicroMutableOpResolver : MicroOpResolver {{
  unsigned int count = 0;
  TfLiteStatus Add() {{ return ++count > capacity ? kTfLiteError : kTfLiteOk; }}
  {methods}
}};
}}
""",
    "tensorflow/lite/micro/micro_interpreter.h": """
#pragma once
#include <cstddef>
#include <cstdint>
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
namespace tflite {{
struct MicroInterpreter {{
  uint8_t* arena;
  MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t* arena, size_t) : arena(arena) {{}}
  TfLiteStatus AllocateTensors() {{ return kTfLiteOk; }}
  TfLiteStatus Invoke() {{ return kTfLiteOk; }}
  template <class T> T* typed_input_tensor(int) {{ return reinterpret_cast<T*>(arena); }}
  template <class T> T* typed_output_tensor(int) {{ return reinterpret_cast<T*>(arena); }}
}};
}}
""",
}
MAIN = """
#include <cstdio>
int main() {
  tflite::MicroInterpreter* interpreter = start();
  std::printf("%d %d %d %zu %zu %.9g %d", interpreter != nullptr, resolver.count == my_model_num_operators,
              reinterpret_cast<std::uintptr_t>(my_model_data) % 16 == 0, my_model_arena_bytes, my_model_size,
              my_model_input0_scale, my_model_input0_zero_point);
  const float values[] = {-1000.0f, -0.3f, 0.0f, 0.1f, 0.4f, 1000.0f};
  for (const float& value : values) std::printf(" %.9g", run(*interpreter, &value, 1));
  std::printf("\\n");
  std::fwrite(my_model_data, 1, my_model_size, stdout);
}
"""
VALUES = np.array([-1000, -0.3, 0, 0.1, 0.4, 1000], np.float32)


def page_program():
    (program,) = re.findall(r"```c\+\+\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return program.replace("model_", "my_model_").replace('"model.h"', '"my-model.h"')


@needs_micro_runtime
def test_the_program_of_the_page_has_the_file(tmp_path):
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
    declared = "\n".join(f"TfLiteStatus {name}() {{ return Add(); }}" for name in methods)
    for name, text in HEADERS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.format(methods=declared))
    program = tmp_path / "main.cc"
    program.write_text(page_program() + MAIN)
    command = [compiler, "-std=c++17", "-Wall", "-Werror", f"-I{tmp_path}", "-o", tmp_path / "main", program, source]
    subprocess.run(command, check=True, timeout=120)
    output = subprocess.run([tmp_path / "main"], check=True, capture_output=True, timeout=60).stdout
    line, _, data = output.partition(b"\n")
    interpreter = MicroInterpreter(path)
    ((_, tensor),) = interpreter.inputs.items()
    added, counted, aligned, arena, size, scale, zero_point, *results = line.decode().split()
    assert (added, counted, aligned) == ("1", "1", "1") and (int(arena), int(size)) == (
        interpreter.arena_bytes,
        len(content),
    )
    assert float(scale) == pytest.approx(tensor.scale, rel=1e-7) and int(zero_point) == tensor.zero_point
    output = next(iter(interpreter.outputs.values()))
    expected = (tensor.stored(VALUES).astype(np.float32) - output.zero_point) * np.float32(output.scale)
    np.testing.assert_allclose(np.array(results, np.float32), expected, rtol=1e-6)
    assert data == content
