#!/bin/bash -eu
# Builds every fuzz target into $OUT, each with its seeds, dictionary and options, for ClusterFuzzLite and OSS-Fuzz.
# `scripts/fuzz package` runs this on any machine and tries what comes out.
cd "$SRC/hubledger"

# As `scripts/fuzz` does. Where coverage is asked for, the image's cargo makes other flags of these.
flags=(-O --sanitizer "${SANITIZER/coverage/address}")
[ "$SANITIZER" = none ] || flags+=(--no-trace-compares)
cargo fuzz build "${flags[@]}"
folder="$(cargo metadata --manifest-path fuzz/Cargo.toml --no-deps --format-version 1 |
    sed -E 's/.*"target_directory":"([^"]*)".*/\1/')"
for target in $(cargo fuzz list); do
    cp "$folder/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    cp "fuzz/options/$target.options" "$OUT/"
    zip -jqr "$OUT/${target}_seed_corpus.zip" "fuzz/seeds/$target"
    if [ -f "fuzz/dictionaries/$target.dict" ]; then
        cp "fuzz/dictionaries/$target.dict" "$OUT/"
    fi
done
