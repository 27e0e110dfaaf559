"""Mistakes that are common in this field: each operator finds the places for one and makes it."""

import ast
from collections.abc import Callable, Iterator

from _mutation_source import Module, is_sequence

Replacement = tuple[ast.AST, str]


def _binary(*kinds: type) -> Callable:
    def select(nodes: list[ast.AST], module: Module) -> Iterator[ast.BinOp]:
        for node in nodes:
            if isinstance(node, ast.BinOp) and isinstance(node.op, kinds):
                sides = (node.left, node.right)
                if not any(is_sequence(side, module) for side in sides):
                    yield node

    return select


def sign(_f: ast.FunctionDef, nodes: list[ast.AST], module: Module) -> Iterator[Replacement]:
    for node in _binary(ast.Add, ast.Sub)(nodes, module):
        other = "-" if isinstance(node.op, ast.Add) else "+"
        yield node, f"(({module.text(node.left)}) {other} ({module.text(node.right)}))"
    for node in nodes:
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        operand = getattr(node, "operand", None) if negative else None
        if operand is not None and type(getattr(operand, "value", None)) is not int:
            yield node, f"({module.text(operand)})"


def factor(_f: ast.FunctionDef, nodes: list[ast.AST], module: Module) -> Iterator[Replacement]:
    for node in nodes:
        if isinstance(node, ast.Constant) and type(node.value) is float:
            yield node, repr(2 * node.value if node.value else 1.0)
    for node in _binary(ast.Mult, ast.Div, ast.Pow)(nodes, module):
        for side in (node.left, node.right):
            if isinstance(side, ast.Constant) and type(side.value) is int and side.value > 1:
                yield side, str(side.value + 1)
    for node in nodes:
        function = node.func if isinstance(node, ast.Call) else None
        if isinstance(function, ast.Attribute) and function.attr in ("sum", "mean"):
            other = "mean" if function.attr == "sum" else "sum"
            yield function, f"{module.text(function.value)}.{other}"


def dropped_term(
    _f: ast.FunctionDef, nodes: list[ast.AST], module: Module
) -> Iterator[Replacement]:
    for node in _binary(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)(nodes, module):
        yield node, f"({module.text(node.left)})"
        if isinstance(node.op, ast.Mult | ast.Add):
            yield node, f"({module.text(node.right)})"
    for node in nodes:
        if isinstance(node, ast.Call) and node.args and module.text(node.func) in _DROPPED:
            yield node, f"({module.text(node.args[0])})"


_DROPPED = {
    f"{room}.{name}"
    for room in ("jnp", "np", "math")
    for name in ("sqrt", "exp", "log", "abs", "square", "clip", "expm1", "log1p", "cumsum", "sort")
} | {"jax.nn.softmax", "jax.nn.log_softmax", "jax.nn.softplus", "jnp.linalg.norm", "abs", "sorted"}


def swapped_arguments(
    _f: ast.FunctionDef, nodes: list[ast.AST], module: Module
) -> Iterator[Replacement]:
    for node in _binary(ast.Div, ast.Sub, ast.Pow)(nodes, module):
        op = {ast.Div: "/", ast.Sub: "-", ast.Pow: "**"}[type(node.op)]
        yield node, f"(({module.text(node.right)}) {op} ({module.text(node.left)}))"
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        name = module.text(node.func)
        room, last = name[: -len(name.split(".")[-1])], name.split(".")[-1]
        if last in _OPPOSITE:
            yield node.func, room + _OPPOSITE[last]
        first = 1 if last == "where" and len(node.args) == 3 else 0
        pair = node.args[first : first + 2]
        literal = any(isinstance(one, _LITERAL) for one in pair)
        if len(pair) == 2 and not literal and last not in _OTHER_KINDS:
            texts = [module.text(one) for one in node.args]
            texts[first], texts[first + 1] = texts[first + 1], texts[first]
            texts += [module.text(keyword) for keyword in node.keywords]
            yield node, f"{name}({', '.join(texts)})"


