#!/usr/bin/env bash
# The peers that do not come with the course: programs to a folder, packages to environments in it.
# Needs git, a C++ compiler, CMake and Boost: apt-get install git g++ make cmake libboost-all-dev
set -euo pipefail
peers=$(realpath -m "${PEERS:-_build/peers}")
cd "$(dirname "$0")/.."

# NAME at a COMMIT of a repository of GitHub; what is there already stays.
checkout() {
  [ -d "$peers/$1/.git" ] || git clone --quiet "https://github.com/$2" "$peers/$1"
  git -C "$peers/$1" checkout --quiet "$3"
}

mkdir -p "$peers"
checkout nanoGPT karpathy/nanoGPT 3adf61e154c3fe3fca428ad6bc3818b27a3b8291
checkout GloVe stanfordnlp/GloVe 52f7dbc512be3f72e9c11e7cbb19dfdfa4651e9c
checkout kenlm kpu/kenlm 4cb443e60b7bf2c0ddf3c745378f76cb59e254e5
make --silent -C "$peers/GloVe"
cmake -S "$peers/kenlm" -B "$peers/kenlm/build" -DCMAKE_BUILD_TYPE=Release > "$peers/kenlm.log" 2>&1
cmake --build "$peers/kenlm/build" --target lmplz --parallel 2 >> "$peers/kenlm.log" 2>&1

# An environment with the course in it and some packages. Otter has its own, so that the notebooks
# that it runs import no more than those that the course runs.
environment() {
  "${PYTHON:-python3}" -m venv "$peers/$1"
  "$peers/$1/bin/python" -m pip install --disable-pip-version-check -q -r requirements.txt "${@:2}"
  "$peers/$1/bin/python" -m pip install --disable-pip-version-check -q --no-deps -e .
}

environment libraries kenlm==0.3.0 tiktoken==0.14.0 trl==1.16.0
environment otter otter-grader==5.7.1 "setuptools<81" # of which Otter needs pkg_resources
