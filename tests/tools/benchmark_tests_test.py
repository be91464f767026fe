import json
import pathlib
import subprocess
import sys

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "benchmark_tests.py"


def test_counts_tests_with_their_processes(tmp_path):
    (tmp_path / "busy_test.py").write_text(
        "import subprocess, sys\n"
        "PROGRAM = 'import time\\nwhile time.process_time() < 1: pass'\n"
        "def test_child():\n"
        "    subprocess.run([sys.executable, '-c', PROGRAM], check=True)\n"
    )
    (tmp_path / "idle_test.py").write_text("import time\ndef test_idle():\n    time.sleep(0.5)\n    assert False\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_files = *_test.py\n")
    command = [sys.executable, str(TOOL), "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert list(found["files"])[0] == "busy_test.py" and {*found["files"]} >= {"idle_test.py", "(collection)"}
    busy, idle = found["files"]["busy_test.py"], found["files"]["idle_test.py"]
    assert busy["cpu"] >= 0.9 and idle["cpu"] < idle["wall"]
    assert found["whole"]["cpu"] >= busy["cpu"] + idle["cpu"] - 0.1
