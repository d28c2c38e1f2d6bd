"""Keeps pytest, which imports modules to find doctests, from ever running a hostile notebook."""

collect_ignore_glob = ["*"]
