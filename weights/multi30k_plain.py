"""German to English without attention: writes nlp_course/weights/multi30k_plain.safetensors.

    python weights/multi30k_plain.py

All as for multi30k_attention.py; the states are a little longer, to make up for the parameters
that attention has.
"""

from __future__ import annotations

from multi30k_attention import make

if __name__ == "__main__":
    make(__file__, dimension=64, hidden=208, attention=None, tied=True)
