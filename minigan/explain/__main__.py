"""python -m minigan.explain: an operation's formula, source and gradient."""

from minigan import functional
from minigan.explain import explanation, listing
from minigan.training import ArgumentParser, run


def main():
    parser = ArgumentParser("Explain an operation of minigan.functional: its formula, its source, "
                            "and its gradient against finite differences. Without a name, list "
                            "the operations.", prog="python -m minigan.explain")
    parser.add_argument("operation", nargs="?", metavar="OPERATION", help="such as conv2d")
    name = parser.parse_args().operation
    if functional.relu.__doc__ is None:
        parser.error("python -OO removes the docstrings that are to be shown; run it without -OO")
    if name is not None and name not in functional.__all__:
        parser.error(f"unknown operation {name!r}; known are {', '.join(functional.__all__)}")
    for line in listing() if name is None else explanation(name):
        print(line)


if __name__ == "__main__":
    run(main)
