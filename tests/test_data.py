"""The data layer: where a file is looked for, how it is checked, and what is said when it fails."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import os
import subprocess
import sys
import threading
import urllib.request
import zipfile
from pathlib import Path

import pytest

from nlp_course import data
from nlp_course.data import download, nltk_readers, readers, registry
from nlp_course.data.dataset import Split

CONTENT = b"ada\ngrace\n"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
REAL = [name for name in data.names() if name not in ("world", "text8")]


class Server:
    """Serves `files` on this machine, and counts what was asked of it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                body = outer.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, no mirror, no data of NLTK's, no waiting between attempts."""
    import nltk

    folder = tmp_path / "cache"
    monkeypatch.setattr(download, "cache_folder", lambda: folder)
    monkeypatch.setattr(download, "RETRIES", 0)
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("NLP_COURSE_DATA", "NLP_COURSE_GRADING"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture
def register(monkeypatch):
    """Replaces the registry by one in which `names` has the given address (and hash)."""

    def replace(
        *urls: str,
        hash: str = SHA256,
        name: str = "names",
        more: str = "",
        optional: bool = False,
    ) -> None:
        known = registry.parse(
            f"[{name}]\ntitle='T'\nkind='K'\nsize='S'\nlicence='L'\nsource='O'\ncitation='C'\n{more}\n"
            f"[[{name}.files]]\nname='names.txt'\nhash='{hash}'\nbytes=10\nurls={list(urls)}\n"
            f"optional={str(optional).lower()}\n"
            "[world]\ntitle='W'\nkind='K'\nsize='S'\nlicence='L'\nsource='O'\ncitation='C'\n"
        )
        monkeypatch.setattr(registry, "all_datasets", lambda: known)

    return replace


@pytest.fixture
def unreachable(server) -> str:
    """An address at which nothing answers."""
    server.http.server_close()
    return f"{server.url}/names.txt"


# Where a file comes from


def test_first_load_downloads_and_second_reads_the_cache(cache, server, register):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")
    assert not data.available("names")
    assert data.load("names").records == ["ada", "grace"]
    assert data.available("names")
    assert data.load("names").records == ["ada", "grace"]
    assert server.requests == ["/names.txt"]
    assert [path.name for path in cache.iterdir()] == ["names.txt"]


def test_mirror_is_read_before_the_cache_and_nothing_is_written(
    cache, unreachable, register, tmp_path, monkeypatch
):
    register(unreachable)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "names.txt").write_bytes(CONTENT)
    monkeypatch.setenv("NLP_COURSE_DATA", str(mirror))
    assert data.load("names").records == ["ada", "grace"]
    assert not cache.exists()


def test_file_absent_from_the_mirror_is_downloaded(cache, server, register, tmp_path, monkeypatch):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")
    monkeypatch.setenv("NLP_COURSE_DATA", str(tmp_path))
    assert data.load("names").records == ["ada", "grace"]
    assert (cache / "names.txt").read_bytes() == CONTENT


def test_second_address_is_tried_when_the_first_has_nothing(cache, server, register):
    server.files["/good"] = CONTENT
    register(f"{server.url}/absent", f"{server.url}/good")
    assert data.load("names").records == ["ada", "grace"]
    assert server.requests == ["/absent", "/good"]


def test_failed_attempt_is_repeated(cache, server, register, monkeypatch):
    monkeypatch.setattr(download, "RETRIES", 1)
    register(f"{server.url}/absent")
    with pytest.raises(data.DownloadError, match="404"):
        data.load("names")
    assert server.requests == ["/absent", "/absent"]


def test_sha1_is_checked_where_the_publisher_gives_only_that(cache, server, register):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt", hash=f"sha1:{hashlib.sha1(CONTENT).hexdigest()}")
    assert data.load("names").records == ["ada", "grace"]


