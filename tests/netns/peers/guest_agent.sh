#!/bin/sh
# The first process on a guest's disk. It runs the commands that a test sends.
#
# Commands arrive over a virtio port, because an emulated UART sometimes loses bytes. Each line is a command: a number
# and a script in base64. Several commands can run at the same time, so that a server can run while other commands do.
# The number, exit code, output and errors of a command are returned in one line, which is written under a lock.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /tmp; do mount -t tmpfs tmpfs "$folder"; done
chmod 1777 /tmp
# bash needs it for process substitution, <(COMMAND).
ln -s /proc/self/fd /dev/fd
# There is no udev to load the modules of devices. The kernel itself loads those of interfaces and of netfilter.
for module in virtio_net virtio_console tun; do modprobe "$module"; done
ip link set lo up
until [ -e /dev/vport*p1 ]; do sleep 0.1; done
exec 3<> "$(echo /dev/vport*p1)"
echo "ready $(uname -r)" >&3
while read -r number script <&3; do
  (
    (eval "set -e; $(echo "$script" | base64 -d)") > /tmp/output.$number 2> /tmp/error.$number < /dev/null 3<&-
    code=$?
    output=$(base64 -w 0 /tmp/output.$number)
    error=$(base64 -w 0 /tmp/error.$number)
    until mkdir /tmp/lock 2>/dev/null; do sleep 0.01; done
    echo "done $number $code $output $error ." >&3
    rmdir /tmp/lock
    rm -f /tmp/*.$number
  ) &
done
