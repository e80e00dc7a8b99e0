"""Modules that hold others: in a row, or just in a list."""

from minigan.checks import describe, explain_errors
from minigan.nn.module import Module


class _Row(Module):
    """Modules under the names '0', '1', ..."""

    def append(self, module):
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: expected a Module, got {describe(module)}")
        setattr(self, str(len(self)), module)
        return self

    def __len__(self):
        return len(self._named_parts())

    def __iter__(self):
        return iter([module for _, module in self._named_parts()])

    @explain_errors
    def __getitem__(self, index):
        """The module at a place, or a container of the same kind for a slice."""
        modules = [module for _, module in self._named_parts()]
        if isinstance(index, slice):
            return self._of(modules[index])
        return modules[index]


class Sequential(_Row):
    """Modules applied one after another: Sequential(a, b) or Sequential({'name': a, ...})."""

    @explain_errors
    def __init__(self, *modules):
        if len(modules) == 1 and isinstance(modules[0], dict):
            for name, module in modules[0].items():
                if not isinstance(module, Module):
                    raise TypeError(f"Sequential: {name} must be a Module, "
                                    f"got {describe(module)}")
                setattr(self, name, module)
        else:
            for module in modules:
                self.append(module)

    def _of(self, modules):
        return Sequential(*modules)

    def forward(self, input):
        for module in self:
            input = module(input)
        return input


class ModuleList(_Row):
    """A list of modules whose parameters are found; what to do with them is the user's affair."""

    @explain_errors
    def __init__(self, modules=()):
        for module in modules:
            self.append(module)

    def _of(self, modules):
        return ModuleList(modules)
