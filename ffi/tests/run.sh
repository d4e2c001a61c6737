#!/usr/bin/env bash
# What C and C++ programs meet: libraries, headers, packages, examples. Needs gcc, g++, cmake,
# pkg-config, valgrind and python3, which it installs where it may; clang is used if it is there.
#
# LIBRARIES=directory takes the libraries from there instead of building them in release mode, and
# then does not look at how they were compiled.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "== $*"; }
fail() {
  echo "ffi/tests/run.sh: $*" >&2
  exit 1
}

missing=()
for tool in gcc g++ cmake pkg-config valgrind python3 nm readelf make; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ "${#missing[@]}" -gt 0 ]; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "install ${missing[*]}"
  apt-get update -q
  apt-get install -qy --no-install-recommends build-essential cmake pkg-config valgrind python3
fi

say "unit tests, header up to date"
cargo test -q -p coati-capi -p coati-ffi

if [ -n "${LIBRARIES:-}" ]; then
  built=$LIBRARIES
else
  built=$target/release
  # The rustc line is kept: a build that is up to date does not show it again.
  line=$target/release/coati-ffi.rustc
  compile() {
    cargo build --release -v -p coati-ffi 2>"$work/build.log" || {
      cat "$work/build.log" >&2
      fail "the release build failed"
    }
    grep -- '--crate-name coati ' "$work/build.log" >"$work/line" && cp "$work/line" "$line" || true
  }
  say "release build"
  compile
  if [ ! -f "$line" ] || [ "$built/libcoati.so" -nt "$line" ]; then
    touch ffi/src/lib.rs
    compile
  fi
  say "link-time optimisation, unwinding"
  grep -q -- '-C lto=fat' "$line" || fail "built without link-time optimisation: $(cat "$line")"
  if grep -qE -- '--crate-type (rlib|lib)|panic=abort' "$line"; then fail "$(cat "$line")"; fi
fi

say "soname, nodelete, exported symbols"
dynamic=$(readelf -d "$built/libcoati.so")
grep -q 'soname: \[libcoati.so.0\]' <<<"$dynamic" || fail "no soname: $dynamic"
grep -q NODELETE <<<"$dynamic" || fail "dlclose would unmap it: $dynamic"
nm -D --defined-only "$built/libcoati.so" | awk '{print $3}' | LC_ALL=C sort >"$work/exported"
diff ffi/tests/exported.txt "$work/exported" || fail "other symbols than in ffi/tests/exported.txt"
sed '/COATI_TEST_PANIC/,/#endif/d' include/coati.h | grep -v '^static' |
  grep -oE '\bcoati_[a-z_]+\(' | tr -d '(' | LC_ALL=C sort -u >"$work/declared"
for inline in string i64 u64 f64 bool text; do sed -i "/^coati_$inline\$/d" "$work/declared"; done
diff ffi/tests/exported.txt "$work/declared" || fail "header and library disagree"

say "install"
prefix=$work/prefix
make -s install PREFIX="$prefix" BUILT="$built" >/dev/null
mv "$prefix" "$work/moved with space" # An installed tree can be moved …
[ -f "$work/moved with space/lib/cmake/coati/coatiConfig.cmake" ] || fail "nothing installed"
mv "$work/moved with space" "$prefix" # … as far as CMake is concerned; see below.
for file in libcoati.so libcoati.so.0 libcoati.a; do
  [ -e "$prefix/lib/$file" ] || fail "$file is not installed"
done
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
pkg-config --exists 'coati >= 0.1' || fail "pkg-config does not find coati"
read -ra cflags < <(pkg-config --cflags coati)
read -ra shared < <(pkg-config --libs coati)
read -ra static < <(pkg-config --static --libs coati)

warnings=(-Wall -Wextra -Wpedantic -Wshadow -Werror)
c_compilers=(gcc)
cxx_compilers=(g++)
if command -v clang >/dev/null && clang++ -x c++ -E -include string - </dev/null >/dev/null 2>&1; then
  c_compilers+=(clang)
  cxx_compilers+=(clang++)
else
  echo "clang is not installed: gcc only"
fi

say "headers alone and twice"
printf '#include <coati.h>\nint main(void) { return (int)COATI_STR("").len; }\n' >"$work/once.c"
(echo '#include <coati.h>' && cat "$work/once.c") >"$work/twice.c"
printf '#include <coati.hpp>\nint main() { return coati::engine().status() == COATI_OK; }\n' \
  >"$work/once.cpp"
(echo '#include <coati.hpp>' && cat "$work/once.cpp") >"$work/twice.cpp"
for header in once twice; do
  for cc in "${c_compilers[@]}"; do
    for standard in c11 c17; do
      "$cc" -std=$standard "${warnings[@]}" "${cflags[@]}" -fsyntax-only "$work/$header.c"
    done
  done
  for cxx in "${cxx_compilers[@]}"; do
    for standard in c++17 c++20; do
      for flag in -fexceptions -fno-exceptions; do
        "$cxx" -std=$standard $flag "${warnings[@]}" "${cflags[@]}" -fsyntax-only \
          "$work/$header.cpp"
      done
      "$cxx" -std=$standard "${warnings[@]}" "${cflags[@]}" -x c++ -fsyntax-only "$work/$header.c"
    done
  done
done

say "tests in C"
valgrind=(valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite
  --errors-for-leak-kinds=definite)
