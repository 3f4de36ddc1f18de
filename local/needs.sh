#!/bin/sh
# Say in a sentence which program is missing or too old, before anything fails inside of it.
#
#     local/needs.sh python3.11 terraform node      each as the command that is called; python may be a path
code=0

refuse() {
    printf '✗ %s\n' "$1" >&2
    code=2
}

# Succeed if the version "$1" is at least "$2"."$3".
at_least() {
    major=${1%%.*}
    rest=${1#*.}
    minor=${rest%%[!0-9]*}
    [ "$major" -gt "$2" ] || { [ "$major" -eq "$2" ] && [ "${minor:-0}" -ge "$3" ]; }
} 2>/dev/null

# needs <command> <name> <major> <minor> <version that it has, or nothing> <what to do>
needs() {
    if ! command -v "$1" >/dev/null 2>&1; then
        refuse "$2 $3.$4 or newer is needed, and there is no '$1' on the PATH. $6"
    elif ! at_least "$5" "$3" "$4"; then
        refuse "$2 $3.$4 or newer is needed, and '$1' is ${5:-of an unknown version}. $6"
    fi
}

for program in "$@"; do
    case $program in
    terraform | terraform-test)
        # `terraform test` keeps states apart by their key since 1.11.
        minor=9
        [ "$program" = terraform ] || minor=11
        version=$(terraform version 2>/dev/null | sed -n 's/^Terraform v//p' | head -n 1)
        needs terraform Terraform 1 "$minor" "$version" "Install it: https://developer.hashicorp.com/terraform/install"
        ;;
    chromium)
        [ -x "${CHROMIUM:-}" ] ||
            refuse "Chromium is needed, and is not on the PATH. Only make check-browser and make picture use it. On Debian: apt-get install chromium. Or name another: make CHROMIUM=/path/to/chrome …"
        ;;
    node)
        version=$(node --version 2>/dev/null | sed 's/^v//')
        needs node Node.js 20 16 "$version" "Only the tests use it. Install it, with npm: https://nodejs.org"
        command -v npm >/dev/null 2>&1 || refuse "npm is needed, and is not on the PATH. It comes with Node.js: https://nodejs.org"
        ;;
    git)
        command -v git >/dev/null 2>&1 || refuse "git is needed, and is not on the PATH. Only the tests use it. Install it: https://git-scm.com"
        ;;
    *)
        version=$("$program" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
        needs "$program" Python 3 11 "$version" "Install it (https://www.python.org/downloads), or name another: make PYTHON=/path/to/python3 …"
        ;;
    esac
done
exit $code
