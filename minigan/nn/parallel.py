"""`nn.parallel` as it is with at most one GPU: the module computes the whole batch itself."""

from minigan.checks import check_type, explain_errors
from minigan.nn.module import Module


class DataParallel(Module):
    """A module under the name `module`, as in PyTorch, where its state's keys begin so.

    device_ids, output_device, dim  accepted; they change nothing
    """

    @explain_errors
    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        self.module = check_type("DataParallel", "module", module, Module)

    def forward(self, *inputs, **options):
        return self.module(*inputs, **options)


@explain_errors
def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """module(*inputs); inputs a Tensor or a tuple of them."""
    check_type("data_parallel", "module", module, Module)
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    options = {} if module_kwargs is None else check_type("data_parallel", "module_kwargs",
                                                          module_kwargs, dict)
    return module(*inputs, **options)
