"""A training step on a CPU: recorded once, proven, and then repeated without the interpreter."""

import hashlib
import mmap
import threading
import weakref

import numpy

from minigan.capture.arguments import (
    check_inputs, fill, fixed_inputs, has_arrays, map_outputs, own_memory, tensors_in,
    without_history)
from minigan.capture.host import BUFFER, HostWork
from minigan.capture.listing import Page, argument_names, lines_of, network_names
from minigan.capture.plan import ALIGNMENT, Plan, repeated
from minigan.capture.python_state import difference_of_states, state_of_python
from minigan.capture.tape import Tape
from minigan.capture.watch import Counters, Watch, take_inputs
from minigan.distributed.processes import on_every, report_once
from minigan.grad_mode import grad_mode
from minigan.hooks import hooks
from minigan import threads
from minigan.kernels.launch import switch
from minigan.messages import report
from minigan.nn.module import attribute_changes
from minigan.tensor import from_array

MOST_RECORDINGS = 4  # of a step that does one thing or another, such as adding gradients up
MOST_FAILURES = 8    # recordings that could not be used

# Held while a step is recorded or proven, which looks at all objects of the process and counts
# references to them: of several threads one does so at a time.
recording_lock = threading.RLock()


class OrdinaryStep(HostWork):
    """The host's part of a step that runs as it is, and may do what it likes."""

    keeps_buffers = False

    def refuse(self, reason):
        pass

    def changed(self, tensor):
        self.changes[id(tensor.version)] += 1


class Recording:
    """A step as it was recorded, for as long as what it was recorded with stays as it was.

    outputs   what it returned, Tensors that each replay overwrites
    replays   how often it was repeated
    """

    def __init__(self, tape, outputs, inputs, profile, arena):
        self.tape = tape
        self.outputs = outputs
        self.plan = Plan(repeated(tape), inputs, profile, arena)
        self.mode = mode()
        self.attributes = attribute_changes()
        self.replays = 0
        self.next_proof = 0  # of these
        self.structure, self.gradients = Watch(), Watch()
        for tensor, array, requires_grad in tape.tensors:
            self.structure.slot(tensor, "array", array)
            self.structure.slot(tensor, "_requires_grad", requires_grad)
        for leaf, array, buffer, after in tape.leaves:
            self.structure.slot(leaf, "array", array)
            buffer = buffer and buffer()
            self.structure.slot(leaf, "grad_buffer", buffer)
            before = tape.gradients[leaf]
            if before is None or before is BUFFER:
                self.structure.slot(leaf, "_grad", before and buffer)
            self.gradients.slot(leaf, "_grad", buffer if after is BUFFER else after)
        for optimiser, _ in tape.parts:
            for container in (vars(optimiser), optimiser.param_groups, optimiser.state,
                              *optimiser.state.values()):
                self.structure.entries(container)
            for group in optimiser.param_groups:
                self.structure.entries(group["params"])
        self.watch_options()
        self.counters = Counters(tape)
        self.finds_gradients = tape.finds_gradients()

    def watch_options(self):
        self.options = Watch()
        for optimiser, _ in self.tape.parts:
            for group in optimiser.param_groups:
                self.options.entries(group)
                for value in group.values():
                    if isinstance(value, list):
                        self.options.entries(value)

    def is_valid(self):
        """Whether a replay does what the step would do now."""
        if self.tape.lost or self.mode != mode() or not self.structure.is_unchanged():
            return False
        if not self.options.is_unchanged():
            if not self.tape.is_valid():
                return False
            self.tape.prepare_replay()
            self.watch_options()
        if self.attributes != attribute_changes():
            if not self.tape.has_its_modules():
                return False
            self.attributes = attribute_changes()
        return not self.finds_gradients or self.tape.is_valid()

    def replay(self):
        """Repeat the step, arrays and the host's part. Gives what it returns."""
        self.plan.replay()
        self.counters.count_up()
        if not self.gradients.is_unchanged():
            self.tape.set_gradients()
        self.replays += 1
        return self.outputs


def mode():
    """Switches on which all operations depend."""
    return grad_mode.enabled, switch.disabled, threads.threads()


