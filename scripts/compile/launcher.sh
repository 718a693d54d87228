#!/bin/sh
# wgd: WireGuard in one executable. An archive follows this script. It is unpacked at the first start to a folder that
# is named after its content and that only its owner can write to.
#
# A folder is used if it and its parent belong to this user and nobody else can write to them, and if every file in it
# belongs to this user and has the mode, size and time with which it was unpacked. This detects changes by other users,
# broken disks and cleaning jobs. It does not detect changes by this user or root, who can run programs as this user
# anyway.
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

# Checks a folder as described above. It runs at every start, so it needs only one stat.
intact() {
  folder=$1
  set -- "${folder%/*}" "$folder"
  [ -d "$1" ] && [ ! -h "$1" ] && [ -O "$1" ] && [ -d "$2" ] && [ ! -h "$2" ] && [ -O "$2" ] || return 1
  for file in $files; do
    [ -O "$folder/$file" ] && [ ! -h "$folder/$file" ] || return 1
    set -- "$@" "$folder/$file"
  done
  # The file system may be mounted noexec.
  [ -x "$folder/wgd" ] || return 1
  case $(stat -c '%A %s %Y' "$@" 2>/dev/null) in
    d????-??-?\ *"$newline"d????-??-?\ *"$newline$expected") return 0 ;;
  esac
  return 1
}

# Makes a folder that only this user can change.
private() {
  [ -d "$1" ] || mkdir -p -m 700 "$1" 2>/dev/null
  [ -d "$1" ] && [ ! -h "$1" ] && [ -O "$1" ] && [ -w "$1" ] || return 1
  case $(stat -c %A "$1" 2>/dev/null) in d????-??-?) return 0 ;; esac
  return 1
}

# Removes versions that were not started for a week and that no process runs.
sweep() {
  find "$1" -mindepth 2 -maxdepth 2 -name wgd -type f -atime +7 2>/dev/null | while IFS= read -r program; do
    version=${program%/*}
    case ${version##*/} in
      *[!0-9a-f]*) continue ;;
    esac
    [ -n "$(find -L /proc/[0-9]*/exe -maxdepth 0 -samefile "$program" 2>/dev/null)" ] || rm -rf "$version" "$version.state"
  done
}

# Two processes may unpack at the same time. Each uses its own folder, and the first rename wins.
unpack() {
  # Removes what power failures and kill -9 left.
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

# V8 ends the process with its own message if it cannot get the memory that it requests. Only a limit that was set on
# purpose is too low, so this names the limit and the required value.
check_limits() {
  # In KiB. Limits that a shell does not support are left out. One fork, 0.3 ms.
  set -- $(ulimit -v 2>/dev/null; ulimit -d 2>/dev/null; ulimit -s 2>/dev/null)
  [ $# = 3 ] || return
  # V8 reserves 48 GiB for its heap (VmPeak), of which it uses some megabytes. The program and its threads need 0.4 GiB.
  too_low "$1" 52428800 && fail "V8 needs 50 GiB of addresses, of which it uses little, and ulimit -v is $1 KiB" \
    "ulimit -v unlimited; in a systemd unit: LimitAS=infinity"
  # 512 MiB for compiled code, for each of two threads (VmData).
  too_low "$2" 1572864 && fail "V8 needs 1.5 GiB of data, of which it uses little, and ulimit -d is $2 KiB" \
    "ulimit -d unlimited; in a systemd unit: LimitDATA=infinity"
  # V8 expects 984 KiB of stack (--stack-size). A soft limit can be raised.
  too_low "$3" 1024 && ! ulimit -S -s 8192 2>/dev/null && ! ulimit -S -s 1024 2>/dev/null &&
    fail "V8 needs 1 MiB of stack, and ulimit -s is $3 KiB" "ulimit -s 8192; in a systemd unit: LimitSTACK=8M"
  return 0
}

too_low() {
  case $1 in *[!0-9]*) return 1 ;; esac
  [ "$1" -lt "$2" ]
}

use() {
  folder=$1
  shift
  # This program exits with EPERM or EACCES if the system refuses memory that is writable and executable.
  "$folder/may-compile" 2>/dev/null
  case $? in
    1 | 13) fail "V8 compiles programs into memory that it writes and executes, and this is refused here" \
      "in a systemd unit: MemoryDenyWriteExecute=no; with SELinux: allow execmem" ;;
  esac
  # Programs that wgd starts for the user get the user's own value.
  WGD_DENO_DIR=${DENO_DIR-}
  DENO_DIR=$folder.state DENO_NO_UPDATE_CHECK=1 WGD_SELF=$self WGD_ARGV0=$name
  export DENO_DIR DENO_NO_UPDATE_CHECK WGD_SELF WGD_ARGV0 WGD_DENO_DIR
  # The keeper and the server of the page wait most of the time. An interface allocates few objects.
  case ${1-} in
    keeper | web) frugal=,@FRUGAL@ ;;
    run)
      frugal=,@INTERFACE@
      # See interfaceCommand in cli/self.ts.
      export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX-2}"
      ;;
    *) frugal= ;;
  esac
  exec "$folder/wgd" run --quiet --no-config --no-lock --no-remote --no-npm --no-code-cache \
    --v8-flags=@FLAGS@$frugal @PERMISSIONS@ "$folder/@ENTRY@" "$@"
}

check_limits

# Deno does not start in a deleted folder. This folder exists on every Linux and is always empty, so relative paths do
# not work there either, as in a deleted folder. (The shell has already printed an error.)
if ! [ "$PWD" -ef . ]; then
  case $(readlink /proc/$$/cwd) in
    *' (deleted)')
      case $0 in
        /*) cd /proc/tty/ldisc 2>/dev/null || cd / ;;
        *) fail "the folder that this was called in has been deleted" "change to another one: cd /" ;;
      esac
      ;;
  esac
fi

# wgd starts itself under its own name, even if it was called through a link.
name=${WGD_AS-}
unset WGD_AS
if [ -z "$name" ]; then
  # A script gets its path, even if only the name was typed. If its folder is in PATH, only the name was typed.
  case :$PATH: in
    *:"${0%/*}":*) name=${0##*/} ;;
    *) name=$0 ;;
  esac
fi
case $0 in
  /*) self=$0 ;;
  *) self=$PWD/$0 ;;
esac

# A home folder of another user, which sudo may leave in HOME, is not used.
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
