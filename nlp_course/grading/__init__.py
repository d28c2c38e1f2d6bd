"""Assignments, from the instructor's version to a graded class, on nbgrader.

    nlp-course release                      solutions/ → assignments/, without what answers
    nlp-course collect 02-word2vec FILE     what a platform gave out → received/ and submitted/
    nlp-course grade 02-word2vec            marks into the gradebook, and the class's reports
    nlp-course feedback 02-word2vec         a page a student, and an archive for the platform
    nlp-course export 02-word2vec           marks as the platform imports them
    nlp-course check 02-word2vec            an author's check of an assignment
    nlp-course sample                       a made-up class, graded

`nbgrader_config.py`, in the course's folder, has nbgrader itself work on the same class in the
same way: `nbgrader autograde`, its formgrader in JupyterLab, `nbgrader export`.

What happens to a submission: `intake` finds whose it is and which assignment it answers, and
`rebuild` puts its answers into the release. `run` hands it to an `engine`, which starts a
`referee` and a student's process in the `sandbox`. The student's `agent` runs the notebook's
cells; the referee runs the tests on handles from `remote`, and only plain data, by `wire`, passes
between the two. `execute` puts what came of it into nbgrader's gradebook; `classbook`, `report`,
`class_page`, `feedback` and `returns` say it to people.
"""
