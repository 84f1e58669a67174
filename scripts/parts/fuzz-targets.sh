# shellcheck shell=bash disable=SC2154 # variables of scripts/fuzz
# One fuzz target: its program, its options, its folders. To be sourced by scripts/fuzz.

host="$(rustc -vV | sed -n 's/^host: //p')"

# The build folder of the fuzz workspace, wherever the environment puts it.
build_folder() {
    cargo metadata --manifest-path fuzz/Cargo.toml --no-deps --format-version 1 |
        sed -E 's/.*"target_directory":"([^"]*)".*/\1/'
}

# How everything is built: with what fuzz/Cargo.toml says of assertions, since without -O cargo-fuzz would override it.
flags=(-O --sanitizer "$sanitizer")
# AddressSanitizer's own checks would be traced as comparisons of the program, which makes them twice as slow and says nothing.
[ "$sanitizer" != address ] || flags+=(--no-trace-compares)

# Builds all targets, or the only one that was asked for, and keeps the programs under names of its own: what is built later, with
# another sanitizer for instance, doesn't change them.
build() {
    local one=() target
    [ ${#targets[@]} -gt 1 ] || one=("${targets[0]}")
    cargo fuzz build "${flags[@]}" "${one[@]}" </dev/null
    built="$(build_folder)/$host/release"
    programs="$built/fuzz-$$"
    mkdir -p "$programs"
    for target in "${targets[@]}"; do
        ln -f "$built/$target" "$programs/"
    done
}

# The options of a target, from the file that OSS-Fuzz and ClusterFuzzLite read too: `key = value` under [libfuzzer]. A
# dictionary counts if it has the target's name.
options_of() {
    local dictionary="fuzz/dictionaries/$1.dict"
    sed -nE 's/^([a-z_]+) *= *([^ ]+)$/-\1=\2/p' "fuzz/options/$1.options"
    [ ! -f "$dictionary" ] || echo "-dict=$dictionary"
}

# The folders that a target begins with: its corpus, which new inputs go to, and its seeds, which nothing is written to.
folders_of() {
    mkdir -p "$work/corpus/$1" "$work/artifacts/$1"
    echo "$work/corpus/$1"
    [ ! -d "fuzz/seeds/$1" ] || echo "fuzz/seeds/$1"
}

# The findings of a target, one path a line. Inputs that were only slow (`slow-unit-*`) aren't findings.
findings_of() {
    find "$work/artifacts/$1" -maxdepth 1 -type f \( -name 'crash-*' -o -name 'leak-*' -o -name 'oom-*' -o -name 'timeout-*' \) \
        2>/dev/null | sort
}

# Runs a target's program with its options: fuzz_with TARGET ARGUMENT... It becomes the program, so that a signal
# reaches that: call it in a subshell.
fuzz_with() {
    local target="$1" options
    shift
    mapfile -t options < <(options_of "$target")
    export TMPDIR="$scratch"
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_odr_violation=0"
    exec "$programs/$target" "${options[@]}" -artifact_prefix="$work/artifacts/$target/" "$@"
}