_LITERAL = ast.Lambda | ast.Constant | ast.Starred | ast.GeneratorExp | ast.List
_OPPOSITE = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min"}
# arguments of different kinds, or alike: swapped, they fail at once or change nothing
_OTHER_KINDS = {
    *("isinstance", "hasattr", "getattr", "setattr", "zip", "range", "map", "filter", "scan"),
    *("minimum", "maximum", "min", "max", "logaddexp", "vdot", "reshape", "broadcast_to", "slice"),
    *(
        "for_each",
        "energies",
        "partition",
        "tree_at",
        "GroupNorm",
        "astype",
        "full",
        "wrap_key_data",
    ),
}


def comparison(_f: ast.FunctionDef, nodes: list[ast.AST], module: Module) -> Iterator[Replacement]:
    for node in nodes:
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            other = _TURNED.get(type(node.ops[0]))
            if other:
                left, right = module.text(node.left), module.text(node.comparators[0])
                yield node, f"(({left}) {other} ({right}))"
        elif isinstance(node, ast.BoolOp):
            word = " or " if isinstance(node.op, ast.And) else " and "
            yield node, f"({word.join(f'({module.text(v)})' for v in node.values)})"
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
            yield node, f"({module.text(node.operand)})"
        elif isinstance(node, ast.If):
            yield node.test, f"not ({module.text(node.test)})"
        elif isinstance(node, ast.IfExp):
            body, orelse = module.text(node.body), module.text(node.orelse)
            yield node, f"(({orelse}) if {module.text(node.test)} else ({body}))"
    for node in _binary(ast.BitAnd, ast.BitOr)(nodes, module):
        other = "|" if isinstance(node.op, ast.BitAnd) else "&"
        yield node, f"(({module.text(node.left)}) {other} ({module.text(node.right)}))"


_TURNED = {
    **{ast.Lt: ">", ast.Gt: "<", ast.LtE: ">=", ast.GtE: "<=", ast.Eq: "!=", ast.NotEq: "=="},
    **{ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in"},
}


def off_by_one(_f: ast.FunctionDef, nodes: list[ast.AST], module: Module) -> Iterator[Replacement]:
    places: list[ast.AST] = []
    for node in nodes:
        if isinstance(node, ast.Subscript):
            places += ast.walk(node.slice)
        elif isinstance(node, ast.Call) and module.text(node.func) in _COUNTING:
            places += node.args
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mod):
            places += [node.left, node.right]
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            places += [node.left, node.comparators[0]]
    for node in places:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            yield node, str(node.value + 1)


_COUNTING = {"range", "jnp.arange", "np.arange", "jax.lax.fori_loop", "jnp.zeros", "jnp.ones"}


def stale_value(
    function: ast.FunctionDef, nodes: list[ast.AST], module: Module
) -> Iterator[Replacement]:
    bound = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    made_of: dict[str, str] = {}
    for node in nodes:
        if not isinstance(node, ast.Assign):
            continue
        loads = [n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)]
        for target in node.targets:
            if isinstance(target, ast.Name):
                if target.id in bound and target.id in loads:
                    yield node.value, target.id
                elif _older(node.value, bound):
                    made_of[target.id] = _older(node.value, bound)
                bound.add(target.id)
    for node in nodes:
        places = [node.value] if isinstance(node, ast.Return) and node.value else []
        if isinstance(node, ast.Call):
            places = [*node.args, *(keyword.value for keyword in node.keywords)]
        for place in places:
            elements = place.elts if isinstance(place, ast.Tuple) else [place]
            for one in elements:
                if isinstance(one, ast.Name) and one.id in made_of:
                    yield one, made_of[one.id]


def _older(value: ast.AST, bound: set[str]) -> str:
    """The variable that a value is made of, if its text begins with one: `f(x, ...)`, `x + 1`."""
    while True:
        if isinstance(value, ast.Name):
            return value.id if value.id in bound and "key" not in value.id else ""
        if isinstance(value, ast.Call):
            if value.args:
                value = value.args[0]
            elif isinstance(value.func, ast.Attribute):
                value = value.func.value
            else:
                return ""
        elif isinstance(value, ast.BinOp):
            value = value.left
        elif isinstance(value, ast.Subscript):
            value = value.value
        else:
            return ""