def test_damaged_cached_file_is_downloaded_again(cache, server, register):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")
    cache.mkdir()
    (cache / "names.txt").write_bytes(b"damaged")
    assert not data.available("names")
    assert data.load("names").records == ["ada", "grace"]


def test_optional_file_is_left_out_with_a_notice(cache, unreachable, register, capsys):
    register(unreachable, name="wikitext2", more="", optional=True)
    assert data.load("wikitext2").splits == {}
    assert (
        "comes without its split all: names.txt is not on this machine" in capsys.readouterr().out
    )
    assert data.available("wikitext2")


def test_fetch_downloads_without_reading(cache, server, register):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")
    data.fetch("names")
    assert (cache / "names.txt").read_bytes() == CONTENT
    assert data.missing("names") == []


# What can go wrong


def test_corrupt_download_names_the_file_both_hashes_and_keeps_nothing(cache, server, register):
    server.files["/names.txt"] = b"something else"
    register(f"{server.url}/names.txt")
    with pytest.raises(data.ChecksumError, match="nothing was kept") as raised:
        data.load("names")
    message = str(raised.value)
    assert "names.txt" in message
    assert SHA256.removeprefix("sha256:") in message
    assert hashlib.sha256(b"something else").hexdigest() in message
    assert list(cache.iterdir()) == []


def test_wrong_file_in_the_mirror_is_an_error_and_not_skipped(
    cache, server, register, tmp_path, monkeypatch
):
    register(f"{server.url}/names.txt")
    (tmp_path / "names.txt").write_bytes(b"something else")
    monkeypatch.setenv("NLP_COURSE_DATA", str(tmp_path))
    with pytest.raises(data.ChecksumError, match=r"expected sha256:.*found sha256:"):
        data.load("names")
    assert server.requests == []


def test_mirror_that_is_no_folder_is_named(cache, register, tmp_path, monkeypatch):
    register("http://127.0.0.1:1/names.txt")
    monkeypatch.setenv("NLP_COURSE_DATA", str(tmp_path / "absent"))
    with pytest.raises(data.DataError, match=r"NLP_COURSE_DATA names .*absent, which is no folder"):
        data.load("names")


def test_cache_that_cannot_be_made_names_the_folder_and_a_way_out(
    cache, server, register, monkeypatch
):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")
    # A file where the folder should be stops even a user who may write everywhere.
    cache.write_text("")
    with pytest.raises(data.CacheError, match=r"cannot be written .*NLP_COURSE_DATA") as raised:
        data.load("names")
    assert str(cache) in str(raised.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_cache_folder_is_named(cache, server, register):
    register(f"{server.url}/names.txt")
    cache.mkdir(mode=0o500)
    with pytest.raises(data.CacheError, match="Permission denied"):
        data.load("names")


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EROFS, "Read-only file system"), (errno.ENOSPC, "No space left on device")],
)
def test_read_only_or_full_disk_names_the_folder(
    cache, server, register, monkeypatch, number, says
):
    register(f"{server.url}/names.txt")

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(data.CacheError, match=says) as raised:
        data.load("names")
    assert str(cache) in str(raised.value)


def test_disk_that_fills_while_downloading_leaves_nothing(cache, server, register, monkeypatch):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pooch.core.shutil.move", full)
    with pytest.raises(data.CacheError, match="No space left"):
        data.load("names")
    assert list(cache.iterdir()) == []


def test_no_network_says_three_ways_out(cache, unreachable, register):
    register(unreachable, name="tinyshakespeare", more="fallback=true")
    with pytest.raises(data.OfflineError) as raised:
        data.load("tinyshakespeare")
    message = str(raised.value)
    assert "connect to the network" in message
    assert "put its files (names.txt) into a folder that NLP_COURSE_DATA names" in message
    assert 'ask for it with fallback="world"' in message


