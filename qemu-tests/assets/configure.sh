# Runs inside the new system. $1: UUID of its root file system, $2: options of its line in fstab.
echo debian > /etc/hostname
echo '127.0.0.1 localhost debian' > /etc/hosts
# A fixed id: "uninitialized" makes systemd set up presets for seconds in the first boot.
# The list of volatile files names it too.
echo 5ca1ab1e0ddba11c0ffee0ddba5eba11 > /etc/machine-id
cat > /etc/fstab <<FSTAB
# /etc/fstab: static file system information.
#
# Use 'blkid' to print the universally unique identifier for a device.
# <file system> <mount point>   <type>  <options>       <dump>  <pass>
UUID=$1	/	btrfs	$2	0	1

tmpfs           /tmp            tmpfs   nosuid,nodev,size=256m 0 0
   # an indented comment, kept as somebody left it: LABEL=old /mnt ext4 defaults
FSTAB
cat > /etc/default/grub <<'GRUB'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`
GRUB_CMDLINE_LINUX_DEFAULT=""
# norandmaps, mitigations=off: emulated processors are slow at both (no effect on what is tested).
GRUB_CMDLINE_LINUX="console=ttyS0,115200 norandmaps mitigations=off"
GRUB_TERMINAL=serial
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB
useradd --create-home --shell /bin/bash --uid 1000 user
systemctl --quiet enable rootshift-test-agent.service
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer \
	dpkg-db-backup.timer systemd-tmpfiles-clean.timer
# An emulated processor needs half a minute more for the default level of 9.
echo COMPRESSLEVEL=1 > /etc/initramfs-tools/conf.d/compress-level
update-initramfs -u
