#!/usr/bin/env bash
# Prints the path of a Python 3.13 with a shared libpython, building it once into a cache folder outside the repo.
#
# Without the shared library PyTensor's C parts do not link. The source is Debian trixie's, fetched and verified
# by apt against the archive's keys, without touching the package sources of the system.
set -euo pipefail

cache=${NUTMILL_CI_CACHE:-$HOME/.cache/nutmill-ci}
prefix=$cache/python-3.13
python=$prefix/bin/python3.13
finished=$prefix/.finished # written last: a prefix without it is the rest of a broken build
log=$cache/python-3.13.log
packages=(build-essential dpkg-dev xz-utils libssl-dev zlib1g-dev libffi-dev libbz2-dev liblzma-dev libsqlite3-dev)

say() { echo "python313.sh: $*" >&2; }
fail() {
    say "no Python 3.13: $*"
    exit 1
}

missing_packages() {
    local package
    for package in "${packages[@]}"; do
        [[ $(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || echo "$package"
    done
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || fail "as root, run: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    apt-get update >>"$log" 2>&1 && apt-get install --yes --no-install-recommends "${missing[@]}" >>"$log" 2>&1 ||
        fail "apt-get could not install ${missing[*]}; see $log"
}

fetch_source() { # into the current folder
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p lists/partial cache/archives/partial
    echo "deb-src [signed-by=$keys] http://deb.debian.org/debian trixie main" >sources.list
    local own=(-o "Dir::Etc::sourcelist=$PWD/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" -o APT::Sandbox::User=)
    apt-get "${own[@]}" update >>"$log" 2>&1 || fail "the index of trixie's sources cannot be had; see $log"
    apt-get "${own[@]}" source --download-only python3.13 >>"$log" 2>&1 ||
        fail "the source package python3.13 cannot be had; see $log"
}

build() { # in the current folder
    # The original tarball alone: Debian's patches move site-packages to where only Debian looks for it.
    mkdir source
    tar --extract --file python3.13_*.orig.tar.xz --strip-components 1 --directory source
    cd source
    ./configure --prefix="$prefix" --enable-shared LDFLAGS="-Wl,-rpath,$prefix/lib" >>"$log" 2>&1 &&
        make -j2 >>"$log" 2>&1 && make install >>"$log" 2>&1 || fail "the build broke; see $log"
}

check() { # the modules that configure drops in silence when a library is missing
    "$python" - <<'PYTHON' || fail "the build lacks a part that the tests need"
import bz2, ctypes, ensurepip, lzma, sqlite3, ssl, sysconfig, zlib
assert sysconfig.get_config_var("Py_ENABLE_SHARED") == 1, "libpython is not shared"
PYTHON
}

mkdir -p "$cache"
exec 9>"$cache/python-3.13.lock"
flock 9
if [[ ! -e $finished ]]; then
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
        fail "this machine has no apt; put one with a shared libpython at $python and touch $finished"
    say "building it once into $prefix (3-6 minutes; log: $log)"
    : >"$log"
    install_packages
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    rm -rf "$prefix"
    (
        cd "$work"
        fetch_source
        build
    )
    check
    touch "$finished"
fi
echo "$python"