c_test() { # name, libraries…
  local name=$1
  shift
  gcc -std=c11 -g -O1 "${warnings[@]}" -Iffi/tests/c "${cflags[@]}" "ffi/tests/c/$name.c" \
    -o "$work/$name" "$@" -pthread
}
run() { # what, command…
  local out=$work/out
  rm -rf "$out" && mkdir "$out"
  "${@:2}" "$out" || fail "$1 failed"
}
for name in api threads lifetimes huge; do
  c_test $name "${shared[@]}"
  run "$name" "$work/$name"
done
c_test unload -ldl
mkdir -p "$work/unload.out"
"$work/unload" "$work/unload.out" "$prefix/lib/libcoati.so.0" || fail "unload failed"
for cc in "${c_compilers[@]:1}"; do
  "$cc" -std=c11 "${warnings[@]}" -Iffi/tests/c "${cflags[@]}" -fsyntax-only ffi/tests/c/*.c
done

say "the same linked statically"
for name in api threads lifetimes; do
  c_test $name "${static[@]/-lcoati/-l:libcoati.a}"
  run "static $name" env -u LD_LIBRARY_PATH "$work/$name"
done

say "valgrind"
c_test api "${shared[@]}"
run "api under valgrind" "${valgrind[@]}" "$work/api"
c_test threads "${shared[@]}" -DCALLS=200
run "threads under valgrind" "${valgrind[@]}" "$work/threads"
c_test lifetimes "${shared[@]}" -DORDERS=6
# A forked child leaks what the parent's threads owned, so only its accesses are looked at.
run "lifetimes under valgrind" "${valgrind[@]}" --leak-check=no "$work/lifetimes"
gcc -std=c11 -g "${warnings[@]}" ffi/examples/c/hello.c "${cflags[@]}" "${shared[@]}" -o "$work/hello"
"${valgrind[@]}" "$work/hello" || fail "hello under valgrind failed"

say "tests in C++"
for cxx in "${cxx_compilers[@]}"; do
  for flags in -fexceptions -fno-exceptions "-DCOATI_NO_EXCEPTIONS -std=c++20"; do
    # shellcheck disable=SC2086 # two flags
    "$cxx" -std=c++17 $flags -g -O1 "${warnings[@]}" -Iffi/tests/c "${cflags[@]}" \
      ffi/tests/cpp/wrapper.cpp -o "$work/wrapper" "${shared[@]}" -pthread
    run "wrapper ($cxx $flags)" "$work/wrapper"
  done
done
g++ -std=c++17 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -Iffi/tests/c \
  "${cflags[@]}" ffi/tests/cpp/wrapper.cpp -o "$work/wrapper" "${shared[@]}" -pthread
run "wrapper under AddressSanitizer" "$work/wrapper"

say "examples through pkg-config"
for cxx in "${cxx_compilers[@]}"; do
  "$cxx" -std=c++17 -O1 "${warnings[@]}" ffi/examples/cpp/codestats.cpp "${cflags[@]}" \
    "${shared[@]}" -pthread -o "$work/codestats"
done
for cc in "${c_compilers[@]}"; do
  "$cc" -std=c11 "${warnings[@]}" ffi/examples/c/hello.c "${cflags[@]}" "${shared[@]}" \
    -o "$work/hello"
  "$work/hello" >/dev/null 2>&1 || fail "hello failed"
done
gcc -std=c11 ffi/examples/c/hello.c -static "${cflags[@]}" "${static[@]}" -o "$work/hello" \
  2>"$work/static.log" || fail "no fully static program: $(cat "$work/static.log")"
env -u LD_LIBRARY_PATH "$work/hello" >/dev/null 2>&1 || fail "the fully static program failed"
codestats() { # program, threads
  rm -rf "$work/codestats.out"
  "$1" --threads "$2" --out "$work/codestats.out" core >"$work/printed" || fail "$1 failed"
  python3 ffi/tests/verify.py core "$work/codestats.out" <"$work/printed"
}
codestats "$work/codestats" 1
codestats "$work/codestats" 8
for arguments in "" "--threads 0 core" "--threads" "--nonsense core" "/not/there" "core core"; do
  # shellcheck disable=SC2086 # several arguments
  "$work/codestats" $arguments 2>"$work/usage" && fail "codestats $arguments is no error"
  [ "$(wc -l <"$work/usage")" = 1 ] || fail "codestats $arguments: $(cat "$work/usage")"
done

say "examples through CMake, from a tree that was moved"
mv "$prefix" "$work/moved"
unset PKG_CONFIG_PATH LD_LIBRARY_PATH
cmake -S ffi/examples -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/moved" \
  -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" >/dev/null
cmake --build "$work/cmake" >/dev/null
codestats "$work/cmake/codestats" 4
codestats "$work/cmake/codestats-static" 4
readelf -d "$work/cmake/codestats" | grep -q 'libcoati.so.0' || fail "not linked by its soname"
readelf -d "$work/cmake/codestats-static" | grep -q libcoati && fail "not linked statically"
"$work/cmake/hello" >/dev/null 2>&1 || fail "hello failed"

say "a panic in every function"
panic=$target/test-panic
if [ -z "${LIBRARIES:-}" ]; then profile=--release; else profile=; fi
cargo build -q $profile -p coati-ffi --features test-panic --target-dir "$panic"
panic=$panic/$([ -n "$profile" ] && echo release || echo debug)
gcc -std=c11 "${warnings[@]}" -Iinclude -Iffi/tests/c ffi/tests/c/panic.c "$panic/libcoati.a" \
  -lpthread -ldl -lm -o "$work/panic"
rm -rf "$work/out" && mkdir "$work/out"
"$work/panic" "$work/out" 2>"$work/panic.log" || fail "panic: $(tail -n 5 "$work/panic.log")"

cd "$root"
say "C and C++: all well"