def test_nothing_is_downloaded_while_grading(cache, server, register, monkeypatch):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")
    monkeypatch.setenv("NLP_COURSE_GRADING", "1")
    with pytest.raises(data.OfflineError, match="nlp-course data fetch names"):
        data.load("names")
    assert server.requests == []
    assert not cache.exists()


def test_unknown_name_lists_near_names():
    with pytest.raises(data.UnknownDatasetError, match="'browm': did you mean brown"):
        data.load("browm")
    with pytest.raises(data.UnknownDatasetError, match="there are world, brown"):
        data.describe("zzzzzz")


# The generated language in place of a set


def test_fallback_is_taken_only_when_asked_and_says_so(cache, unreachable, register, capsys):
    register(unreachable, name="tinyshakespeare", more="fallback=true")
    with pytest.raises(data.OfflineError):
        data.load("tinyshakespeare")
    assert capsys.readouterr().out == ""
    assert data.load("tinyshakespeare", fallback="world").name == "world"
    notice = capsys.readouterr().out
    assert "tinyshakespeare is not on this machine" in notice
    assert "generated language" in notice


def test_fallback_is_not_used_when_the_set_is_there(cache, server, register, capsys):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")
    assert data.load("names", fallback="world").name == "names"
    assert capsys.readouterr().out == ""


def test_fallback_does_not_hide_a_corrupt_file(cache, server, register):
    server.files["/names.txt"] = b"something else"
    register(f"{server.url}/names.txt", name="tinyshakespeare", more="fallback=true")
    with pytest.raises(data.ChecksumError):
        data.load("tinyshakespeare", fallback="world")


def test_set_without_counterpart_in_the_generated_language_has_no_fallback(
    cache, unreachable, register
):
    register(unreachable)
    with pytest.raises(data.OfflineError, match="generated language has nothing like names"):
        data.load("names", fallback="world")


def test_fallback_other_than_world_is_refused():
    with pytest.raises(ValueError, match='fallback must be "world" or None'):
        data.load("brown", fallback="text8")


# NLTK's downloader


def nltk_index(url: str, package: bytes, checksum: str | None = None) -> bytes:
    md5 = checksum or hashlib.md5(package).hexdigest()
    sha = hashlib.sha256(package).hexdigest() if checksum is None else "0" * 64
    return (
        "<?xml version='1.0'?><nltk_data><packages>"
        f"<package id='tiny' name='Tiny' subdir='corpora' url='{url}/tiny.zip' unzip='0' "
        f"size='{len(package)}' unzipped_size='3' checksum='{md5}' sha256_checksum='{sha}'/>"
        "</packages><collections/></nltk_data>"
    ).encode()


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def tiny(monkeypatch) -> data.DatasetInfo:
    # NLTK refuses addresses of this very machine; the test's server has no other.
    monkeypatch.setattr("nltk.downloader.urlopen", urllib.request.urlopen)
    return data.DatasetInfo("tiny", "T", "K", "S", "L", "O", "C", nltk="tiny", fallback=True)


def test_nltk_package_is_downloaded_once(cache, server, tiny, monkeypatch):
    package = zipped("tiny/a.txt", b"abc")
    server.files |= {"/index.xml": nltk_index(server.url, package), "/tiny.zip": package}
    monkeypatch.setattr("nltk.downloader.Downloader.DEFAULT_URL", f"{server.url}/index.xml")
    download.fetch_nltk(tiny, "tiny")
    assert (cache / "nltk_data/corpora/tiny.zip").read_bytes() == package
    asked = len(server.requests)
    download.fetch_nltk(tiny, "tiny")
    assert len(server.requests) == asked


def test_corrupt_nltk_package_is_an_error(cache, server, tiny, monkeypatch):
    package = zipped("tiny/a.txt", b"abc")
    index = nltk_index(server.url, package, checksum="0" * 32)
    server.files |= {"/index.xml": index, "/tiny.zip": package}
    monkeypatch.setattr("nltk.downloader.Downloader.DEFAULT_URL", f"{server.url}/index.xml")
    with pytest.raises(data.DownloadError, match="tiny"):
        download.fetch_nltk(tiny, "tiny")
    assert not (cache / "nltk_data/corpora/tiny.zip").exists()


