#!/bin/sh
# SPDX-License-Identifier: MIT
# From a bare Debian (12 or newer) to a built tree: what is missing is installed, then meson builds.
# Run it again at any time: what is there is left alone, and then no network is needed.
# shellcheck disable=SC2086  # lists of packages are meant to be split
set -eu
cd "$(dirname "$0")"

usage() {
    cat <<'END'
usage: ./setup.sh [--minimal] [--dev] [--check]
  --minimal  only what the library itself needs: no tests, no codecs, no bindings
  --dev      also the tools of contributors, and the stores that the benchmarks compare with
  --check    say what is missing and change nothing; exit status 1 when something is
END
}

core='build-essential meson ninja-build pkg-config liblmdb-dev libxxhash-dev'
more='libzstd-dev liblz4-dev check libsmartcols-dev libjansson-dev python3 python3-pytest
python3-hypothesis xz-utils git'
tools='clang clang-tidy clang-format valgrind gcovr strace mypy python3-kafka xfsprogs btrfs-progs
libsqlite3-dev librocksdb-dev libleveldb-dev'

minimal=no dev=no check=no
for option in "$@"; do
    case $option in
    --minimal) minimal=yes ;;
    --dev) dev=yes ;;
    --check) check=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done

# What goes without a package that is not required; one line for each that stays missing.
without() {
    case $1 in
    libzstd-dev) echo 'compression.type=zstd is off' ;;
    liblz4-dev) echo 'compression.type=lz4 is off' ;;
    check) echo 'the C tests are not built' ;;
    libsmartcols-dev) echo 'tables on the command line are plain' ;;
    libjansson-dev) echo 'the command line writes no JSON' ;;
    python3) echo 'no Python binding and no Python tests' ;;
    python3-pytest | python3-hypothesis) echo 'the Python tests are not run' ;;
    python3-kafka) echo 'the Python package is not compared with kafka-python' ;;
    xz-utils) echo 'tests over packed sample data are skipped' ;;
    git) echo 'the example over a git history is skipped' ;;
    *) echo 'a tool of contributors' ;;
    esac
}

missing_of() {
    for package in "$@"; do
        case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true) in
        installed) ;;
        *) echo "$package" ;;
        esac
    done
}

# Prints a command, then runs it, as root.
as_root() {
    [ "$(id -u)" -eq 0 ] || set -- sudo "$@"
    echo "+ $*"
    "$@"
}

# No shell, no window: an installation must not stop to ask.
install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

update() {
    updated=yes
    as_root apt-get update
}

install_packages() {
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        echo "setup.sh: not root, and there is no sudo. As root: apt-get install $1" >&2
        return
    fi
    updated=no
    # A fresh image has no lists at all; then no package is known.
    for package in $1; do
        [ "$updated" = yes ] || apt-cache show "$package" >/dev/null 2>&1 || update || true
    done
    install $1 && return
    # Lists that are too old name packages that are gone.
    if [ "$updated" = no ] && update && install $1; then
        return
    fi
    echo 'setup.sh: not all at once; one by one:' >&2
    for package in $1; do
        install "$package" || true
    done
}

wanted=$core
[ "$minimal" = yes ] || wanted="$wanted $more"
[ "$dev" = no ] || wanted="$wanted $tools"

if command -v dpkg-query >/dev/null 2>&1; then
    missing=$(missing_of $wanted | tr '\n' ' ')
    missing=${missing% }
    if [ "$check" = yes ]; then
        if [ -n "$missing" ]; then
            echo "missing: $missing"
            echo 'Install them: ./setup.sh'
            exit 1
        fi
        echo 'nothing is missing'
        exit 0
    fi
    if [ -n "$missing" ]; then
        install_packages "$missing"
        for package in $(missing_of $missing); do
            case " $core " in
            *" $package "*)
                echo "setup.sh: $package could not be installed, and nothing works without it" >&2
                exit 1
                ;;
            esac
            echo "without $package: $(without "$package")"
        done
    fi
else
    echo "setup.sh: no dpkg here: these must be there, by Debian's names:" $wanted >&2
    [ "$check" = no ] || exit 1
fi

# Debian's own meson, since another one in front of it may be of any age.
meson=/usr/bin/meson
[ -x "$meson" ] || meson=meson
if [ ! -f build/build.ninja ]; then
    echo "+ $meson setup build"
    "$meson" setup build
elif [ -n "${missing:-}" ]; then
    # What was installed just now turns on what was off.
    echo "+ $meson setup --reconfigure build"
    "$meson" setup --reconfigure build
fi
echo "+ $meson compile -C build"
"$meson" compile -C build
