"""nbgrader's settings for this course; `nbgrader` and its formgrader read them in this folder."""

from pathlib import Path

from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor, TagRemovePreprocessor
from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearOutput, DeduplicateIds, OverwriteKernelspec

from nlp_course.grading.course import add_scripts_to_path
from nlp_course.grading.execute import Execute
from nlp_course.grading.feedback import (
    GetMarks,
    HideHiddenTests,
    Page,
    read_hints,
    safe_html,
    safe_markdown,
)
from nlp_course.grading.late import AssignPenalties
from nlp_course.grading.record import RestoreCells, SaveMarks
from nlp_course.grading.settings import read_settings
from nlp_course.grading.student_cells import NOT_RETURNED, AddStudentCells

add_scripts_to_path()
c = get_config()  # traitlets puts this name here

ROOT = Path(__file__).resolve().parent
settings = read_settings(ROOT)
CLASS = settings.class_folder
CLASS.mkdir(parents=True, exist_ok=True)  # SQLite does not make the gradebook's folder

c.CourseDirectory.course_id = settings.course_id
c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.CourseDirectory.submitted_directory = str(CLASS / "submitted")
c.CourseDirectory.autograded_directory = str(CLASS / "autograded")
c.CourseDirectory.feedback_directory = str(CLASS / "feedback")
c.CourseDirectory.db_url = settings.db_url
# What instructors keep: neither released nor laid beside a student's notebook.
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "__pycache__",
    "*.pyc",
    "feedback",
    "assignment.toml",
    "mutants.py",
]

# The cells that each notebook for students has, beside the author's: set-up, self-check, hand-in.
STEPS = GenerateAssignment.class_traits()["preprocessors"].default()
c.GenerateAssignment.preprocessors = [AddStudentCells, *STEPS]
c.AddStudentCells.course = str(ROOT)

# What students find where an answer belongs.
c.ClearSolutions.code_stub = {
    "python": 'raise NotImplementedError("Write your answer here, then run the tests below.")'
}
c.ClearSolutions.text_stub = "*Write your answer here, in place of this line.*"

# Students' cells run in a sandbox, tests outside it; see nlp_course/grading/execute.py.
c.Execute.solutions = str(ROOT / "solutions")
c.Execute.ignore = c.CourseDirectory.ignore
c.Execute.results = str(CLASS / "results")
c.Execute.secret = str(settings.secret)
c.Execute.cell_timeout = 30  # seconds; what is graded takes three at most
c.Execute.notebook_timeout = 300
c.Execute.gpu = False
c.Execute.trusting = False  # refuse where there is no sandbox
# nbgrader puts a missing test back with a line of its own before it, so that it is no longer the
# instructor's to the letter. Intake puts it back whole; what comes without intake is refused.
c.RestoreCells.add_missing_cells = False
c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    DeduplicateIds,
    OverwriteKernelspec,
    RestoreCells,
]
c.Autograde.autograde_preprocessors = [Execute, SaveMarks, AssignPenalties]
c.LatePenalty.course = str(ROOT)

# A student's HTML must not run in the reader's browser, and hidden tests stay hidden.
# The first covers outputs; nbgrader's pages, the formgrader's too, leave Markdown as it is, and
# nbconvert's own filter leaves ids and classes in raw cells.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"markdown2html": safe_markdown, "clean_html": safe_html}
c.GenerateFeedback.preprocessors = [
    GetMarks,
    HideHiddenTests,
    TagRemovePreprocessor,
    CSSHTMLHeaderPreprocessor,
]
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_cell_tags = {NOT_RETURNED}
c.GenerateFeedback.exporter_class = Page
c.HideHiddenTests.hints = read_hints(ROOT / "solutions")