class CpuStep:
    """A captured step on the CPU.

    The first call runs as usual: it makes the optimisers' state, for one thing. The second is
    recorded. The third is done both ways, from the same state and with the same arguments, and
    everything that the two leave behind must be equal bit for bit. That is repeated after 10, 100,
    1,000, ... replays. If the two differ, or if the step does what cannot be recorded, a line on
    stderr says so, and the step runs as usual from then on.

    Replays read the arguments where they lie, unless the step writes there. It is recorded and proven
    with `inputs`, Tensors with copies of them, which nobody else gets.
    """

    def __init__(self, step, profile):
        self.step = step
        self.profile = profile
        self.inputs = None
        self.arrays = ()      # of the inputs
        self.arena = None
        self.recordings = []  # the one that was used last comes first
        self.failures = 0
        self.is_ordinary = False  # from now on

    def __call__(self, *inputs):
        if self.inputs is None:
            fixed = fixed_inputs(inputs, "cpu")
            check_inputs(inputs, fixed)
            outputs = without_history(self.step(*inputs))
            self.arrays = tuple([x.array for x in fixed])
            self.inputs = tuple(fixed)
            return outputs
        if self.is_ordinary:
            check_inputs(inputs, self.inputs)
            return without_history(self.step(*inputs))
        for i, recording in enumerate(self.recordings):
            if recording.is_valid():
                if i:
                    self.recordings.insert(0, self.recordings.pop(i))
                is_proof = recording.replays == recording.next_proof
                if is_proof or not take_inputs(self.arrays, inputs, recording.plan):
                    self.copy(inputs)
                    take_inputs(self.arrays, self.inputs, recording.plan)
                if not is_proof:
                    return recording.replay()
                with recording_lock:
                    return self.proven(recording)
        self.copy(inputs)
        with recording_lock:
            return self.record(inputs)

    def copy(self, inputs):
        """Copy the arguments into the arrays with which the step is recorded and proven."""
        check_inputs(inputs, self.inputs)
        fill(self.inputs, inputs)

    def run(self, host_work, arguments):
        """The step itself, on copies of its arguments."""
        hooks.capture = host_work
        try:
            return own_memory(without_history(self.step(*arguments)), self.inputs)
        finally:
            hooks.capture = None

    def record(self, inputs):
        tape = Tape(network_names(self.step))
        before = state_of_python(self.step)
        arguments = [from_array(array) for array in self.arrays]
        references = [weakref.ref(x) for x in arguments]
        try:
            with tape:
                tape.watch(*arguments)
                outputs = self.run(tape, arguments)
            tape.finish(tensors_in(outputs), arguments)
        except BaseException:
            tape.give_back()
            raise
        changed = difference_of_states(before, state_of_python(self.step))
        if changed:
            tape.refuse(f"it changes {changed}, a value of Python's that a replay would not change")
        for x, fixed in zip(inputs, self.inputs):
            if tape.writes(fixed.array):
                x.array[...] = fixed.array
                tape.refuse("it changes an argument, of which it gets a copy")
        del arguments
        if any(reference() is not None for reference in references):
            tape.refuse("it keeps an argument, of which it gets a copy")
        if has_arrays(outputs):
            tape.refuse("it returns an array of NumPy; return a Tensor")
        if tape.communicates:  # all processes repeat the step, or none does
            tape.reason = on_every(tape.reason)
        if not tape.reason and tape.keeps is None:
            recording = Recording(tape, outputs, self.arrays, self.profile, self.arena)
            self.arena = recording.plan.arena
            self.recordings[MOST_RECORDINGS - 1:] = []
            self.recordings.insert(0, recording)
        if tape.reason:
            self.give_up(tape.reason, tape.communicates)
            return outputs
        self.failures += 1  # until the recording is used
        if self.failures > MOST_FAILURES:
            self.give_up("it does something else in every call" if tape.keeps is None else
                         f"it keeps a tensor of shape {tuple(tape.keeps)} that it makes; return it "
                         f"instead")
        return outputs

    def give_up(self, reason, together=False):
        """together: whether all processes do so, with the same reason."""
        (report_once if together else report)(
            f"minigan: capture: the step cannot be repeated and runs as usual: {reason}")
        self.is_ordinary = True
        self.recordings = []

    def proven(self, recording):
        """Do the step both ways."""
        plan = recording.plan
        changed = [*plan.state, *plan.results]  # the step may look at what it returned before
        before, problem = None, ""
        try:
            before = copies_of(changed)
        except (MemoryError, OSError):
            problem = "there is not enough memory to prove that a replay does the same"
        if recording.tape.communicates:
            problem = on_every(problem)
        if problem:
            self.give_up(problem, recording.tape.communicates)
            return self.run(OrdinaryStep(), [from_array(array) for array in self.arrays])
        plan.replay()
        after = After(recording)
        restore(changed, before)
        # The step allocates its own intermediate results: the arena is freed first, so that both
        # are not held at once.
        plan.give_up_memory()
        self.recordings.remove(recording)
        self.arena = None
        del before, changed
        host_work = OrdinaryStep()
        outputs = self.run(host_work, [from_array(array) for array in self.arrays])
        host_work.end()
        wrong = difference(recording, after, plan.state, host_work, outputs)
        if recording.tape.communicates:
            wrong = on_every(wrong)
        if wrong:
            self.give_up(f"{wrong} differs when it is replayed", recording.tape.communicates)
            return outputs
        recording.plan = Plan(plan.calls, self.arrays, self.profile, None)
        recording.plan.times, recording.plan.replays = plan.times, plan.replays
        self.arena = recording.plan.arena
        self.recordings.insert(0, recording)
        recording.replays += 1
        recording.next_proof = 10 * max(1, recording.next_proof)
        self.failures = 0
        return outputs

    def page(self, name):
        """The step on a page."""
        if self.is_ordinary:
            return f"{name}: runs as usual, see stderr"
        if not self.recordings:
            return f"{name}: not recorded yet; call it {2 - (self.inputs is not None)} times"
        recording = self.recordings[0]
        plan = recording.plan
        lines = lines_of(plan, self.inputs, argument_names(self.step, len(self.inputs)),
                         network_names(self.step), plan.seconds())
        return Page(f"{name}, recorded on the CPU: {len(lines)} calls, "
                    f"{-(-plan.arena.nbytes // 1024)} KiB of arena",
                    lines)


