"""Files of models that are damaged, belong elsewhere, or cannot be read or written: one sentence each, nothing left."""

import hashlib
import json
import os
import shlex
import subprocess
import sys

import pytest
from artifacts import MAGIC, rewritten
from llvmlite import binding as llvm
from processes import environment, output_of, start
from saved import content, refused, small

from nutmill import load
from nutmill.native.container import unpack


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.nut"


@pytest.mark.parametrize("where", ["magic", "checksum", "header", "parts", "end"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_is_refused(path, where, damage):
    whole = content()
    header_end = whole.index(b"\n", 16 + 65)
    place = {
        "magic": 5,
        "checksum": 40,
        "header": (81 + header_end) // 2,
        "parts": (header_end + len(whole)) // 2,
        "end": len(whole) - 1,
    }[where]
    flipped = bytearray(whole)
    flipped[place] ^= 1
    path.write_bytes(whole[:place] if damage == "cut" else bytes(flipped))
    with refused(f"The model {path} cannot be used: it(s checksum| is no nutmill model)"):
        load(path)


@pytest.mark.parametrize("place", [0, 15, 16, 80, 81, 82, 200])
def test_a_file_cut_short(path, place):
    path.write_bytes(content()[:place])
    with refused("cannot be used: it"):
        load(path)


@pytest.mark.parametrize("extra", [b"\0", b"\n", b"nutmill model 1\n"])
def test_a_file_with_more_at_its_end(path, extra):
    path.write_bytes(content() + extra)
    with refused("its checksum does not fit"):
        load(path)


@pytest.mark.parametrize("line", [b"nutmill cache 1\n", b"#!/bin/sh\n", b"\x7fELF"])
def test_another_kind_of_file(path, line):
    path.write_bytes(line + content()[16:])
    with refused(f"The model {path} cannot be used: it is no nutmill model\\.$"):
        load(path)


def test_a_file_of_another_version(path):
    path.write_bytes(b"nutmill model 2\n" + content()[16:])
    with refused("does not begin as a file of this version"):
        load(path)


def test_a_missing_file_is_one_sentence(path):
    with refused(f"The model {path} cannot be read: No such file"):
        load(path)
    with refused("No such file"):
        load(path, strict=True)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    with refused("cannot be read: it is a folder"):
        load(tmp_path)
    with refused("cannot be saved as .*: Is a directory"):
        small().save(tmp_path)
    assert list(tmp_path.parent.glob("*.tmp")) == []


def test_a_folder_that_is_not_there(tmp_path):
    with refused("cannot be saved as .*: No such file or directory"):
        small().save(tmp_path / "nowhere" / "model.nut")


def test_a_device_is_not_replaced_by_a_model(tmp_path):
    """What is written beside its place and renamed would end /dev/null, where root says so."""
    (tmp_path / "null").symlink_to("/dev/null")
    with refused("cannot be saved as .*null: it is a device"):
        small().save(tmp_path / "null")
    assert (tmp_path / "null").is_char_device()


def test_a_file_that_may_not_be_read(path):
    if os.getuid():
        pytest.skip("only root may become another user")
    small().save(path)
    code = f"""
import os
from nutmill import ModelError, load
os.setgid(65534), os.setuid(65534)
try:
    load({str(path)!r})
except ModelError as error:
    print(error)
"""
    assert output_of(start(code)).strip() == f"The model {path} cannot be read: Permission denied."


def test_a_full_disk_leaves_no_half_file(tmp_path):
    """The file that was there stays, and nothing is left over."""
    source = tmp_path / "source.nut"
    small().save(source)
    folder = tmp_path / "full"
    folder.mkdir()
    code = f"""
import os, pathlib, nutmill
target = pathlib.Path({str(folder)!r}) / "model.nut"
target.write_bytes(b"as before")
try:
    nutmill.load({str(source)!r}).save(target)
except nutmill.ModelError as error:
    print(error)
print(target.read_bytes(), os.listdir(target.parent))
"""
    mount = shlex.join(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(folder)])
    script = f"{mount} || exit 77; {shlex.join([sys.executable, '-c', code])}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], env=environment(), capture_output=True, text=True)
    if done.returncode in (1, 77) and not done.stdout:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    said, left = done.stdout.splitlines()
    assert "cannot be saved as" in said and "No space left on device" in said
    assert left == "b'as before' ['model.nut']"


def test_interrupted_while_it_is_written(path, monkeypatch):
    small().save(path)

    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        small().save(path)
    assert path.read_bytes() == content() and list(path.parent.iterdir()) == [path]


def changed_target(**changes):
    def change(manifest, parts):
        fields = dict(zip(("name", "triple", "cpu", "features"), manifest["code"]["target"], strict=True))
        manifest["code"]["target"] = list((fields | changes).values())

    return change


def test_code_for_another_architecture(path):
    path.write_bytes(rewritten(content(), changed_target(triple="aarch64-unknown-linux-gnu")))
    with refused("it was made for aarch64-unknown-linux-gnu, and this is "):
        load(path)


def test_code_for_another_system(path):
    architecture = llvm.get_process_triple().split("-")[0]
    path.write_bytes(rewritten(content(), changed_target(triple=f"{architecture}-apple-darwin")))
    with refused("it was made for .*-apple-darwin, and this is "):
        load(path)


def test_code_for_a_better_processor(path):
    path.write_bytes(rewritten(content(), changed_target(cpu="future", features=["sse9", "zz-top"])))
    with refused(r'made for future, and this processor \(.*\) lacks sse9, zz-top: .*target="x86-64-v3"'):
        load(path)


def test_chains_of_another_layout(path):
    def change(manifest, parts):
        manifest["versions"] = {"nutmill": "9.9", "chains": "other"}

    path.write_bytes(rewritten(content(), change))
    with refused("nutmill 9.9 wrote it, whose chains nutmill .* does not know: save the model anew"):
        load(path)


@pytest.mark.parametrize("part", ["object", "kernel", "functions"])
def test_code_that_calls_what_is_not_there(path, part):
    module = llvm.parse_assembly(
        "declare i32 @of_another_world(i64)\n"
        "define i32 @nutmill_start(i64 %x) {\n  %y = call i32 @of_another_world(i64 %x)\n  ret i32 %y\n}"
    )
    machine = llvm.Target.from_default_triple().create_target_machine(reloc="pic", codemodel="jitdefault", jit=True)
    calling = machine.emit_object(module)
    path.write_bytes(rewritten(content(), lambda manifest, parts: parts | {part: calling}))
    with refused("this process lacks of_another_world, which its code calls"):
        load(path)


@pytest.mark.parametrize("name", ["versions", "code", "description", "origin"])
@pytest.mark.parametrize("change", ["missing", "number", "list", "empty"])
def test_a_header_that_nobody_wrote(path, name, change):
    """Its checksum fits, so that somebody has summed it up anew."""

    def odd(manifest, parts):
        manifest[name] = {"number": 7, "list": [[1]], "empty": {}}.get(change)
        if change == "missing":
            del manifest[name]

    path.write_bytes(rewritten(content(), odd))
    with refused("what its header says does not fit what it holds: save the model anew"):
        load(path)


@pytest.mark.parametrize("part", ["object", "functions", "array 0"])
def test_a_part_that_is_missing(path, part):
    path.write_bytes(rewritten(content(), lambda manifest, parts: {n: p for n, p in parts.items() if n != part}))
    with refused("does not fit what it holds: save the model anew"):
        load(path)


@pytest.mark.parametrize("sizes", [5, [[1, 2, 3]], [["a", "b"]], [["object", -4]], [["object", 10**12]]])
def test_sizes_that_nobody_wrote(path, sizes):
    header, parts = unpack(content(), MAGIC)
    line = json.dumps(header._replace(sizes=sizes)._asdict()).encode()
    rest = b"\n".join([line, b"".join(parts.values())])
    path.write_bytes(MAGIC + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
    with refused("its header cannot be read|does not fit what it holds"):
        load(path)


def test_a_pipe_is_not_waited_for(path):
    os.mkfifo(path)
    with refused("cannot be read: it is a pipe"):
        load(path)
