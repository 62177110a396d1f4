# shellcheck shell=bash
# For deploy.sh: Kubernetes. Sourced; uses its options and `run`, `say`, `problem`.
# shellcheck disable=SC2154 # those are set there

[ -n "$environment" ] || fail 2 '--environment is needed for k8s'
overlay=$repository/k8s/overlays/$environment
# Variants of production are in its namespace.
namespace=$(awk '$1 == "namespace:" { print $2; exit }' "$overlay/kustomization.yaml" 2> /dev/null || true)
namespace=${namespace:-flatline-$environment}
servers=app.kubernetes.io/name=flatline,app.kubernetes.io/component=server
green=flatline-green
# The second half of a patch path: a slash within a key is written ~1.
instance=app.kubernetes.io~1instance

k() { kubectl ${context:+--context "$context"} --namespace "$namespace" "$@"; }

# What is to be applied, with the image that was asked for, into $work/rendered.yaml.
render() {
  [ ! -s "$work/rendered.yaml" ] || return 0
  [ -d "$overlay" ] || fail 2 "there is no overlay $overlay"
  kubectl kustomize "$overlay" > "$work/overlay.yaml" || return
  local current
  current=$(awk '$1 == "kind:" { kind = $2 } kind == "Deployment" && $1 == "image:" { print $2; exit }' "$work/overlay.yaml")
  {
    printf 'resources: [overlay.yaml]\n'
    if [ -n "$image" ]; then
      printf 'images:\n  - name: %s\n' "$(name_of "$current")"
      if [[ $image == *@* ]]; then
        printf '    newName: %s\n    digest: %s\n' "${image%@*}" "${image#*@}"
      else
        printf '    newName: %s\n    newTag: "%s"\n' "$(name_of "$image")" "${tag:-latest}"
      fi
    fi
  } > "$work/kustomization.yaml"
  kubectl kustomize "$work" > "$work/rendered.yaml" || return
  deployed_image=${image:-$current}
}

k8s_is_running() { k get deployment flatline > /dev/null 2>&1; }

k8s_preflight() {
  need kubectl
  local failed=''
  render || return
  say "namespace $namespace, context ${context:-$(kubectl config current-context 2> /dev/null || echo none)}, image $deployed_image"
  local examples
  examples=$(grep -oiE 'change-?me|(SITE_URL|host): .*[/.]example\.(com|org)|^ *- [^ ]*\.example\.(com|org)$' "$work/rendered.yaml" | sort -u || true)
  if [ -n "$examples" ]; then
    problem "$overlay still has examples:" "$examples"
    failed=yes
  fi
  case $deployed_image@$(tag_of "$deployed_image") in
    *@*@*) ;;
    *@ | *@latest) problem "$deployed_image may be another tomorrow, and cannot be rolled back to: name a version" && failed=yes ;;
  esac
  if ! k auth can-i patch deployments > "$work/answer" 2>&1; then
    problem "this account may not deploy to $namespace, or there is no cluster: $(head -n 1 "$work/answer")"
    return 1
  fi
  check_secret || failed=yes
  check_alerting
  if ! k apply --dry-run=server --filename "$work/rendered.yaml" > "$work/answer" 2>&1; then
    problem "the cluster would not take the manifests: $(grep -iE 'error|invalid|denied' "$work/answer" | head -n 3)"
    failed=yes
  fi
  if k8s_is_running && ! k rollout status deployment/flatline --timeout=5s > /dev/null 2>&1; then
    say 'WARNING: what runs now is not healthy either, so that a rollback would lead there'
  fi
  if [ -n "$(frozen_on)" ]; then
    problem 'a blue-green deployment was broken off: run rollback first'
    failed=yes
  fi
  [ -z "$failed" ]
}