def copies_of(arrays):
    """Copies of arrays, in memory that the system gets back as soon as they are gone. MemoryError or
    OSError if there is not enough.

    On the heap, which keeps what is freed (kernels/memory.py), they would take up memory for good,
    for the sake of one replay.
    """
    sizes = [-(-array.nbytes // ALIGNMENT) * ALIGNMENT for array in arrays]
    memory = mmap.mmap(-1, max(sum(sizes), 1))
    copies, place = [], 0
    for array, size in zip(arrays, sizes):
        copy = numpy.ndarray(array.shape, array.dtype, memory, place)
        copy[...] = array
        copies.append(copy)
        place += size
    return copies


def restore(arrays, copies):
    for array, copy in zip(arrays, copies):
        array[...] = copy


def digest(array):
    return hashlib.blake2b(numpy.ascontiguousarray(array).data).digest()


class After:
    """Digests of what a replay left behind."""

    def __init__(self, recording):
        self.state = [digest(array) for array in recording.plan.state]
        self.outputs = [digest(x.array) for x in tensors_in(recording.outputs)]
        self.gradients = [gradient if gradient is None or gradient is BUFFER else
                          digest(gradient.array) for _, _, _, gradient in recording.tape.leaves]


def difference(recording, after, state, host_work, outputs):
    """What a replay did otherwise than the step, as a text, or ""."""
    tape = recording.tape
    for array, expected in zip(state, after.state):
        if digest(array) != expected:
            return f"a tensor of shape {array.shape} that it changes"
    if skeleton(outputs) != skeleton(recording.outputs):
        return "what it returns"
    for i, (x, expected) in enumerate(zip(tensors_in(outputs), after.outputs)):
        if digest(x.array) != expected:
            return f"result {i}"
    gradients = {leaf: gradient for leaf, _, _, gradient in host_work.leaves}
    for (leaf, _, _, _), expected in zip(tape.leaves, after.gradients):
        found = gradients.get(leaf, expected)
        if found is not None and found is not BUFFER:
            found = digest(found.array) if leaf in gradients else expected
        if found != expected:
            return f"the gradient of a tensor of shape {leaf.array.shape}"
    if (tape.changes_of(host_work), host_work.gradient_versions, host_work.optimisers) != (
            tape.changes_of(tape), tape.gradient_versions, tape.optimisers):
        return "how often it changes a tensor"
    return ""


def skeleton(outputs):
    """The outputs with the shape and dtype of each Tensor in its place."""
    return map_outputs(lambda x: (x.shape, x.dtype), outputs)
