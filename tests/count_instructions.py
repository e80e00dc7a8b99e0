"""What NVIDIA's compiler makes of the CUDA kernels: the machine instructions of each loop.

    python tests/count_instructions.py im2col col2im

For each kernel, the instructions outside of loops; then each loop, with those of its own, and its
loads from memory and stores to it: where the compiler makes several turns at once there are as many.
Needs CuPy with NVIDIA's compiler (a GPU need not be there), and nvdisasm: on PATH, or from
`pip install nvidia-cuda-nvdisasm`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from minigan.kernels import launch  # noqa: E402

LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\d\s+)?(\S+)(.*);")


def disassembled(char, architecture):
    """{kernel: the text of its instructions}"""
    from cupy_backends.cuda.libs import nvrtc
    program = nvrtc.createProgram(launch.gpu_source(char), "minigan.cu", (), ())
    options = (*launch.GPU_OPTIONS, f"-arch={architecture}", "-ftz=true")
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        sys.exit(nvrtc.getProgramLog(program))
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(nvrtc.getCUBIN(program) + b"\0")  # of which CuPy leaves out the last byte
        file.flush()
        text = subprocess.run([disassembler(), "-c", file.name], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=True).stdout
    parts = re.split(r"^\.text\.(\w+):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def disassembler():
    found = [shutil.which("nvdisasm")]
    for folder in sys.path:
        found += Path(folder).glob("nvidia/*/bin/nvdisasm")
    for path in filter(None, found):
        if not os.access(path, os.X_OK):  # as pip installs it
            os.chmod(path, 0o755)
        return path
    sys.exit("there is no nvdisasm: pip install nvidia-cuda-nvdisasm")


def loops_of(text):
    """The instructions as (address, name), and the loops as (first, last), the outermost first."""
    instructions, labels, branches = [], {}, []
    waiting = []  # labels, for the next instruction
    for line in text.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            waiting.append(label[1])
        elif found := LINE.search(line):
            address, name = int(found[1], 16), found[2]
            labels.update(dict.fromkeys(waiting, address))
            waiting.clear()
            if name != "NOP":
                instructions.append((address, name))
            if name == "BRA" and (target := re.search(r"\.L_x_\d+", found[3])):
                branches.append((target[0], address))
    loops = {}  # by where they start: several branches may lead there
    for label, last in branches:
        if labels.get(label, last) < last:
            loops[labels[label]] = max(last, loops.get(labels[label], 0))
    return instructions, sorted(loops.items())


def report(kernel, text):
    instructions, loops = loops_of(text)

    def innermost(address):
        around = [loop for loop in loops if loop[0] <= address <= loop[1]]
        return min(around, key=lambda loop: loop[1] - loop[0], default=None)

    print(f"{kernel}: {len(instructions)} instructions")
    for loop in [None, *loops]:
        own = [name for address, name in instructions if innermost(address) == loop]
        depth = sum(loop is not None and outer[0] <= loop[0] and loop[1] <= outer[1] for outer in loops)
        loads, stores = (sum(name.startswith(kind) for name in own) for kind in ("LDG", "STG"))
        memory = f", {loads} loads, {stores} stores" if loads or stores else ""
        print(f"{'  ' * depth}  {'loop' if loop else 'outside'}: {len(own)}{memory}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kernels", nargs="+")
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--double", action="store_true", help="float64 instead of float32")
    options = parser.parse_args()
    texts = disassembled("d" if options.double else "f", options.arch)
    for kernel in options.kernels:
        report(kernel, texts[kernel])


if __name__ == "__main__":
    main()
