"""`python -m sojourn_serving.server MODEL_DIR`: the verb `serve` without the CLI around it, for containers."""

from sojourn_serving.cli.serve import serve

if __name__ == "__main__":
    serve(prog_name="python -m sojourn_serving.server")
