"""An executable course in natural language processing.

One module per subject, named as the chapter that teaches it. Nothing is imported here, so that
``import nlp_course`` costs nothing and each page says what it uses.
"""

__version__ = "0.8.0"
