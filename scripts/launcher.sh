#!/bin/sh
# wgd: WireGuard in one executable. An archive follows this script; it is unpacked at the first start, to a folder named
# after its content that only its owner can write, and used from there.
#
# A folder is used if it and the one above are ours and nobody else can write to them, and if every file in it is ours with
# the mode, size and time it was unpacked with. That finds what other users, broken disks and cleaning jobs do. It does not find what this user or root
# does on purpose: they need no wgd to run programs as this user.
content=@CONTENT@
files="@FILES@"
expected="@EXPECTED@"
payload=@PAYLOAD@
newline='
'

fail() {
  echo "wgd: $1" >&2
  [ -z "${2-}" ] || echo "hint: $2" >&2
  exit 1
}

# Whether all that is said above is so for this folder. Once a start, so it costs one stat.
intact() {
  folder=$1
  set -- "${folder%/*}" "$folder"
  [ -d "$1" ] && [ ! -h "$1" ] && [ -O "$1" ] && [ -d "$2" ] && [ ! -h "$2" ] && [ -O "$2" ] || return 1
  for file in $files; do
    [ -O "$folder/$file" ] && [ ! -h "$folder/$file" ] || return 1
    set -- "$@" "$folder/$file"
  done
  # A folder for programs may have been made one for none (noexec).
  [ -x "$folder/wgd" ] || return 1
  case $(stat -c '%A %s %Y' "$@" 2>/dev/null) in
    d????-??-?\ *"$newline"d????-??-?\ *"$newline$expected") return 0 ;;
  esac
  return 1
}

# Makes a folder that nobody else can change.
private() {
  [ -d "$1" ] || mkdir -p -m 700 "$1" 2>/dev/null
  [ -d "$1" ] && [ ! -h "$1" ] && [ -O "$1" ] && [ -w "$1" ] || return 1
  case $(stat -c %A "$1" 2>/dev/null) in d????-??-?) return 0 ;; esac
  return 1
}

# Takes versions away that nobody has started for a week and no process runs.
sweep() {
  find "$1" -mindepth 2 -maxdepth 2 -name wgd -type f -atime +7 2>/dev/null | while IFS= read -r program; do
    version=${program%/*}
    case ${version##*/} in
      *[!0-9a-f]*) continue ;;
    esac
    [ -n "$(find -L /proc/[0-9]*/exe -maxdepth 0 -samefile "$program" 2>/dev/null)" ] || rm -rf "$version" "$version.state"
  done
}

# Two processes may unpack at once: each to a folder of its own, and the first one's rename wins.
unpack() {
  # What power cuts and kill -9 left.
  find "$1" -maxdepth 1 -name '.new.*' -mmin +60 -exec rm -rf {} + 2>/dev/null
  sweep "$1"
  new=$(mktemp -d "$1/.new.XXXXXX" 2>/dev/null) || return 1
  trap 'rm -rf "$new"' EXIT
  trap 'exit 130' INT TERM HUP
  if tail -c +$payload "$self" | gzip -dc 2>/dev/null | tar -xpf - -C "$new" 2>/dev/null && intact "$new"; then
    "$new/wgd" --version >/dev/null 2>&1 ||
      fail "this file is for Linux on @MACHINE@ with the GNU C library" "take the one for this machine"
    if ! mv -T "$new" "$1/$content" 2>/dev/null && ! intact "$1/$content"; then
      mv -T "$1/$content" "$new/.broken" 2>/dev/null
      mv -T "$new" "$1/$content" 2>/dev/null
    fi
  fi
  rm -rf "$new" "$1/$content/.broken"
  trap - EXIT INT TERM HUP
  intact "$1/$content"
}

use() {
  folder=$1
  shift
  DENO_DIR=$folder.state DENO_NO_UPDATE_CHECK=1 WGD_SELF=$self WGD_ARGV0=$name
  export DENO_DIR DENO_NO_UPDATE_CHECK WGD_SELF WGD_ARGV0
  exec "$folder/wgd" run --quiet --no-config --no-lock --no-remote --no-npm --no-code-cache \
    --v8-flags=@FLAGS@ @PERMISSIONS@ "$folder/cli/main.js" "$@"
}

# wgd starts itself under its own name, whatever link it was called by.
name=${WGD_AS-}
unset WGD_AS
if [ -z "$name" ]; then
  # A script is told its path, whether that was typed or the name alone. Where PATH leads to it, it was the name.
  case :$PATH: in
    *:"${0%/*}":*) name=${0##*/} ;;
    *) name=$0 ;;
  esac
fi
case $0 in
  /*) self=$0 ;;
  *) self=$PWD/$0 ;;
esac

# A home that is another user's, as sudo may leave it, is no place for what we run.
home=${HOME-}
[ -n "$home" ] && [ -O "$home" ] || home=
first=${XDG_CACHE_HOME-}
[ -n "$first" ] && [ -O "$first" ] || first=${home:+$home/.cache}
for base in ${first:+"$first/wgd"} /var/cache/wgd; do
  intact "$base/$content" && use "$base/$content" "$@"
done
last=${TMPDIR:-/tmp}/wgd-$(id -u)
intact "$last/$content" && use "$last/$content" "$@"
for base in ${first:+"$first/wgd"} /var/cache/wgd "$last"; do
  private "$base" && unpack "$base" && use "$base/$content" "$@"
done
fail "no folder to unpack to: ${first:+$first/wgd, }/var/cache/wgd and $last cannot be used" \
  "set XDG_CACHE_HOME to a folder of yours with @MEGABYTES@ MB free where programs may run"
# The archive follows.
exit 1