def test_no_network_for_nltk_says_where_its_package_may_lie(cache, unreachable, tiny, monkeypatch):
    monkeypatch.setattr("nltk.downloader.Downloader.DEFAULT_URL", unreachable)
    with pytest.raises(data.OfflineError, match=r"nltk_data/corpora/tiny\.zip"):
        download.fetch_nltk(tiny, "tiny")


# The registry


def test_every_set_says_what_it_is_and_has_a_source_of_files():
    for name in data.names():
        info = data.info(name)
        for part in ("title", "kind", "size", "licence", "source", "citation"):
            assert getattr(info, part), (name, part)
        assert name == "world" or info.files or info.nltk or info.parts
        assert info.parts or name in readers.READERS
        assert set(info.parts) <= set(data.names())


def test_every_file_has_a_hash_and_an_address():
    digits = {"sha256": 64, "sha1": 40}
    for name in data.names():
        for file in data.info(name).files:
            algorithm, _, digest = file.hash.partition(":")
            assert len(digest) == digits[algorithm], file.name
            assert file.urls
            assert all(url.startswith(("https://", "http://")) for url in file.urls)


def test_describe_tells_licence_citation_size_and_source():
    text = data.describe("brown")
    for part in ("Brown Corpus", "1,161,192 tokens", "licence", "Francis", "http"):
        assert part in text


def test_importing_data_imports_no_library_of_corpora_or_downloads():
    code = (
        "import sys, nlp_course.data; "
        "print({'nltk', 'pooch', 'requests', 'sklearn', 'scipy', 'pandas'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


# Splits and readers


def test_what_a_set_does_not_have_is_an_error_that_says_what_it_has(cache, server, register):
    server.files["/names.txt"] = CONTENT
    register(f"{server.url}/names.txt")
    names = data.load("names")
    with pytest.raises(AttributeError, match="names has no sentences; it has records"):
        _ = names.sentences
    with pytest.raises(AttributeError, match="split 'all' has no text or sentences"):
        _ = names.splits["all"].tokens
    with pytest.raises(AttributeError, match="names has no NLTK reader"):
        _ = names.reader


def test_tokenised_split_writes_a_sentence_a_line():
    split = Split("all", sentences=lambda: [["a", "b", "."], ["c", "."]])
    assert split.text == "a b .\nc ."
    assert split.tokens == ["a", "b", ".", "c", "."]


def test_raw_split_is_read_once():
    reads = []
    split = Split("all", text=lambda: reads.append(1) or "text")
    assert split.text == split.text == "text"
    assert reads == [1]


def test_world_has_splits_and_analogies():
    world = data.load("world")
    assert [len(world.splits[name].sentences) for name in ("train", "valid", "test")] == [
        20_000,
        2_000,
        2_000,
    ]
    assert world.splits["train"].sentences[0] != world.splits["test"].sentences[0]
    assert data.Analogy("man", "woman", "king", "queen", "gender") in world.records
    assert data.available("world")


@pytest.mark.parametrize(
    ("published", "rejoined"),
    [
        ("a two @-@ year plan", "a two-year plan"),
        ("1 @,@ 000 @.@ 5 <unk> m", "1,000.5 m"),
        ("the <unk> @-@ based ship", "the ship"),
        ("It 's Rome 's , do n't", "it's rome's , don't"),
        ("the dogs ' food", "the dogs ' food"),
        ("born in 1932 @,@", "born in 1932 ,"),
    ],
)
def test_wikitext_is_written_as_the_rest_of_the_corpus(published, rejoined):
    assert readers.rejoin(published.split()) == rejoined.split()


def test_wikitext_sentences_leave_headings_out_and_end_with_their_quotes():
    text = ' \n = Title = \n \n He said " no . " Then he left . \n = = Part = = \n No end \n'
    assert readers._wikitext_sentences(lambda: text) == [
        ["He", "said", '"', "no", ".", '"'],
        ["Then", "he", "left", "."],
        ["No", "end"],
    ]


# The real sets


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_set_loads_and_gives_what_it_says(name):
    loaded = data.load(name)
    assert data.available(name)
    for view in loaded.views:
        if view != "tokens":
            assert getattr(loaded, view), view


@pytest.mark.real_data
def test_brown_has_its_published_size_and_nltk_agrees():
    brown = data.load("brown")
    assert (len(brown.tokens), len(brown.sentences)) == (1_161_192, 57_340)
    assert brown.sentences[:2000] == [list(sentence) for sentence in brown.reader.sents()[:2000]]
    for record, pairs in zip(brown.records, brown.reader.tagged_sents()[:2000], strict=False):
        assert list(zip(*record, strict=True)) == list(pairs)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("wordsim353", 353),
        ("simlex999", 999),
        ("analogies", 19_544),
        ("names", 32_033),
        ("multi30k", 29_000 + 1_014 + 1_000),
        ("wnut17", 3_394 + 1_009 + 1_287),
        ("movie_reviews", 2_000),
        ("sentence_polarity", 10_662),
        ("treebank", 3_914),
        ("conll2000", 8_936 + 2_012),
    ],
)
def test_set_has_its_published_number_of_records(name, records):
    assert len(data.load(name).records) == records


