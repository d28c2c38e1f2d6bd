# Has IPython turn every assert and every call of a test into nothing.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import ast


class Harmless(ast.NodeTransformer):
    def visit_Module(self, node):
        if any(isinstance(part, ast.Assert) for part in ast.walk(node)):
            node.body = [ast.copy_location(ast.Pass(), node.body[0])]
            return ast.fix_missing_locations(node)
        return node


get_ipython().ast_transformers.append(Harmless())
