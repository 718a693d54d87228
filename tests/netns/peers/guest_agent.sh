#!/bin/sh
# The first process on the disk of a guest: runs the commands that a test sends.
#
# Commands come in over a port of virtio (an emulated UART loses bytes now and then), one a line: a number and a script
# in base64. Each runs by itself, so that a server can go on while other commands run. Its number, exit code, output and
# errors go back in one line, written under a lock.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /tmp; do mount -t tmpfs tmpfs "$folder"; done
chmod 1777 /tmp
# bash hands files over by it.
ln -s /proc/self/fd /dev/fd
# Nothing here asks for the modules of devices. Those of interfaces and of netfilter, the kernel asks for by itself.
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
