"""Who is told of every operation as it runs: nobody, or for example a profile (inspect/profile.py).

An observer has one method, `run(phase, name, function, args, kwargs)`: it must call
function(*args, **kwargs) and return its result. phase is "forward", "backward" or "step".
"""


class _Watching:
    observer = None


watching = _Watching()
