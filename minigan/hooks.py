"""Who watches operations as they run: an Observer, such as a profile, and the capture of a step."""

import threading


class _Hooks(threading.local):
    """Each thread has its own."""
    observer = None  # an Observer
    capture = None   # a capture.HostWork, while a step given to minigan.capture runs


hooks = _Hooks()


def refuse_in_capture(what, instead):
    """Report what a step that is being captured must not do."""
    if hooks.capture is not None:
        hooks.capture.refuse(f"{what}: not inside a step given to minigan.capture, which is "
                             f"repeated without Python; {instead}")


def run(function, args, writes):
    """Call a function that changes the arrays `writes`; it may look at numbers, also in a captured
    step."""
    if hooks.capture is None:
        function(*args)
    else:
        hooks.capture.call(function, args, writes)


def look(function, *args):
    """Call a function that looks at the numbers of arrays, such as a check of them. A captured step
    on the CPU does so in each replay."""
    if hooks.capture is None:
        function(*args)
    else:
        hooks.capture.call(function, args, ())


class Observer:
    """A context that is notified of all that runs inside it. Subclasses (in inspect/) look closer.

    RuntimeError if entered while another observer is active in this thread.
    """

    def __enter__(self):
        self.outer = hooks.observer
        if self.outer is not None and hooks.capture is not None:
            hooks.capture.refuse(f"{type(self).__name__} watches operations one by one")
        elif self.outer is not None:
            raise RuntimeError(f"{type(self).__name__}: {type(self.outer).__name__} is "
                               f"active already; one at a time")
        self.modules = []  # those whose forward is running, the outermost first
        hooks.observer = self
        return self

    def __exit__(self, *exception):
        hooks.observer = self.outer

    def run(self, phase, name, function, args, kwargs):
        """Called in place of an operation ("forward"), of its backward ("backward") and of an
        optimiser's step ("step"); returns what function(*args, **kwargs) does."""
        return function(*args, **kwargs)

    def call(self, module, inputs, options):
        """Called in place of a module's forward, and returns what that does."""
        self.modules.append(module)
        try:
            return module.forward(*inputs, **options)
        finally:
            self.modules.pop()

    def where(self):
        """The module that is running, as a person finds it: 'Sequential.3 (Linear)'; or ''."""
        if not self.modules:
            return ""
        names = [type(self.modules[0]).__name__]
        for parent, child in zip(self.modules, self.modules[1:]):
            names.append(next((name for name, part in parent.named_children() if part is child),
                              type(child).__name__))
        kind = type(self.modules[-1]).__name__
        return ".".join(names) + (f" ({kind})" if len(names) > 1 else "")
