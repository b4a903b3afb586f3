#!/bin/bash
# PID 1 of a node: give its mount namespace private copies of the paths that kubelet and containerd use, then become the
# reaper. Bind mounts rather than flags, because the device plugin socket, the pod logs and the shim sockets cannot all
# be moved by flags, and two nodes must not meet there.
# Arguments: state folder of the node, node name, reaper binary.
set -eu
folder=$1 name=$2 reaper=$3

hostname "$name"
mount --make-rshared /    # the kubelet needs shared propagation; this namespace is already cut off from the host
mount -t proc proc /proc

# A node start is a reboot: /run is empty, no pod survives, so no address lease does.
rm -rf "$folder/run" "$folder/pids"
mkdir -p "$folder"/{run/containerd,run/netns,run/cni,run/lock,kubelet,containerd,cni,log/pods,log/containers,pids,logs}

# On the host these stay what they are: empty mount points.
mkdir -p /var/lib/kubelet /var/lib/containerd /var/log/pods /var/log/containers /etc/cni/net.d /var/lib/cni
mount --bind "$folder/kubelet" /var/lib/kubelet
mount --bind "$folder/containerd" /var/lib/containerd
mount --bind "$folder/log/pods" /var/log/pods
mount --bind "$folder/log/containers" /var/log/containers
mount --bind "$folder/cni" /etc/cni/net.d
mount --bind "$folder/run/cni" /var/lib/cni
mount --bind "$folder/run" /run

ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
touch "$folder/init.ready"
exec "$reaper"
