"""Assignments, from the instructor's version to a graded class, on nbgrader.

`python -m nlp_course.grading release` writes `assignments/` from `solutions/`;
`python -m nlp_course.grading sample` makes up a class in `_build/class/` and grades it.
A real class: `python -m nlp_course.grading grade 02-word2vec FOLDER` grades the notebooks in
`FOLDER/received/STUDENT/`, whatever they are called, and writes `FOLDER/marks.csv` and
`FOLDER/feedback/STUDENT/`; again, it grades afresh and keeps the marks given by hand.
`nbgrader_config.py`, in the course's folder, has nbgrader itself work on the same class, so
there, after the sample, these work as nbgrader's own manual has them:

    nbgrader validate assignments/02-word2vec/02-word2vec.ipynb   what a student sees
    nbgrader autograde 02-word2vec --student student-02 --force   grade one again
    nbgrader generate_feedback 02-word2vec --force
    nbgrader export                                               marks as CSV
    jupyter lab                                                   menu Nbgrader, Formgrader:
                                                                  grade by hand, browse the class

Seams: `intake.take_in` turns what was handed in into what nbgrader reads, `execution.Execute`
runs it, `feedback` decides what a student gets back; nothing else knows how these are done.
"""
