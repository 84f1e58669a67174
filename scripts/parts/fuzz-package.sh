# shellcheck shell=bash disable=SC2154 # variables of scripts/fuzz
# Builds what a fuzzing service would, by the script that it would run, and runs the result as it would. To be sourced by
# scripts/fuzz.

# Programs, seeds, dictionaries and options into a folder: package [OUT]
package() {
    local place out target inputs
    place="$(mktemp -d "${TMPDIR:-/tmp}/hubledger-package.XXXXXX")"
    mkdir -p "${1:-$place/out}" "$place/src" "$place/work"
    out="$(realpath "${1:-$place/out}")"
    need_package zip zip
    need_package unzip unzip
    ln -s "$PWD" "$place/src/hubledger"
    SRC="$place/src" OUT="$out" WORK="$place/work" SANITIZER="$sanitizer" FUZZING_ENGINE=libfuzzer ARCHITECTURE=x86_64 \
        bash -eu .clusterfuzzlite/build.sh </dev/null
    for target in $(cargo fuzz list); do
        if [ ! -x "$out/$target" ] || [ ! -f "$out/$target.options" ]; then
            echo "error: $target isn't whole in $out" >&2
            return 1
        fi
        inputs="$place/inputs/$target"
        mkdir -p "$inputs"
        unzip -qo "$out/${target}_seed_corpus.zip" -d "$inputs"
        [ "$(find "$inputs" -type f | wc -l)" -eq "$(find "fuzz/seeds/$target" -type f | wc -l)" ] ||
            { echo "error: seeds of $target are missing in $out" >&2 && return 1; }
        # From elsewhere and without this environment: nothing may be needed that isn't in the folder.
        (cd "$place" && env -i PATH=/usr/bin:/bin "$out/$target" -runs=0 -verbosity=0 "$inputs") </dev/null
    done
    echo "$(cargo fuzz list | wc -l) targets are whole and pass their seeds"
    rm -rf "$place"
}