# Every key that the pods ask for is there, and none is an example. Values are looked at, never shown.
check_secret() {
  local key missing='' keys
  if ! keys=$(keys_of flatline-secrets); then
    problem "there is no Secret flatline-secrets in $namespace"
    return 1
  fi
  for key in $(needed_keys); do
    grep -qx "$key" <<< "$keys" || missing+=" $key"
  done
  if [ -n "$missing" ]; then problem "the Secret flatline-secrets lacks$missing" && return 1; fi
  if k get secret flatline-secrets --output 'go-template={{range .data}}{{. | base64decode}}{{"\n"}}{{end}}' |
    grep -qiE 'change[-_ ]?me|placeholder|example'; then
    problem 'the Secret flatline-secrets still holds an example'
    return 1
  fi
}

# shellcheck disable=SC2016 # the dollars are the template's
keys_of() { k get secret "$1" --output 'go-template={{range $key, $_ := .data}}{{$key}}{{"\n"}}{{end}}' 2> /dev/null; }

# Flatline runs without this Secret, but the Prometheus Operator then leaves the AlertmanagerConfig out, without an error here.
check_alerting() {
  local key missing='' keys
  keys=$(keys_of flatline-alerting || true)
  while read -r key; do
    grep -qx "$key" <<< "$keys" || missing+=" $key"
  done < <(grep -B 1 'name: flatline-alerting$' "$work/rendered.yaml" | awk '$1 == "key:" { print $2 }' | sort -u)
  [ -z "$missing" ] || say "WARNING: no alert of Prometheus will notify anybody: the Secret flatline-alerting lacks$missing"
}

needed_keys() {
  awk '/secretKeyRef:/ { key = name = optional = ""; left = 4 }
    left > 0 { if ($1 == "key:") key = $2; if ($1 == "name:") name = $2; if ($1 == "optional:") optional = $2
      left--; if (left == 0 && name == "flatline-secrets" && optional != "true") print key }' "$work/rendered.yaml" | sort -u
}

k8s_backup() { k exec deployment/flatline --container flatline -- node dist/cli.js backup -; }

# The migration needs the new configuration and its own new image, and nothing else of what is new.
k8s_migrate() {
  render || return
  run k apply --filename "$work/rendered.yaml" --selector 'app.kubernetes.io/component in (configuration, migration)' || return
  local job waited condition=''
  job=flatline-migration-$(date --utc +%Y%m%d%H%M%S)
  run k create job "$job" --from=cronjob/flatline-migration || return
  if [ -n "$dry_run" ]; then return; fi
  for ((waited = 0; waited < timeout; waited += 2)); do
    condition=$(k get job "$job" --output 'jsonpath={.status.conditions[?(@.status=="True")].type}')
    case $condition in
      *Complete*) k logs "job/$job" >&2 || true && return ;;
      *Failed*) break ;;
    esac
    sleep 2
  done
  problem "the Job $job is ${condition:-not done after $timeout s}; its log:"
  k logs "job/$job" --tail=20 >&2 || true
  return 1
}

# Undoing is for a change that was applied: before that the newest revision is the one to keep.
k8s_remember() {
  previous=$(k get deployment flatline --output 'jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}' 2> /dev/null || true)
}

k8s_replace() {
  render || return
  if [ "$strategy" = blue-green ] && k8s_is_running; then
    blue_green
  else
    run k apply --filename "$work/rendered.yaml" && rolled_out flatline
  fi
}

rolled_out() { run k rollout status "deployment/$1" --timeout="${timeout}s"; }

k8s_verify() {
  local expected=$1 selector=${2:-$servers} pods pod version failed=''
  # Those on their way out do not count.
  pods=$(k get pods --selector "$selector" --field-selector status.phase=Running --output \
    'go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}}{{"\n"}}{{end}}{{end}}') || return
  if [ -z "$pods" ]; then problem 'no pod runs' && return 1; fi
  for pod in $pods; do
    if ! k exec "$pod" --container flatline -- node dist/cli.js healthcheck > "$work/answer" 2>&1; then
      problem "$pod is not ready: $(tail -n 1 "$work/answer")"
      failed=yes
    fi
    version=$(k exec "$pod" --container flatline -- node --print 'require("./package.json").version') || version=unknown
    if [ -n "$expected" ] && [ "$version" != "$expected" ]; then
      problem "$pod runs version $version, not $expected"
      failed=yes
    fi
    say "$pod: version $version"
  done
  [ -z "$failed" ]
}

