#!/bin/sh
# The life of a package in a scratch root: package_life.sh rpm|deb FIRST SECOND CONFIG
#
# Runs as root in mount, pid and network namespaces of its own (tests/system/test_packages.py makes them). The root is an
# overlay of this machine's, so that packages meet a real system, and nothing of what they do stays.
set -eu
kind=$1 first=$2 second=$3 config=$4

step() { printf 'STEP %s\n' "$*"; }
fail() {
    printf 'FAILED %s\n' "$*"
    exit 1
}
inside() { chroot "$scratch/root" "$@"; }
ask() {
    inside /usr/bin/python3 -c '
import sys, urllib.request
print(urllib.request.urlopen(f"http://127.0.0.1:8001{sys.argv[1]}", timeout=30).read().decode())' "$1"
}

scratch=$(mktemp -d)
mount --make-rprivate /
mount -t tmpfs -o size=3g tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
mount -t proc proc "$scratch/root/proc"
mount --rbind /dev "$scratch/root/dev"
mount -t tmpfs tmpfs "$scratch/root/run"
ip link set lo up
cp "$first" "$second" "$config" "$scratch/root/srv/"
first=/srv/${first##*/} second=/srv/${second##*/} config=/srv/${config##*/}
yaml=/etc/dynamiccluster/dynamiccluster.yaml
service=/etc/init.d/dynamiccluster

case $kind in
    rpm)
        install() { inside rpm --force-debian --nodeps -U "$1"; }
        erase() { inside rpm --force-debian --nodeps -e dynamiccluster; }
        ;;
    deb)
        install() { inside dpkg --force-confold -i "$1"; }
        erase() { inside dpkg -r dynamiccluster; }
        ;;
esac

step install
install "$first"
inside id dynamiccluster
[ "$(inside stat -c '%U %a' /var/lib/dynamiccluster)" = "dynamiccluster 700" ] || fail "state directory"
[ "$(inside stat -c '%U:%G %a' $yaml)" = "root:dynamiccluster 640" ] || fail "configuration can be read by anybody"
inside /usr/bin/dynamiccluster --version
inside /usr/bin/dynamiccluster check-config $yaml
inside $service status && fail "it runs and nobody has started it"
inside man -w dynamiccluster
inside test -r /usr/share/dynamiccluster/userdata/join/slurm || fail "no join scripts beside the templates"
inside bash -c '. /usr/share/bash-completion/completions/dynamiccluster && complete -p dynamiccluster'

step start
inside cp "$config" $yaml
inside $service start
ask /healthz | grep -q '"version"' || fail "it does not answer"
ask /dashboard | grep -qi '<!doctype html' || fail "no page"
old=$(inside cat /run/dynamiccluster/dynamiccluster.pid)
[ "$(inside stat -c %U "/proc/$old")" = dynamiccluster ] || fail "it runs as $(inside stat -c %U "/proc/$old")"

step upgrade
install "$second"
new=$(inside cat /run/dynamiccluster/dynamiccluster.pid)
[ "$new" != "$old" ] || fail "not restarted"
inside $service status
inside cmp "$config" $yaml || fail "the edited configuration was not kept"
ask '/api/v1/events?kind=service' | grep -q 'the store knows' || fail "no history"

step erase
erase
inside sh -c '[ ! -e /usr/bin/dynamiccluster ] && [ ! -e /usr/lib/dynamiccluster/dynamiccluster ]' || fail "program is left"
! grep -q dynamiccluster "$scratch/root/proc/$new/cmdline" 2>/dev/null || fail "it still runs"  # a dead one has none
inside sh -c 'ls /var/lib/dynamiccluster/*.db' || fail "the state is gone"
inside sh -c "cmp $config $yaml || cmp $config $yaml.rpmsave" || fail "the configuration is gone"
step over
