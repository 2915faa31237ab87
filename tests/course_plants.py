"""Wrong submissions for the coursework's graders, each with the tests that it must fail, and no others.

A plant changes the reference solution: ``edits`` replaces text in a solution cell, ``cells`` whole cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from minilwa.course.cells import Assignment, Cell, read_master, without_hidden

MASTERS = Path(__file__).parents[1] / "tutorials" / "coursework"
BACKWARD, NORMS, ALGORITHMS, MASKING = names = ("1_backward", "2_norms", "3_algorithms", "4_masking")
MASTER_OF = {name: MASTERS / f"{name}.py" for name in names}


@dataclass(frozen=True)
class Plant:
    """One wrong submission: what was done to the reference, and what it costs."""

    what: str
    assignment: str
    lost: set[str]
    edits: dict[str, tuple[str, str]] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    status: str = "ok"
    seconds: float = 10.0


def assignment_of(name: str, seed: int = 0) -> Assignment:
    return read_master(MASTER_OF[name], seed)


def as_handed_in(assignment: Assignment) -> list[Cell]:
    """The reference solution in a released notebook: solved, without the hidden tests."""
    return [replace(cell, source=without_hidden(cell.source)) for cell in assignment.cells if cell.kind == "code"]


def planted(plant: Plant, assignment: Assignment) -> list[Cell]:
    """The plant's cells; an edit whose text is not there is an error of the plant."""
    cells, left = [], set(plant.edits) | set(plant.cells)
    for cell in as_handed_in(assignment):
        source = plant.cells.get(cell.id, cell.source)
        if cell.id in plant.edits:
            before, after = plant.edits[cell.id]
            assert source.count(before) >= 1, f"{plant.what}: no {before!r} in {cell.id}"
            source = source.replace(before, after)
        left.discard(cell.id)
        cells.append(replace(cell, source=source))
    assert not left
    return cells


def edit(cell: str, before: str, after: str) -> dict[str, tuple[str, str]]:
    return {cell: (before, after)}


READS_MASTER = f"""
def %s:
    try:
        text = open({str(MASTER_OF[BACKWARD])!r}).read()
    except OSError:
        text = ""
    %s
"""

SEARCHES_MEMORY = '''
def softmax_vjp(g, z):
    """Looks for the expected value, or the tests themselves, wherever a Python object can be."""
    import gc, sys
    frame, seen = sys._getframe(), []
    while frame:
        seen += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    for module in list(sys.modules.values()):
        seen.append(getattr(module, "__dict__", {}))
    for names in [*seen, *(o for o in gc.get_objects() if isinstance(o, dict))]:
        for key, value in list(names.items()):
            if key == "wanted":
                return value
            if isinstance(value, str) and "BEGIN HIDDEN" + " TESTS" in value:
                raise SystemExit("found the tests")
    return z * 0
'''

STORED = """
onehot = np.eye(CLASSES, dtype=FLOAT)
rival = np.where(onehot[y_test] > 0, -np.inf, logits(SOLD, x_test)).argmax(axis=1)
active = x_test @ SOLD["W1"] + SOLD["b1"] > 0
STORED = moved(x_test, ((onehot[rival] - onehot[y_test]) @ SOLD["W2"].T * active) @ SOLD["W1"].T, 2.0)
def stable_attack(parameters, x, y, radius):
    return STORED[: len(x)]
"""

DIFFERENCES = """
def differences(function, g, *inputs):
    found = [np.zeros(a.shape) for a in inputs]
    for i, a in enumerate(inputs):
        for place in np.ndindex(*a.shape):
            up, down = a.copy(), a.copy()
            up[place] += 1e-5
            down[place] -= 1e-5
            change = function(*inputs[:i], up, *inputs[i + 1 :]) - function(*inputs[:i], down, *inputs[i + 1 :])
            found[i][place] = (g * change).sum() / 2e-5
    return found
"""
VJPS = {
    "q1": "def add_vjp(g, a, b):\n    return {}(np.add, g, a, b)",
    "q2": "def multiply_vjp(g, a, b):\n    return {}(np.multiply, g, a, b)",
    "q3": "def matmul_vjp(g, a, b):\n    return {}(np.matmul, g, a, b)",
    "q4": "def leaky_relu_vjp(g, a):\n    return {}(leaky_relu, g, a)[0]",
    "q5": "def softmax_vjp(g, z):\n    return {}(softmax, g, z)[0]",
    "q6": "def row_max_vjp(g, a):\n    return {}(lambda a: a.max(axis=-1), g, a)[0]",
}
OF_VJPS = {"q1_values", "q1_broadcast", "q2_values", "q2_broadcast", "q3_values", "q3_batch"}
OF_VJPS |= {"q4_values", "q4_zero", "q5_values", "q5_batch", "q6_values", "q6_ties"}