k8s_smoke() { k exec deployment/flatline --container flatline -- node dist/cli.js "$@"; }

k8s_rollback() {
  local revision=$1
  # Called after a failed deploy: unless that one has made a revision, the newest is what was there before.
  if [ -z "$revision" ] && [ -n "${previous:-}" ]; then revision=$previous; fi
  if [ "${previous-unset}" = '' ]; then problem 'this was the first deployment: there is no previous version' && return 1; fi
  run k rollout undo deployment/flatline ${revision:+--to-revision="$revision"} || return
  rolled_out flatline || return
  leave_blue_green
}

# --- blue-green: while the Service is frozen on the hash of one set of pods, others get no traffic

frozen_on() { k get service flatline --output 'jsonpath={.spec.selector.pod-template-hash}' 2> /dev/null || true; }

freeze_on() {
  say "traffic goes to the pods of $1"
  run k patch service flatline --type=json --patch '[{"op": "add", "path": "/spec/selector/pod-template-hash", "value": "'"$2"'"}]'
}

hash_of() { k get pods --selector "$1" --output 'jsonpath={.items[0].metadata.labels.pod-template-hash}'; }

blue_green() {
  local replicas blue_hash green_hash='of-green'
  replicas=$(k get deployment flatline --output 'jsonpath={.status.readyReplicas}') || return
  blue_hash=$(hash_of "$servers,app.kubernetes.io/instance!=green") || return
  freeze_on blue "$blue_hash" || return
  render_green "${replicas:-1}" || return
  run k apply --filename "$work/green/rendered.yaml" --selector app.kubernetes.io/instance=green || return
  rolled_out "$green" || return
  if [ -z "$dry_run" ]; then
    k8s_verify "$expect_version" "$servers,app.kubernetes.io/instance=green" || return
    green_hash=$(hash_of "$servers,app.kubernetes.io/instance=green") || return
  fi
  freeze_on green "$green_hash" || return
  run sleep "$soak"
  if [ -z "$dry_run" ]; then
    if ! k8s_verify "$expect_version" "$servers,app.kubernetes.io/instance=green"; then
      freeze_on blue "$blue_hash"
      return 1
    fi
  fi
  # Green serves while blue becomes new in its turn, so that in the end everything is as the manifests say.
  run k apply --filename "$work/rendered.yaml" || return
  rolled_out flatline || return
  leave_blue_green
}

render_green() {
  mkdir -p "$work/green"
  cp "$work/rendered.yaml" "$work/green/all.yaml"
  cat > "$work/green/kustomization.yaml" << END
resources: [all.yaml]
patches:
  - target: {kind: Deployment, name: flatline}
    options: {allowNameChange: true}
    patch: |-
      - {op: replace, path: /metadata/name, value: $green}
      - {op: add, path: /metadata/labels/$instance, value: green}
      - {op: add, path: /spec/selector/matchLabels/$instance, value: green}
      - {op: add, path: /spec/template/metadata/labels/$instance, value: green}
      - {op: add, path: /spec/replicas, value: $1}
END
  kubectl kustomize "$work/green" > "$work/green/rendered.yaml"
}

leave_blue_green() {
  if [ -n "$(frozen_on)" ]; then
    run k patch service flatline --type=json --patch '[{"op": "remove", "path": "/spec/selector/pod-template-hash"}]' || return
  fi
  if k get deployment "$green" > /dev/null 2>&1; then run k delete deployment "$green"; fi
}
