# shellcheck shell=bash
# What scripts install if it is missing: packages of Debian and cargo subcommands. To be sourced.

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; elif have sudo; then sudo -n "$@"; else return 1; fi
}

install() {
    echo "installing $1"
    if ! { as_root apt-get update -q && as_root apt-get install -qy "$1"; } </dev/null; then
        echo "error: the package $1 is missing and could not be installed" >&2
        exit 1
    fi
}

# A Debian package that provides a command, if the command is missing.
need_package() {
    have "$1" || install "$2"
}

# A cargo subcommand at a fixed version, if it is missing.
need_cargo_tool() {
    cargo "$1" --version >/dev/null 2>&1 && return
    cargo install --locked --version "$3" "$2" </dev/null
}

# What fuzzing takes: cargo-fuzz, a C++ compiler for libFuzzer, and leave to use the compiler's unstable flags.
need_fuzzer() {
    need_package c++ g++
    need_cargo_tool fuzz cargo-fuzz 0.13.2
    export RUSTC_BOOTSTRAP=1
}