def key_used_twice(
    _f: ast.FunctionDef, nodes: list[ast.AST], module: Module
) -> Iterator[Replacement]:
    siblings: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and "random.split" in module.text(node.value):
            target = node.targets[0]
            if isinstance(target, ast.Tuple):
                names = [one.id for one in target.elts if isinstance(one, ast.Name)]
                siblings |= dict(zip(names, names[1:] + names[:1], strict=True))
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in siblings:
            yield node, siblings[node.id]
        if isinstance(node, ast.Call) and len(node.args) == 2:
            name, first, second = module.text(node.func), *map(module.text, node.args)
            if name == "jax.random.fold_in":
                yield node, f"({first})"
            if name == "jax.random.split" and "jnp" in module.source:
                shape = f"({second}) if isinstance(({second}), tuple) else (({second}),)"
                yield node, f"jnp.broadcast_to({first}, {shape})"


def gradient_not_stopped(
    _f: ast.FunctionDef, nodes: list[ast.AST], module: Module
) -> Iterator[Replacement]:
    for node in nodes:
        if isinstance(node, ast.Call) and module.text(node.func).endswith("stop_gradient"):
            yield node, f"({module.text(node.args[0])})"


def wrong_axis(_f: ast.FunctionDef, nodes: list[ast.AST], module: Module) -> Iterator[Replacement]:
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        places = [
            k.value for k in node.keywords if k.arg in ("axis", "axes", "in_axes", "out_axes")
        ]
        name = module.text(node.func)
        reduces = name.split(".")[-1] in _REDUCING
        method = not name.startswith(("jnp", "np", "jax"))
        if reduces and len(node.args) > (not method):
            places.append(node.args[int(not method)])
        for place in places:
            axis = module.text(place)
            if axis in ("0", "1", "2", "-1", "-2"):
                yield place, {"0": "-1", "1": "0", "2": "1", "-1": "0", "-2": "-1"}[axis]


_REDUCING = {
    *("sum", "mean", "max", "min", "argmin", "argmax", "argsort", "sort", "cumsum", "var", "std"),
    *("concatenate", "stack", "logsumexp", "softmax", "log_softmax", "any", "all", "prod", "flip"),
    *("diff", "moveaxis", "swapaxes", "repeat", "quantile", "median"),
}


def not_stored(
    function: ast.FunctionDef, nodes: list[ast.AST], module: Module
) -> Iterator[Replacement]:
    bound = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple):
                    names = [one for one in target.elts if isinstance(one, ast.Name)]
                    for one in names:
                        if one.id in bound and one.id != "_":
                            yield one, "_not_stored"
                    bound |= {one.id for one in names}
                elif isinstance(target, ast.Name):
                    bound.add(target.id)
                elif isinstance(target, ast.Subscript | ast.Attribute):
                    yield node.targets[0], "_not_stored"
        if not isinstance(node, ast.Call):
            continue
        name = module.text(node.func)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("set", "add", "_replace"):
            base = node.func.value
            if isinstance(base, ast.Subscript) and isinstance(base.value, ast.Attribute):
                base = base.value.value
            yield node, f"({module.text(base)})"
        elif name.endswith("tree_at") and len(node.args) > 1:
            yield node, f"({module.text(node.args[1])})"
        elif name == "dataclasses.replace":
            yield node, f"({module.text(node.args[0])})"


OPERATORS: dict[str, Callable] = {
    **{"sign": sign, "factor": factor, "dropped term": dropped_term},
    **{"swapped arguments": swapped_arguments, "comparison": comparison},
    **{"off by one": off_by_one, "stale value": stale_value, "key used twice": key_used_twice},
    **{"gradient not stopped": gradient_not_stopped, "wrong axis": wrong_axis},
    **{"not stored": not_stored},
}
