"""cupy.cuda: what minigan calls of it."""

import types

from standin import memory, nccl, streams

module = types.ModuleType("cupy.cuda")
module.is_available = lambda: True
module.Stream = streams.Stream
module.Event = streams.Event
module.Graph = streams.Graph
module.get_current_stream = streams.get_current_stream
module.MemoryPool = memory.MemoryPool
module.using_allocator = memory.using_allocator


class Device:
    id = 0
    compute_capability = "90"

    def synchronize(self):
        streams.host_read("synchronize")


module.Device = Device
module.nccl = nccl
module.runtime = types.ModuleType("cupy.cuda.runtime")
module.runtime.CUDARuntimeError = streams.CUDARuntimeError
module.runtime.getDeviceProperties = lambda number: {"name": b"a stand-in, no GPU"}
module.runtime.driverGetVersion = module.runtime.runtimeGetVersion = lambda: 12090
