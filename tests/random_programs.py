"""Random programs, run by minigan and by PyTorch: values, gradients and errors must agree.

    python tests/random_programs.py                          1000 programs
    python tests/random_programs.py --count 20000 --seed 7

A program is a list of statements in which `torch` is one of the two. program_generator.py makes
them; which ones follows from the seed alone. A program that fails is shrunk and printed as code
that runs as it stands, and the exit status is 1.
"""

import ast
import collections
import itertools
import re
import sys
from dataclasses import dataclass
from random import Random

import numpy

import minigan
from minigan.training import ArgumentParser, Progress, positive_int, run
from program_generator import Execution, Generator, leaf_statement

# Differences that are meant, as the list "What differs from PyTorch" in minigan/README.md has them,
# and how an execution by minigan and one by PyTorch show each. A program in which one occurs is not
# compared further.
DIFFERENCES = {
    "changing a tensor in place after an operation recorded it is always an error at backward":
        lambda ours, theirs: ours.says("was changed in place"),
    "a graph is freed as a whole, even where its backward pass needs no recorded value":
        lambda ours, theirs: ours.says("used by a backward pass before"),
    "view copies where the memory layout asks for it":
        lambda ours, theirs: theirs.says("view size is not compatible"),
    "NumPy handles operands that overlap in memory":
        lambda ours, theirs: theirs.says("refer to a single memory location"),
    "an optimiser refuses a parameter given twice; PyTorch warns":
        lambda ours, theirs: ours.says("is given twice"),
    "an index out of bounds is an error even where an empty result hides it":
        lambda ours, theirs: ours.says("is out of bounds"),
    "in PyTorch two leaves may get the same memory as their gradients, as from (a + b).backward()":
        lambda ours, theirs: theirs.shares_gradients(),
    "a nested list alone is no index":
        lambda ours, theirs: ours.says("a nested list may mean"),
    "activations and softmax of integers are those of float32":
        lambda ours, theirs: ours.error is None and theirs.says(
            "(leaky_relu|Gelu|softplus|softmax).* not implemented for '(Long|Bool)'"),
    "subtraction takes bool for 0 and 1":
        lambda ours, theirs: theirs.says("Subtraction, the `-` operator, with a bool"),
    "matmul refuses operands of different dtypes even where they are empty":
        lambda ours, theirs: ours.says("matmul: expected two of one dtype"),
    "a gradient that the graph has is added to after the backward pass, not during it":
        lambda ours, theirs: theirs.says("modified by an inplace") and theirs.reads_gradients(),
    "powers of integers refuse negative exponents":
        lambda ours, theirs: ours.says("to negative integer powers"),
}

# Comparing

@dataclass
class Failure:
    """what       differs: a variable, an attribute of one, or "error"
    signature  equal for failures that may well have the same cause
    """
    what: str
    signature: tuple
    ours: object
    theirs: object


def compare(statements, ours, theirs):
    """(verdict, Failure or None) of a program executed by two engines, `theirs` the reference.

    The verdict is "agree", "refused" (by both), "documented" (see DIFFERENCES), "unstable"
    (rounding alone changes the result, so that the program proves nothing) or "failure".
    """
    a, b = Execution(statements, ours), Execution(statements, theirs)
    dtypes = [value for what, value in b.facts.items() if what.endswith(".dtype")]
    tolerance = 1e-4 if "float32" in dtypes or ".float(" in "".join(statements) else 1e-9
    failure = first_difference(a, b, tolerance)
    if failure is None:
        return ("agree" if a.error is None else "refused"), None
    if any(documented(a, b) for documented in DIFFERENCES.values()):
        return "documented", None
    if isinstance(failure.ours, numpy.ndarray) and isinstance(failure.theirs, numpy.ndarray):
        for seed in range(3):
            perturbed = Execution(statements, theirs, noise=seed).facts.get(failure.what)
            if perturbed is not None and not agree(perturbed, failure.theirs, tolerance):
                return "unstable", None
    return "failure", failure


def first_difference(a, b, tolerance):
    if (a.error is None, a.done) != (b.error is None, b.done):
        side, first = ("minigan", a) if a.error and a.done <= b.done else ("PyTorch", b)
        signature = side, type(first.error), str(first.error).partition(":")[0]
        return Failure("error", signature, *(repr(e.error) if e is first else "no error"
                                             for e in (a, b)))
    for what in {**b.facts, **a.facts}:
        value, other = (e.facts.get(what, "not there") for e in (a, b))
        if not agree(value, other, tolerance):
            finite = [bool(numpy.isfinite(v).all()) if isinstance(v, numpy.ndarray) else type(v)
                      for v in (value, other)]
            return Failure(what, (what.partition(".")[2], *finite), value, other)
    return None


def agree(value, other, tolerance):
    if not (isinstance(value, numpy.ndarray) and isinstance(other, numpy.ndarray)):
        return type(value) is type(other) and value == other
    if value.shape != other.shape or value.dtype != other.dtype:
        return False
    scale = abs(other[numpy.isfinite(other)]).max(initial=1)
    return numpy.allclose(value, other, tolerance, tolerance * scale, equal_nan=True)


# Shrinking

