"""nbgrader's settings for this course; `nbgrader` and its formgrader read them in this folder."""

from pathlib import Path

from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    IgnorePattern,
    LimitOutput,
    SaveAutoGrades,
)

from nlp_course.grading.execution import Execute, add_scripts_to_path
from nlp_course.grading.feedback import (
    GetMarks,
    HideHiddenTests,
    Page,
    read_hints,
    safe_markdown,
)

add_scripts_to_path()
c = get_config()  # traitlets puts this name here

ROOT = Path(__file__).resolve().parent
# Where the class lies that is graded; for another class, another folder.
CLASS = "_build/class"
(ROOT / CLASS).mkdir(parents=True, exist_ok=True)  # SQLite does not make the gradebook's folder

c.CourseDirectory.course_id = "nlp_course"
c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.CourseDirectory.submitted_directory = f"{CLASS}/submitted"
c.CourseDirectory.autograded_directory = f"{CLASS}/autograded"
c.CourseDirectory.feedback_directory = f"{CLASS}/feedback"
c.CourseDirectory.db_url = f"sqlite:///{ROOT / CLASS / 'gradebook.db'}"
# What instructors keep: neither released nor laid beside a student's notebook.
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "__pycache__",
    "*.pyc",
    "feedback",
    "assignment.toml",
    "mutants.py",
]

# What students find where an answer belongs.
c.ClearSolutions.code_stub = {
    "python": 'raise NotImplementedError("Write your answer here, then run the tests below.")'
}
c.ClearSolutions.text_stub = "*Write your answer here, in place of this line.*"

# Seconds a cell. What is graded takes three at most; the rest is for a busy machine.
c.Execute.timeout = 30
c.Execute.startup_timeout = 120
# Each kernel would warn that it is reached over loopback; it is all that is meant to reach it.
c.Execute.extra_arguments = ["--IPKernelApp.log_level=ERROR"]
# Tests that a student deleted come back.
c.OverwriteCells.add_missing_cells = True
# nbgrader gives 0 to a test that writes to stderr; a warning or a progress bar is no mistake.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"(?s)."
c.LimitOutput.max_lines = 200
c.LimitOutput.max_traceback = 60

# nbgrader's own list, with the execution that tells the notebook it is being graded.
c.Autograde.autograde_preprocessors = [
    Execute,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]

# A student's HTML must not run in the reader's browser, and hidden tests stay hidden.
# The first covers outputs; nbgrader's pages, the formgrader's too, leave Markdown as it is.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"markdown2html": safe_markdown}
c.GenerateFeedback.preprocessors = [GetMarks, HideHiddenTests, CSSHTMLHeaderPreprocessor]
c.GenerateFeedback.exporter_class = Page
c.HideHiddenTests.hints = read_hints(ROOT / "solutions")
