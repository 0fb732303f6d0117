# Files with all that a copy can lose. Runs inside the new system.
home=/home/user
mkdir -p $home/documents $home/projects/deep $home/.config $home/media
for n in 1 2 3 4 5 6 7 8; do head -c $((n * 7000)) /dev/urandom > "$home/documents/report $n.pdf"; done
head -c 3000000 /dev/urandom > $home/media/film.mkv
d=$home/projects/deep
for n in $(seq 40); do d=$d/level-$n; mkdir $d; echo $n > $d/file; done
# Hard links, in one directory and across two.
echo 'one inode, three names' > $home/documents/original
ln $home/documents/original $home/documents/link
ln $home/documents/original $home/projects/link
# Symbolic links: relative, absolute, dangling, to itself.
ln -s documents/original $home/relative
ln -s /etc/fstab $home/absolute
ln -s nowhere $home/dangling
ln -s loop $home/loop
# Names: spaces, line break, leading dash, backslash, not UTF-8, 255 bytes long.
echo a > "$home/ two  spaces "
echo b > "$home/line
break"
echo c > "$home/-dash"
echo d > "$home/back\\slash"
echo e > "$home/$(printf 'latin-\351t\351')"
echo f > "$home/$(printf '%0255d' 0)"
# Extended attributes, ACLs with a default, a capability, set-user-ID, sticky, append-only times.
echo g > $home/attributes
setfattr -n user.comment -v 'kept?' $home/attributes
setfattr -n user.empty $home/attributes
setfattr -n trusted.note -v root-only $home/attributes
echo h > $home/acl
setfacl -m u:1234:rw,g:games:r $home/acl
setfacl -m u:1234:rwx,d:u:1234:rwx $home/projects
cp /bin/true /usr/local/bin/capable
setcap cap_net_bind_service+ep /usr/local/bin/capable
cp /bin/true /usr/local/bin/setuid
chmod 4755 /usr/local/bin/setuid
mkdir -m 3775 $home/shared
truncate -s 64M $home/sparse
printf middle | dd of=$home/sparse bs=1 seek=33554432 conv=notrunc status=none
fallocate -l 1M $home/preallocated
mkfifo $home/pipe
touch -d '1999-12-31 23:59:59.123456789' $home/documents/old
: > $home/empty
chattr +C $home/media && : > $home/media/no-copy-on-write
chown -Rh user:user $home
# chown clears set-user-ID and capabilities, so both were given to files outside.
mkdir -p /var/log/app
for n in 1 2 3; do seq $((n * 3000)) > /var/log/app/app.log.$n; done
chown -R root:adm /var/log/app && chmod 2750 /var/log/app
# A nested subvolume, as systemd-tmpfiles makes.
rmdir /var/lib/portables 2>/dev/null || :
btrfs -q subvolume create /var/lib/portables || btrfs subvolume create /var/lib/portables
chmod 700 /var/lib/portables
echo nested > /var/lib/portables/inside