def shrink(statements, fails):
    """A program for which `fails` is true, as it is for this one, and for none a step simpler."""
    before = None
    while statements != before:
        before = statements
        size = len(statements)
        while size:  # leave out so many statements at once
            for start in range(len(statements) - size, -1, -size):
                simpler = statements[:start] + statements[start + size:]
                statements = simpler if fails(simpler) else statements
            size //= 2
        for i in reversed(range(len(statements))):
            simpler = statements
            while simpler:
                statements = simpler
                simpler = next(filter(fails, simpler_programs(statements, i)), None)
    return statements


def simpler_programs(statements, i):
    """Programs in which the i-th statement is a step simpler."""
    if i >= len(statements):  # it was left out
        return
    before, statement, after = statements[:i], statements[i], statements[i + 1:]
    alias = re.fullmatch(r"(\w+) = (\w+)", statement)
    if alias:  # one name for both
        yield before + [re.sub(rf"\b{alias[1]}\b", alias[2], other) for other in after]
    for text in itertools.chain(smaller_leaves(statement), simpler_statements(statement)):
        yield [*before, text, *after]
    for size in (4, 3, 2) if LEAF.fullmatch(statement) else ():  # shapes of leaves go together
        smaller = [next(smaller_leaves(other, size), other) for other in statements]
        if smaller != statements:
            yield smaller


LEAF = re.compile(r"(a\d+) = torch\.tensor\((\[.*\])(, .*)\)")


def smaller_leaves(statement, size=None):
    """The same leaf with fewer elements along an axis (of that size only), then with ones."""
    leaf = LEAF.fullmatch(statement)
    if leaf:
        values = numpy.array(ast.literal_eval(leaf[2]))
        for axis, n in enumerate(values.shape):
            if n > 1 and size in (n, None):
                for part in (range(1), range(1, n), range(n - 1)):
                    yield leaf_statement(leaf[1], values.take(part, axis), leaf[3])
        if size is None and (values != 1).any():
            yield leaf_statement(leaf[1], numpy.ones_like(values), leaf[3])


def simpler_statements(statement):
    """The statement with an expression replaced by a part of it, or with an argument less."""
    if LEAF.fullmatch(statement):
        yield from {statement.replace(", requires_grad=True", "")} - {statement}
        return
    tree = ast.parse(statement)
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            yield ast.unparse(node.body)
        for field, old in ast.iter_fields(node):
            several = isinstance(old, list)
            for i, part in enumerate(old if several else [old]):
                if not isinstance(part, (ast.expr, ast.keyword)) or field == "targets":
                    continue
                children = [child for child in ast.iter_child_nodes(part)]
                children += [child for parent in children for child in ast.iter_child_nodes(parent)]
                parts = [[child] for child in children if isinstance(child, (
                    ast.Attribute, ast.BinOp, ast.Call, ast.Name, ast.Subscript, ast.UnaryOp))]
                for new in [[]] * several + parts:
                    setattr(node, field, old[:i] + new + old[i + 1:] if several else new[0])
                    try:
                        text = ast.unparse(tree)
                        ast.parse(text)
                    except Exception:  # no longer Python
                        continue
                    if len(text) < len(statement):
                        yield text
                setattr(node, field, old)


# The command

def check(count, seed, ours, theirs, report, advance=lambda: None):
    """A Counter of the verdicts on so many programs; failures are shrunk and reported as code."""
    verdicts = collections.Counter()
    for number in range(count):
        statements = Generator(Random(f"{seed} {number}"), theirs).program()
        verdict, failure = compare(statements, ours, theirs)
        verdicts[verdict] += 1
        if failure:
            def fails(program):
                _, other = compare(program, ours, theirs)
                return other is not None and other.signature == failure.signature

            statements = shrink(statements, fails)
            report(as_code(number, statements, compare(statements, ours, theirs)[1]))
        advance()
    return verdicts


def as_code(number, statements, failure):
    lines = [f"# program {number}", "import minigan as torch  # or: import torch",
             "F = torch.nn.functional", *statements]
    if failure.what != "error":
        lines.append(f"print({failure.what})")
    for engine, value in (("PyTorch", failure.theirs), ("minigan", failure.ours)):
        text = str(value.tolist() if isinstance(value, numpy.ndarray) else value)
        lines.append(f"# {engine}: {' '.join(text.split())}")
    return "\n".join(lines) + "\n"


def main():
    parser = ArgumentParser("Compare minigan with PyTorch by random programs.")
    parser.add_argument("--count", type=positive_int, default=1000, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="decides the programs")
    args = parser.parse_args()
    try:
        import torch
    except ImportError as error:
        parser.error(f"PyTorch cannot be imported: {error}")
    torch.set_num_threads(1)  # the tensors are tiny
    with Progress(args.count, "random programs", unit="programs") as progress:
        verdicts = check(args.count, args.seed, minigan, torch, print, progress.advance)
    print(f"{args.count} programs: {verdicts['agree']} agree, {verdicts['refused']} refused by "
          f"both, {verdicts['documented']} documented differences, {verdicts['unstable']} depending on "
          f"rounding, {verdicts['failure']} failures")
    sys.exit(1 if verdicts["failure"] else 0)


if __name__ == "__main__":
    run(main)
