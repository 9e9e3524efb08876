#!/usr/bin/env bash
# Take the README's picture: the top of the demo's report, in headless Chromium.
#
#     make report && docs/make_picture.sh
set -euo pipefail
cd "$(dirname "$0")/.."
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
    { echo "no Chromium on this machine: apt-get install chromium" >&2; exit 1; }
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
# --no-sandbox: containers run as root; the page is our own and refers to nothing outside.
"$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$profile" \
    --window-size=1280,1075 --screenshot="${2:-docs/report.png}" \
    "file://$(realpath "${1:-results/report.html}")" 2>/dev/null
