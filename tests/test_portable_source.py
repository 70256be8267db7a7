"""The source itself: nothing that one system alone has, outside of the few places that ask for it first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import resdet

PACKAGE = Path(resdet.__file__).parent
CHECKOUT = PACKAGE.parent
MODULES = {
    *(
        "fcntl",
        "resource",
        "pwd",
        "grp",
        "termios",
        "tty",
        "pty",
        "select",
        "selectors",
        "syslog",
        "posix",
        "crypt",
        "readline",
    ),
    *("msvcrt", "winreg", "winsound", "_winapi", "nt", "locale"),
}
OF_UNIX = {
    "os": {
        *("fork", "forkpty", "wait", "waitpid", "kill", "killpg", "getppid", "getpgid", "setpgrp", "setsid", "uname", "sync"),
        *("getuid", "geteuid", "getgid", "getlogin", "chown", "mkfifo", "sysconf", "getloadavg", "nice", "sched_getaffinity"),
        *("pread", "posix_fadvise", "sendfile", "fchmod", "statvfs", "startfile", "link", "symlink", "rename", "replace"),
    },
    "signal": {
        *("SIGTERM", "SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE", "SIGBREAK", "SIGQUIT"),
        *("alarm", "setitimer", "pause", "pthread_sigmask", "pthread_kill", "sigwait", "set_wakeup_fd"),
    },
    "time": {"tzset", "clock_gettime", "strftime", "localtime", "mktime"},
    "socket": {"AF_UNIX"},
}
# file: what it may use, for it asks first or has another way
ALLOWED = {
    "resdet/system.py": {"os.replace", "'/proc/'", "os.getppid", "os.sched_getaffinity", "signal.SIGKILL"},  # the place for it
    "resdet/files/reading.py": {"'/proc/'", "'/sys/'"},  # where a file's path begins so
    "resdet/files/writing.py": {"os.link"},  # or a rename
    "resdet/data/loading/loader.py": {"os.setpgrp"},  # behind hasattr
    "resdet/data/shared.py": {"'/dev/shm'"},  # where it is a folder
    "resdet/data/convert/write.py": {"os.link"},  # or a copy
    "benchmarks/machine.py": {"os.sched_getaffinity", "os.sysconf", "os.getloadavg", "'/proc/'"},  # behind hasattr, or is_file
    "benchmarks/annotations.py": {"'/proc/'"},  # says that it needs Linux
    "benchmarks/measure.py": {"resource"},  # or says that it cannot
}


def sources() -> list[Path]:
    files = [*PACKAGE.rglob("*.py"), *(CHECKOUT / "benchmarks").rglob("*.py"), *(CHECKOUT / "tools").rglob("*.py")]
    assert len(files) > 200
    return sorted(files)


def uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What only some systems have, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from ((node.lineno, name) for name in names if name.partition(".")[0] in MODULES)
            if isinstance(node, ast.ImportFrom) and node.module in OF_UNIX:
                unix = OF_UNIX[node.module]
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names if alias.name in unix)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in OF_UNIX.get(node.value.id, ()):
                yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for place in ("/proc/", "/dev/shm", "/dev/", "/sys/", "/tmp", "/etc/"):
                if node.value.startswith(place):
                    yield node.lineno, repr(place)
                    break
        elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:  # a text's replace has two arguments
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if name in ("replace", "rename"):
                yield node.lineno, f".{name}(…): resdet.system.replace"


def vague_texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts that are read or written in the system's encoding, or written with its line ends."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = node.func.value.id if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else ""
        given = {keyword.arg for keyword in node.keywords if not _is_none(keyword.value)}
        if name in ("open", "fdopen") and owner not in ("Image", "tarfile", "zipfile", "os", "webbrowser", "zipped", "member"):
            place = 0 if isinstance(node.func, ast.Attribute) else 1
            modes = [*node.args[place : place + 1], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
            mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else ("r" if not modes else "?b")
            writes = mode not in ("r", "r+")
            if "b" not in str(mode) and not ({"encoding", "newline"} if writes else {"encoding"}) <= given:
                yield node.lineno, f"open in mode {mode!r}"
        elif name in ("read_text", "write_text") and isinstance(node.func, ast.Attribute):
            if not ({"encoding", "newline"} if name == "write_text" else {"encoding"}) <= given:
                yield node.lineno, name
        elif name in ("NamedTemporaryFile", "TemporaryFile", "TextIOWrapper") and "encoding" not in given and "mode" in given:
            yield node.lineno, name
        elif name in ("run", "Popen", "check_output") and {"text", "universal_newlines"} & given and "encoding" not in given:
            yield node.lineno, f"subprocess.{name} of text"


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def found_in(find, path: Path) -> list[str]:
    name = path.relative_to(CHECKOUT).as_posix()
    allowed = ALLOWED.get(name, set())
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [f"{name}:{line}: {what}" for line, what in find(tree) if what not in allowed]


def test_only_the_listed_places_use_what_some_systems_lack() -> None:
    assert [problem for path in sources() for problem in found_in(uses, path)] == []


def test_every_text_has_its_encoding_and_its_line_ends() -> None:
    assert [problem for path in sources() for problem in found_in(vague_texts, path)] == []


def test_the_list_of_exceptions_holds_no_dead_one() -> None:
    for name, allowed in ALLOWED.items():
        path = CHECKOUT / name
        if path.is_file():
            found = {what for _, what in uses(ast.parse(path.read_text(encoding="utf-8")))}
            assert allowed <= found, name


@pytest.mark.parametrize(
    "line",
    [
        *("import fcntl", "import resource", "from resource import getrusage", "import os.path, msvcrt", "import select"),
        *("os.fork()", "signal.signal(signal.SIGALRM, f)", "from os import getppid", "os.kill(1, 9)", "os.uname().sysname"),
        *("Path('/proc/cpuinfo')", "open('/dev/null', 'rb')", "part.replace(file)", "path.rename(other)", "os.rename(a, b)"),
    ],
)
def test_the_search_finds_what_some_systems_lack(line: str) -> None:
    assert list(uses(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["import os", "text.replace('a', 'b')", "replace(config, a=1)", "os.stat(a)", "signal.SIGINT", "'a/proc/'"],
)
def test_the_search_leaves_what_all_have(line: str) -> None:
    assert not list(uses(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        *("open(a)", "open(a, 'w', encoding='utf-8')", "path.open('a', encoding='utf-8')", "path.open()", "path.read_text()"),
        *("path.write_text(a, encoding='utf-8')", "subprocess.run(a, text=True)", "path.open(mode='w')"),
        *("path.read_text(encoding=None)", "open(a, 'w', encoding='utf-8', newline=None)"),
    ],
)
def test_the_search_finds_vague_texts(line: str) -> None:
    assert list(vague_texts(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        *("open(a, 'rb')", "path.open('wb')", "path.open(encoding='utf-8')", "open(a, 'w', encoding='utf-8', newline='')"),
        *("path.read_text(encoding='utf-8')", "Image.open(a)", "subprocess.run(a, text=True, encoding='utf-8')"),
    ],
)
def test_the_search_leaves_exact_texts(line: str) -> None:
    assert not list(vague_texts(ast.parse(line)))
