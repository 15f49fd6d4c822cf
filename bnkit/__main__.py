"""``python -m bnkit`` is the command ``bnkit``."""

from bnkit.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    raise SystemExit(main())
