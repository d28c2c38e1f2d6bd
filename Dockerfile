# The course as continuous integration sets it up (.ci/run), to grade where Linux is not at hand:
#   docker build -t nlp-course .
#   docker run --rm -v "$PWD:/course" nlp-course sample 02-word2vec
# book/instructors/sandbox.md says what keeps notebooks apart in a container.
FROM python:3.11-bookworm

# The packages of .ci/machine: bubblewrap for the grading sandbox; the others serve the tests.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        chromium bubblewrap postgresql fonts-dejavu-core fonts-noto-core \
    && rm -rf /var/lib/apt/lists/*

# Not in /course: the folder that is mounted there hides what the image has in it.
WORKDIR /opt/nlp_course
# First what the installation rests on: it takes minutes, and its layer is kept while only pages change.
COPY requirements.txt pyproject.toml Makefile README.md LICENSE ./
COPY nlp_course nlp_course
RUN make .venv/.installed
COPY . .
ENV PATH="/opt/nlp_course/.venv/bin:$PATH"

WORKDIR /course
ENTRYPOINT ["nlp-course"]
CMD ["--help"]
