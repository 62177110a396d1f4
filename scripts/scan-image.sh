#!/usr/bin/env bash
# Looks for known vulnerabilities in an image of Flatline, or in its bill of materials, with the scanner that is installed.
set -euo pipefail

usage() {
  cat << 'END'
usage: scripts/scan-image.sh [options] <image | file>

Scans an image, such as flatline:latest, or a CycloneDX bill of materials: the image has its own as /app/sbom.cdx.json, which
  docker run --rm --entrypoint cat flatline /app/sbom.cdx.json > sbom.cdx.json
gets out. Uses trivy or grype, the first that is on the PATH; both download their database of vulnerabilities.

  --severity LEVEL   the least severity that fails: low, medium, high (the default) or critical
  --unfixed          vulnerabilities without a fix fail, too
  --scanner NAME     trivy or grype
  --require          no scanner is a failure, and not skipped
  --help

Exit status: 0 nothing found, or skipped; 1 vulnerabilities found; 2 it could not be scanned.
END
}

say() { printf 'scan-image.sh: %s\n' "$*" >&2; }
die() {
  say "$@"
  exit 2
}

severity=high unfixed='' scanner='' require='' target=''
while [ $# -gt 0 ]; do
  case $1 in
    --severity) severity=${2:?--severity needs a level} && shift ;;
    --unfixed) unfixed=yes ;;
    --scanner) scanner=${2:?--scanner needs a name} && shift ;;
    --require) require=yes ;;
    --help) usage && exit ;;
    -*) die "unknown option $1 (--help lists them)" ;;
    *)
      [ -z "$target" ] || die 'name one image or file'
      target=$1
      ;;
  esac
  shift
done
[ -n "$target" ] || die 'name an image or a file (--help)'
levels=(LOW MEDIUM HIGH CRITICAL)
case $severity in
  low) ;;
  medium) levels=(MEDIUM HIGH CRITICAL) ;;
  high) levels=(HIGH CRITICAL) ;;
  critical) levels=(CRITICAL) ;;
  *) die '--severity must be low, medium, high or critical' ;;
esac
case $scanner in
  '' | trivy | grype) ;;
  *) die '--scanner must be trivy or grype' ;;
esac

for candidate in ${scanner:-trivy grype}; do
  if command -v "$candidate" > /dev/null; then
    scanner=$candidate found=yes
    break
  fi
done
if [ -z "${found:-}" ]; then
  [ -z "$require" ] || die "no scanner is installed: ${scanner:-trivy or grype}"
  say "SKIPPED: $target WAS NOT SCANNED, because ${scanner:-neither trivy nor grype} is not installed"
  exit
fi

# Both answer 1 also when they fail themselves, so that their own status for findings is another one.
findings=3
if [ "$scanner" = trivy ]; then
  kind=image
  [ ! -f "$target" ] || kind=sbom
  arguments=("$kind" --exit-code "$findings" --severity "$(IFS=, && printf '%s' "${levels[*]}")")
  [ -n "$unfixed" ] || arguments+=(--ignore-unfixed)
  arguments+=("$target")
else
  [ ! -f "$target" ] || target=sbom:$target
  arguments=("$target" --fail-on "$severity")
  [ -n "$unfixed" ] || arguments+=(--only-fixed)
  # grype answers 2 for findings, and 1 for a failure.
  findings=2
fi
say "$scanner ${arguments[*]}"
status=0
"$scanner" "${arguments[@]}" || status=$?
case $status in
  0) say "no vulnerability of severity $severity or higher" ;;
  "$findings")
    say "VULNERABLE: severity $severity or higher"
    exit 1
    ;;
  *) die "$scanner could not scan $target (status $status)" ;;
esac
