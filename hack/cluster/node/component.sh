#!/bin/bash
# Start, stop or look at one component, inside a node's namespaces (see nodes.py).
#   component.sh start  FOLDER NAME COMMAND...   prints "started" when it was not running
#   component.sh signal FOLDER NAME SIGNAL       waits until it is gone; no error when it does not run
#   component.sh pid    FOLDER NAME              prints the pid, or nothing
# A record is "<pid inside the namespace> <start time>": containers share the pid space and pids are used again, so a pid
# alone proves nothing.
set -u
action=$1 folder=$2 name=$3
shift 3
record=$folder/pids/$name

started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

running_pid() {
    local pid started
    [ -s "$record" ] || return 0
    read -r pid started <"$record"
    [ "$(started_at "$pid")" = "$started" ] && echo "$pid"
    return 0
}

pid=$(running_pid)
case $action in
    pid) echo "$pid" ;;
    start)
        [ -n "$pid" ] && exit 0
        setsid "$@" >>"$folder/logs/$name.log" 2>&1 </dev/null &
        echo "$! $(started_at $!)" >"$record"
        echo started
        ;;
    signal)
        [ -n "$pid" ] || exit 0
        kill "-$1" "$pid"
        for _ in $(seq 300); do
            [ -z "$(running_pid)" ] && exit 0
            sleep 0.1
        done
        echo "component.sh: $name (pid $pid) still runs 30 s after signal $1" >&2
        exit 1
        ;;
esac