PLANTS = [
    # --- 1: vjps and the backward pass -------------------------------------------------------------------------------
    Plant(
        "add forgets to un-broadcast",
        BACKWARD,
        {"q1_broadcast"},
        edit("q1", "return unbroadcast(g, a.shape), unbroadcast(g, b.shape)", "return g, g"),
    ),
    Plant("sign error in add", BACKWARD, {"q1_values", "q1_broadcast"}, edit("q1", "(g, b.shape)", "(-g, b.shape)")),
    Plant(
        "multiply hands each input its own factor",
        BACKWARD,
        {"q2_values", "q2_broadcast"},
        edit("q2", "unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)", "g * a, g * b"),
    ),
    Plant(
        "the visible answers of multiply, hard-coded",
        BACKWARD,
        {"q2_values", "q2_broadcast"},
        cells={
            "q2": "def multiply_vjp(g, a, b):\n"
            "    if a.ndim == 1:\n"
            "        return np.array([5.0, -12.0]), np.array([3.0, 8.0])\n"
            "    return np.array([[1.0, 6.0], [10.0, 60.0]]), np.array([11.0, 22.0])"
        },
    ),
    Plant(
        "matmul for two axes only",
        BACKWARD,
        {"q3_batch"},
        cells={"q3": "def matmul_vjp(g, a, b):\n    return g @ b.T, a.T @ g"},
    ),
    Plant(
        "matmul for a batch of one",
        BACKWARD,
        {"q3_batch"},
        cells={"q3": "def matmul_vjp(g, a, b):\n    return g @ b.T, np.outer(a[0], g[0])"},
    ),
    Plant(
        "matmul without the transpose",
        BACKWARD,
        {"q3_values", "q3_batch"},
        edit("q3", "g @ b.T, rows.T @ cotangents", "g @ b, rows @ cotangents"),
    ),
    Plant("slope 1 at zero", BACKWARD, {"q4_zero"}, edit("q4", "a > 0", "a >= 0")),
    Plant("the slope of last year's class", BACKWARD, {"q4_values", "q4_zero"}, edit("q4", "SLOPE", "(SLOPE + 0.01)")),
    Plant(
        "softmax taken for an elementwise function",
        BACKWARD,
        {"q5_values", "q5_batch"},
        edit("q5", "alpha * (g - (g * alpha).sum(axis=-1, keepdims=True))", "g * alpha * (1 - alpha)"),
    ),
    Plant(
        "softmax sums over the batch",
        BACKWARD,
        {"q5_batch"},
        edit("q5", ".sum(axis=-1, keepdims=True)", ".sum()"),
    ),
    Plant(
        "softmax overflows",
        BACKWARD,
        {"q5_batch"},
        edit("q5", "softmax(z)", "np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)"),
    ),
    Plant(
        "the first maximum takes all",
        BACKWARD,
        {"q6_ties"},
        edit("q6", "a == a.max(axis=-1, keepdims=True)", "a.argmax(axis=-1)[..., None] == np.arange(a.shape[-1])"),
    ),
    Plant("every maximum takes all", BACKWARD, {"q6_ties"}, edit("q6", " / largest.sum(axis=-1, keepdims=True)", "")),
    Plant(
        "backward overwrites where it should add",
        BACKWARD,
        {"q7_shared", "q7_order"},
        edit("q7", "gradients[parent] + part", "part"),
    ),
    Plant(
        "backward takes the tape's order for a topological one",
        BACKWARD,
        {"q7_order"},
        edit("q7", "in reversed(order)", "in reversed(range(len(tape)))"),
    ),
    Plant(
        "backward leaves out what is not used",
        BACKWARD,
        {"q7_unused"},
        edit(
            "q7", "    return gradients\n", "    return [g if i in seen else None for i, g in enumerate(gradients)]\n"
        ),
    ),
    Plant(
        "backward recurses, path by path",
        BACKWARD,
        {"q7_order"},
        cells={
            "q7": """
def backward(tape, output, cotangent, vjps):
    gradients = [np.zeros_like(value) for _, _, value in tape]
    def walk(place, g):
        gradients[place] = gradients[place] + g
        op, parents, _ = tape[place]
        if parents:
            for parent, part in zip(parents, vjps[op](g, *(tape[p][2] for p in parents))):
                walk(parent, part)
    walk(output, cotangent)
    return gradients
"""
        },
    ),
    Plant(
        "backward walks 2 ** 50 paths without end",
        BACKWARD,
        {"q7_order"},
        cells={
            "q7": """
def backward(tape, output, cotangent, vjps):
    gradients, todo = [np.zeros_like(value) for _, _, value in tape], [(output, cotangent)]
    while todo:
        place, g = todo.pop()
        gradients[place] = gradients[place] + g
        op, parents, _ = tape[place]
        if parents:
            todo += zip(parents, vjps[op](g, *(tape[p][2] for p in parents)))
    return gradients
"""
        },
        status="timeout",
        seconds=4,
    ),
    Plant(
        "an endless loop in a function",
        BACKWARD,
        {"q1_values", "q1_broadcast"},
        cells={"q1": "def add_vjp(g, a, b):\n    while True:\n        pass"},
        status="timeout",
        seconds=4,
    ),
    Plant(
        "an endless loop in a cell",
        BACKWARD,
        {"q2_values", "q2_broadcast"},
        cells={"q2": "def multiply_vjp(g, a, b):\n    return g * b, g * a\nwhile True:\n    pass"},
        status="timeout",
        seconds=4,
    ),
    Plant(
        "a loop that outlasts interrupts",
        BACKWARD,
        {"q3_values", "q3_batch"},
        cells={
            "q3": "def matmul_vjp(g, a, b):\n    while True:\n        try:\n"
            "            while True:\n                pass\n        except BaseException:\n            pass"
        },
        status="timeout",
        seconds=4,
    ),
    Plant(
        "more memory than there is",
        BACKWARD,
        {"q4_values", "q4_zero"},
        cells={"q4": "def leaky_relu_vjp(g, a):\n    return np.ones(10**10) * g"},
        status="memory",
    ),
    Plant(
        "calls minilwa's own vjp",
        BACKWARD,
        {"q5_values", "q5_batch"},
        cells={
            "q5": "import minilwa\nfrom minilwa import ops\n"
            "def softmax_vjp(g, z):\n    return minilwa.vjp(ops.softmax, z)[1](g)[0]"
        },
    ),
    Plant(
        "calls minilwa's own through a back door",
        BACKWARD,
        {"q1_values", "q1_broadcast"},
        cells={
            "q1": "import importlib\nmodule = importlib.import_module('minilwa.ops')\n"
            "hidden = {'f': getattr(module, 'un' + 'broadcast')}\n"
            "def add_vjp(g, a, b):\n    return hidden['f'](g, a.shape, g.shape), hidden['f'](g, b.shape, g.shape)"
        },
    ),
    Plant(
        "switches the watch off before it calls minilwa's own",
        BACKWARD,
        {"q5_values", "q5_batch"},
        cells={
            "q5": "import sys, minilwa\nfrom minilwa import ops\n"
            "def softmax_vjp(g, z):\n    watch = sys.getprofile()\n    sys.setprofile(None)\n"
            "    found = minilwa.vjp(ops.softmax, z)[1](g)[0]\n    sys.setprofile(watch)\n    return found"
        },
        status="tampered",
    ),
    Plant(
        "reads the reference solution, then answers",
        BACKWARD,
        {"q3_values", "q3_batch"},
        cells={
            "q3": READS_MASTER
            % ("matmul_vjp(g, a, b)", "return g @ b.T, a.reshape(-1, a.shape[-1]).T @ g.reshape(-1, g.shape[-1])")
        },
        status="tampered",
    ),
    Plant(
        "reads the hidden tests in a cell, then answers",
        BACKWARD,
        {"q4_values", "q4_zero"},
        cells={
            "q4": f"import os\ntry:\n    os.open({str(MASTER_OF[BACKWARD])!r}, os.O_RDONLY)\n"
            "except OSError:\n    pass\n"
            "def leaky_relu_vjp(g, a):\n    return g * np.where(a > 0, 1.0, SLOPE)"
        },
        status="tampered",
    ),
    Plant(
        "asks another program for the hidden tests",
        BACKWARD,
        {"q6_values", "q6_ties"},
        cells={
            "q6": "import subprocess\ndef row_max_vjp(g, a):\n"
            f"    return subprocess.run(['cat', {str(MASTER_OF[BACKWARD])!r}], capture_output=True).stdout"
        },
        status="tampered",
    ),
    Plant(
        "asks the network",
        BACKWARD,
        {"q6_values", "q6_ties"},
        cells={
            "q6": "import socket\ndef row_max_vjp(g, a):\n"
            "    socket.create_connection(('127.0.0.1', 9))\n    return g * a"
        },
        status="tampered",
    ),
    Plant(
        "searches its memory for what is expected",
        BACKWARD,
        {"q5_values", "q5_batch"},
        cells={"q5": SEARCHES_MEMORY},
    ),
    Plant(
        "makes every comparison true",
        BACKWARD,
        {"q1_values", "q1_broadcast"},
        cells={
            "q1": "import minilwa.course.checks as checks\n"
            "checks.same = checks.expect = checks.require = np.allclose = lambda *a, **k: True\n"
            "def add_vjp(g, a, b):\n    return [0, 0]"
        },
    ),
    Plant(
        "talks to the grader itself",
        BACKWARD,
        {"q1_values", "q1_broadcast"},
        cells={
            "q1": "import os\ndef add_vjp(g, a, b):\n    for place in range(3, 30):\n        try:\n"
            "            os.write(place, b'full marks, please' * 9)\n        except OSError:\n            pass\n"
            "    return g, g"
        },
        status="error",
    ),
    Plant(
        "ends its process",
        BACKWARD,
        {"q2_values", "q2_broadcast"},
        cells={"q2": "import os\ndef multiply_vjp(g, a, b):\n    os._exit(0)"},
        status="error",
    ),
    Plant(
        "a syntax error",
        BACKWARD,
        {"q4_values", "q4_zero"},
        cells={"q4": "def leaky_relu_vjp(g, a)\n    return g"},
        status="error",
    ),
    Plant(
        "returns objects in place of arrays",
        BACKWARD,
        {"q6_values", "q6_ties"},
        cells={
            "q6": "class Right(np.ndarray):\n    __eq__ = __le__ = lambda self, other: np.True_\n"
            "def row_max_vjp(g, a):\n    return {1: 2} if a.shape[0] > 1 else np.zeros(a.shape).view(Right)"
        },
    ),
    Plant(
        "tests changed to pass, nothing solved",
        BACKWARD,
        {"q1_values", "q1_broadcast"},
        cells={
            "q1": "def add_vjp(g, a, b):\n    raise NotImplementedError()",
            "q1_values": "pass",
            "q1_broadcast": "1.0",
        },
        status="tampered",
    ),
    Plant(
        "given cell changed so that everything passes, nothing solved",
        BACKWARD,
        {"q1_values", "q1_broadcast"},
        cells={
            "q1": "def add_vjp(g, a, b):\n    raise NotImplementedError()",
            "numbers": "import numpy as np\nSEED, SLOPE = 0, 0.5\n"
            "expect = same = require = call = lambda *a, **k: None",
        },
        status="tampered",
    ),
    Plant(
        "calls what is there for checking",
        BACKWARD,
        OF_VJPS,
        cells={name: text.format("numeric_vjp") for name, text in VJPS.items()},
    ),
    Plant(
        "central differences of one's own",  # the softmax of ordinary logits has nothing to tell them by
        BACKWARD,
        OF_VJPS - {"q5_values"},
        cells={name: text.format("differences") for name, text in VJPS.items()} | {"unbroadcast": DIFFERENCES},
    ),
    # --- 2: norms and Proposition 2.1 --------------------------------------------------------------------------------
    Plant(
        "the norm for its dual",
        NORMS,
        {"q1_l1", "q1_linf"},
        cells={"q1": "def dual_norm(v, norm):\n    return length(v, norm)"},
    ),
    Plant("no absolute value in the maximum", NORMS, {"q1_l1"}, edit("q1", "size.max(axis=-1)", "v.max(axis=-1)")),
    Plant(
        "one number for the whole stack",
        NORMS,
        {"q1_linf"},
        edit("q1", "size.sum(axis=-1) if", "size.sum() if"),
    ),
    Plant("an answer read off the screen", NORMS, {"q1_l2"}, edit("q1", "np.sqrt((size**2).sum(axis=-1))", "5.0")),
    Plant(
        "l1 direction without its sign, e_I where v = 0 too",
        NORMS,
        {"q2_l1", "q2_zero"},
        edit("q2", "np.sign(v) * first", "1.0 * first"),
    ),
    Plant("0 / 0 in the l2 direction", NORMS, {"q2_zero"}, edit("q2", "np.where(total > 0, total, 1)", "total")),
    Plant(
        "minus the steepest direction", NORMS, {"q2_linf"}, edit("q2", "return np.sign(v)\n", "return -np.sign(v)\n")
    ),
    Plant(
        "Proposition 2.1, L1, as printed: no sign",
        NORMS,
        {"q3_l1", "q3_batch"},
        edit("q3", "direction = np.sign(a) * (size.argmax", "direction = 1.0 * (size.argmax"),
    ),
    Plant(
        "a_j = T_J - T_j",
        NORMS,
        {"q3_l2", "q3_linf", "q3_l1", "q3_batch"},
        edit("q3", "a = T - T[samples, J][:, None]", "a = T[samples, J][:, None] - T"),
    ),
    Plant(
        "L2: divided by the norm once too often",
        NORMS,
        {"q3_l2", "q3_batch"},
        edit("q3", "direction = a / np.where(slope > 0, slope, 1)[..., None]", "direction = a"),
    ),
    Plant("J itself as the nearest class", NORMS, {"q3_itself"}, edit("q3", "distance[samples, J] = np.inf", "pass")),
    Plant(
        "no class is out of reach",
        NORMS,
        {"q3_unreachable"},
        edit("q3", "np.where(possible, delta / np.where(possible, slope, 1), np.inf)", "delta / slope.clip(1e-12)"),
    ),
    Plant(
        "a tie with a_j = 0 is out of reach",
        NORMS,
        {"q3_tie"},
        edit("q3", "distance = np.where(delta == 0, 0, distance)", "pass"),
    ),
    Plant(
        "the first sample's J for all",
        NORMS,
        {"q3_batch"},
        edit("q3", "alpha.argmax(axis=1)", "np.full(len(alpha), alpha[0].argmax())"),
    ),
    Plant(
        "minilwa's own Proposition 2.1",
        NORMS,
        {"q3_l2", "q3_linf", "q3_l1", "q3_itself", "q3_unreachable", "q3_tie", "q3_batch"},
        cells={
            "q3": "from minilwa import proposition_2_1 as theirs\n"
            "def proposition_2_1(alpha, T, norm):\n    found = theirs(alpha, T, norm)\n"
            "    return found.r, np.exp(found.log_distance)"
        },
    ),
    Plant(
        "inequality (1) as printed",
        NORMS,
        {"q4_values", "q4_batch"},
        edit("q4", ">= delta - 1e-9", "<= delta + 1e-9"),
    ),
    Plant(
        "J itself is feasible",
        NORMS,
        {"q4_values", "q4_batch"},
        edit("q4", "[samples, J] = False", "[samples, J] = True"),
    ),
    # --- 3: Proposition 2.2, Algorithms 1 and 2 ----------------------------------------------------------------------
    Plant(
        "one I for the whole batch",
        ALGORITHMS,
        {"q1_batch"},
        edit("q1", "distance.argmin(axis=1)", "distance.argmin() % distance.shape[1] * np.ones(len(r), dtype=int)"),
    ),
    Plant(
        "the farthest class", ALGORITHMS, {"q1_values", "q1_batch"}, edit("q1", "distance.argmin(", "distance.argmax(")
    ),
    Plant(
        "a class although none can be reached",
        ALGORITHMS,
        {"q1_unreachable"},
        edit(
            "q1",
            "return np.where(reachable, nearest, -1), np.where(reachable[:, None], chosen, 0)",
            "return nearest, chosen",
        ),
    ),
    Plant(
        "none can be reached only if it is so for the whole batch",
        ALGORITHMS,
        {"q1_unreachable"},
        edit("q1", "np.isfinite(distance.min(axis=1))", "np.full(len(r), np.isfinite(distance.min()))"),
    ),
    Plant(
        "the last of several that are as short",
        ALGORITHMS,
        {"q1_values"},
        edit("q1", "distance.argmin(axis=1)", "distance.shape[1] - 1 - distance[:, ::-1].argmin(axis=1)"),
    ),
    Plant(
        "rows of the logits for those of alpha",
        ALGORITHMS,
        {"q2_rows", "q2_batch"},
        edit("q2", "(softmax_rows @ parameters", "(np.eye(alpha.shape[1]) @ parameters"),
    ),
    Plant("rows without ReLU's derivative", ALGORITHMS, {"q2_rows", "q2_batch"}, edit("q2", " > 0", " > -9e9")),
    Plant(
        "rows for a batch of one",
        ALGORITHMS,
        {"q2_batch"},
        edit("q2", "active[:, None]", "active[:1, None]"),
    ),
    Plant("rows with ReLU'(0) = 1", ALGORITHMS, {"q2_rows"}, edit("q2", " > 0", " >= 0")),
    Plant(
        "rows by what is there for checking",
        ALGORITHMS,
        {"q2_alpha", "q2_rows", "q2_batch"},
        cells={"q2": "def rows(parameters, x):\n    return forward(parameters, x), numeric_T(parameters, x)"},
    ),
    Plant(
        "rows by central differences of one's own",
        ALGORITHMS,
        {"q2_rows"},
        cells={
            "q2": "def rows(parameters, x):\n    def f(x):\n        return forward(parameters, x)\n"
            "    shifts = 1e-5 * np.eye(x.shape[1])\n"
            "    return f(x), np.stack([(f(x + s) - f(x - s)) / 2e-5 for s in shifts], axis=-1)"
        },
    ),
    Plant(
        "minilwa's own rows",
        ALGORITHMS,
        {"q2_alpha", "q2_rows", "q2_batch"},
        cells={
            "q2": "from minilwa import jacobian_rows, ops\n"
            "def rows(p, x):\n"
            "    return jacobian_rows(lambda x: ops.softmax(ops.relu(x @ p['W1'] + p['b1']) @ p['W2'] + p['b2']), x)"
        },
    ),
    Plant(
        "Algorithm 1 as printed: j runs over all classes",
        ALGORITHMS,
        {"q3_itself"},
        edit("q3", "np.where(others, distance, np.inf).argmin", "distance.argmin"),
    ),
    Plant(
        "J taken for whatever has no length above 0, ties too",
        ALGORITHMS,
        {"q3_itself"},
        edit("q3", "np.where(others, distance", "np.where(distance > 0, distance"),
    ),
    Plant(
        "Algorithm 1 for a batch of one",
        ALGORITHMS,
        {"q3_batch"},
        edit("q3", "return nearest, r[np.arange(len(x)), nearest]", "return nearest[:1], r[:1, nearest[0]]"),
    ),
    Plant(
        "the signs of 3.1.1 as printed", ALGORITHMS, {"q4_l2", "q4_linf", "q4_l1"}, edit("q4", "return -", "return ")
    ),
    Plant(
        "3.1.1, L1, as printed: e_I without its sign, where T_y = 0 too",
        ALGORITHMS,
        {"q4_l1", "q4_zero"},
        edit("q4", "-np.sign(T_y) * (", "-1.0 * ("),
    ),
    Plant("0 / 0 where T_y = 0", ALGORITHMS, {"q4_zero"}, edit("q4", "np.where(total > 0, total, 1)", "total")),
    Plant(
        "0 / 0 where T_y = 0 in one row of several",
        ALGORITHMS,
        {"q4_zero"},
        edit("q4", "np.where(total > 0, total, 1)", "(total if T_y.any() else 1)"),
    ),
    Plant("0 / ||0|| in Algorithm 2", ALGORITHMS, {"q5_zero"}, edit("q5", "np.where(total > 0, total, 1)", "total")),
    Plant(
        "one length for the whole batch",
        ALGORITHMS,
        {"q5_values"},
        edit("q5", "length(r)[:, None]", "np.linalg.norm(r)"),
    ),
    Plant(
        "the radius in the largest component",
        ALGORITHMS,
        {"q5_values", "q5_zero"},
        edit("q5", "length(r)[:, None]", "np.abs(r).max(axis=1, keepdims=True)"),
    ),
    Plant(
        "learns from the clean samples",
        ALGORITHMS,
        {"q6_adversary", "q6_batches"},
        edit("q6", "perturb(parameters, x, y), y)", "x, y)"),
    ),
    Plant(
        "the adversary of the initial network",
        ALGORITHMS,
        {"q6_batches"},
        {
            "q6": (
                "    for x, y in batches:\n        slope = gradient(parameters, perturb(parameters,",
                "    first = parameters\n    for x, y in batches:\n        slope = gradient(parameters, perturb(first,",
            )
        },
    ),
    Plant(
        "learns uphill",
        ALGORITHMS,
        {"q6_plain", "q6_adversary", "q6_batches"},
        edit("q6", "value - rate", "value + rate"),
    ),
    # --- 4: gradient masking -----------------------------------------------------------------------------------------
    Plant(
        "the gradient without the scale",
        MASKING,
        {"q1_gradient"},
        edit("q1", 'return parameters["scale"] * ', "return 1 * "),
    ),
    Plant(
        "the gradient by what is there for checking",
        MASKING,
        {"q1_gradient"},
        edit("q1", "    active = ", "    return numeric_gradient(parameters, x, y, range(784))\n    active = "),
    ),
    Plant(
        "zeros counted by their sum",
        MASKING,
        {"q1_count"},
        edit("q1", "(gradients == 0).all(axis=1).sum()", "(gradients.sum(axis=1) == 0).sum()"),
    ),
    Plant("small taken for zero", MASKING, {"q1_count"}, edit("q1", "gradients == 0", "abs(gradients) < 1e-12")),
    Plant(
        "outside the ball",
        MASKING,
        {"q2_sold", "q2_other"},
        edit("q2", "moved(x, r, radius)", "moved(x, r, 1.01 * radius)"),
    ),
    Plant("up where down is meant", MASKING, {"q2_sold", "q2_other"}, edit("q2", "moved(x, r,", "moved(x, -r,")),
    Plant(
        "attacks along the gradient that is not there",
        MASKING,
        {"q2_sold", "q2_other"},
        edit("q2", "moved(x, r, radius)", "moved(x, -printed_gradient(parameters, x, y), radius)"),
    ),
    Plant(
        "attacks the network sold, whichever it is given",
        MASKING,
        {"q2_other"},
        edit("q2", "z = logits(parameters, x)", "parameters = SOLD\n    z = logits(parameters, x)"),
    ),
    Plant(
        "perturbations found once and stored",
        MASKING,
        {"q2_sold", "q2_other"},
        cells={"q2": STORED},
    ),
    Plant(
        "noise by proxy",
        MASKING,
        {"q3_sold", "q3_other"},
        cells={
            "q3": "def transfer_attack(another, x, y, radius):\n"
            "    return moved(x, np.random.default_rng(0).normal(size=x.shape), radius)"
        },
    ),
    Plant(
        "attacks the first image only",
        MASKING,
        {"q3_sold", "q3_other"},
        edit("q3", "return moved(x, (", "return moved(x, np.eye(len(x), 1, dtype=FLOAT) * ("),
    ),
    Plant(
        "asks too much",
        MASKING,
        {"q4_sold", "q4_other"},
        edit("q4", "for k in range(CLASSES):", "for k in [*range(CLASSES)] * 3:"),
    ),
    Plant("returns no numbers", MASKING, {"q4_sold", "q4_other"}, edit("q4", "return best", "return best * np.nan")),
    Plant("any difference is a sign", MASKING, {"q5_masked", "q5_honest"}, edit("q5", " - 0.05", "")),
    Plant(
        "signs in another order",
        MASKING,
        {"q5_masked"},
        edit("q5", "for text, holds in held.items()", "for text, holds in sorted(held.items())"),
    ),
]
