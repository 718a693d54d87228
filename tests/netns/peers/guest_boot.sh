#!/bin/busybox sh
# The first process of a guest, in its initramfs. It mounts the disk and starts the agent that is on it.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in virtio_pci virtio_blk crc32c_generic ext4; do modprobe "$module" 2>/dev/null; done
until mount -t ext4 /dev/vda /disk 2>/dev/null; do sleep 0.1; done
umount /proc
mount -o move /dev /disk/dev
exec switch_root /disk /usr/sbin/agent
