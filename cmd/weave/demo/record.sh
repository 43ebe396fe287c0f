#!/usr/bin/env bash
# Plays a few turns in a real terminal (tmux) and draws its screen as an SVG: record.sh PROGRAM OUT.svg
set -euo pipefail
program=$(realpath "$1") out=$2
command -v tmux >/dev/null || { echo "make demo needs tmux: install it and try again" >&2; exit 1; }
data=$(mktemp -d)
trap 'tmux -L weave-demo kill-server 2>/dev/null || true; rm -rf "$data"' EXIT
say() { tmux -L weave-demo send-keys -l "$1"; sleep 0.3; tmux -L weave-demo send-keys Enter; }
screen() { tmux -L weave-demo capture-pane -p; }
# settled waits until nothing is being made (the mark at the end of the title is full) and the screen has stood still for a second.
settled() { local before="" now same=0; for _ in $(seq 240); do sleep 0.5; now=$(screen); case "$now" in "$before") same=$((same + 1)) ;; *) same=0 ;; esac; case "$now" in *●*) [ $same -ge 2 ] && return ;; esac; before=$now; done; }
tmux -L weave-demo -f /dev/null new-session -d -x 100 -y 30 "env TERM=xterm-256color COLORTERM=truecolor WEAVE_DATA=$data $program play drowned-library --seed 7"
tmux -L weave-demo set -g default-terminal xterm-256color
settled
for line in "hello, who are you?" "whats in the locked cabinet??" "my grandmother used to bring me here" "/blend captain 0.4"; do say "$line"; settled; done
say "can i help you move the books?"; settled
tmux -L weave-demo capture-pane -e -p >"$data/screen.ans"
go run github.com/charmbracelet/freeze@v0.2.2 "$data/screen.ans" --language ansi --output "$out" --font.family monospace --theme dracula --padding 16,72,16,16 --border.radius 6
echo "$out"
