"""NVIDIA's compiler takes the CUDA kernels, where CuPy is installed; a GPU need not be there."""

import importlib.util
import subprocess
import sys

import pytest

from minigan.kernels import compiler, launch

# In a process of its own: other tests put a stand-in into CuPy's place.
COMPILE = """
import sys
from cupy_backends.cuda.libs import nvrtc
from minigan.kernels import launch

try:
    nvrtc.getVersion()
except Exception as error:  # CuPy has one of its own, which it does not export
    sys.exit(f"no compiler: {error}")
program = nvrtc.createProgram(launch.gpu_source(sys.argv[1]), "minigan.cu", (), ())
try:
    nvrtc.compileProgram(program, (*launch.GPU_OPTIONS, f"-arch={sys.argv[2]}", "-ftz=true"))
except nvrtc.NVRTCError:
    sys.exit(nvrtc.getProgramLog(program))
print(str(nvrtc.getPTX(program)).count(".entry"))
"""


@pytest.mark.skipif(importlib.util.find_spec("cupy_backends") is None,
                    reason="CuPy is not installed")
@pytest.mark.parametrize("char", compiler.TYPES)
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_the_kernels_compile(char, architecture):
    result = subprocess.run([sys.executable, "-c", COMPILE, char, architecture],
                            capture_output=True, text=True)
    if result.stderr.startswith("no compiler"):
        pytest.skip(result.stderr.strip())
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == launch.gpu_source(char).count("__global__")