@pytest.mark.real_data
def test_ratings_and_analogies_are_read_as_published():
    assert data.load("wordsim353").records[0] == data.Rating("love", "sex", 6.77)
    analogies = data.load("analogies").records
    first = data.Analogy("Athens", "Greece", "Baghdad", "Iraq", "capital-common-countries")
    assert analogies[0] == first
    assert len({analogy.category for analogy in analogies}) == 14


@pytest.mark.real_data
def test_wikitext_comes_without_its_training_split_only_with_a_notice(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path)
    monkeypatch.setenv("NLP_COURSE_GRADING", "1")
    wikitext = data.load("wikitext2")
    notice = capsys.readouterr().out
    assert ("train" in wikitext.splits) != ("without its split train" in notice)
    assert {"valid", "test"} <= set(wikitext.splits)


@pytest.mark.real_data
def test_word_corpus_is_lower_case_and_free_of_markup(capsys):
    corpus = data.load("word-corpus")
    assert capsys.readouterr().out == ""
    words = set(corpus.tokens)
    assert 3_000_000 < len(corpus.tokens) < 3_200_000
    assert not {word for word in words if word != word.lower()}
    assert not {"@-@", "@,@", "@.@", "<unk>", "``", "''", "n't"} & words
    assert not {word for word in words if not word.isprintable()}
    assert all(corpus.sentences)


@pytest.mark.parametrize("packed", [False, True])
def test_a_corpus_is_read_alike_from_its_folder_and_from_its_archive(tmp_path, packed, monkeypatch):
    import nltk
    from nltk.corpus.reader import PlaintextCorpusReader
    from nltk.data import ZipFilePathPointer

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])  # NLTK reads nowhere else
    texts = {"b.txt": "second file\n", "a.txt": "first, in Latin 1: café\n"}
    root: object = str(tmp_path)
    with zipfile.ZipFile(tmp_path / "small.zip", "w") as archive:
        for name, text in texts.items():
            (tmp_path / name).write_bytes(text.encode("latin-1"))
            archive.writestr(f"small/{name}", text.encode("latin-1"))
    if packed:
        root = ZipFilePathPointer(str(tmp_path / "small.zip"), "small/")
    reader = PlaintextCorpusReader(root, list(texts), encoding="latin-1")
    assert list(nltk_readers._texts(reader, list(texts))) == list(texts.values())
