#!/usr/bin/env bash
# Brings the nodes of an older SandLabX over, with their disks: ./migrate-state.sh [--dry-run]. See docs/migration.md.
#
# This script only finds the old parts and makes them reachable: the container sandlabx-backend (running or stopped), the
# volumes sandlabx-backend-state and sandlabx-overlays, the database of sandlabx-postgres, folders of this machine. What
# is done with them is decided and done by `sandlabx state migrate`, in the container or here, and told before.
set -euo pipefail

root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# Their names were fixed; who had changed them says how.
old_backend=${SANDLABX_OLD_BACKEND:-sandlabx-backend}
old_postgres=${SANDLABX_OLD_POSTGRES:-sandlabx-postgres}
state_volume=${SANDLABX_OLD_STATE_VOLUME:-sandlabx-backend-state}
overlays_volume=${SANDLABX_OLD_OVERLAYS_VOLUME:-sandlabx-overlays}
postgres_image=postgres:17

from=()       # folders that were named
pass=()       # arguments for `sandlabx state migrate`
mounts=()     # of the container that runs it
folders=()    # what it looks through: paths in the container, or here
target=auto
postgres_user=
report=
dry_run=no yes=no json=no delete_old=no
found=0

usage() {
  cat <<'TEXT'
Brings the nodes of an older SandLabX over, with their disks. Finds it by itself, also when its containers are stopped.

  ./migrate-state.sh --dry-run      say what would be done, and change nothing
  ./migrate-state.sh                show the plan, ask, do it, compare and verify all of it

  --from DIR         a folder of an old installation (again for more): nodes-state.json, overlays/, images/, a *.sql dump
  --owner LOGIN      who gets nodes without an owner; else the first administrator
  --without NAME     leave this node behind (again for more)
  --yes              do not ask; needed where there is no terminal
  --delete-old       delete the old disks afterwards, those that were copied and compared
  --delete-old-of R  only that, for the report.json of an earlier run (its path as that run told it)
  --json             answer in JSON
  --target WHERE     compose or embedded: which SandLabX they come to; else the one that is set up here
  --postgres-user U  of the old database, when its container is gone

Old files are only read. On any error everything is taken back. It can be run again.
TEXT
}

main() {
  read_arguments "$@"
  choose_target
  work=$(mktemp -d "$root/.migrate-XXXXXX")
  trap clean_up EXIT
  look_at_folders
  if have_docker; then
    look_at_backend_container
    look_at_volume "$state_volume" state
    look_at_volume "$overlays_volume" overlays
    [ -n "$report" ] || look_at_database
  fi
  if [ "$found" -gt 0 ]; then say "Looking through what was found…"; else say 'Nothing old was found outside of the folders of this SandLabX; looking there.'; fi
  run_migration
}

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --from | --owner | --without | --target | --postgres-user | --delete-old-of)
        [ $# -ge 2 ] || fail 2 "$1 needs a value." "See ./migrate-state.sh --help."
        case $1 in
          --from) [ -d "$2" ] || fail 1 "There is no folder $2." 'Name the folder with the old overlays/ and images/.'
            from+=("$(readlink -f "$2")") ;;
          --delete-old-of) delete_old=yes report=$2 ;;
          --target) target=$2 ;;
          --postgres-user) postgres_user=$2 ;;
          *) pass+=("$1" "$2") ;;
        esac
        shift 2
        continue
        ;;
      --dry-run) dry_run=yes pass+=("$1") ;;
      --yes | -y) yes=yes pass+=(--yes) ;;
      --delete-old) delete_old=yes pass+=("$1") ;;
      --json) json=yes pass+=("$1") ;;
      --help | -h) usage && exit 0 ;;
      *) fail 2 "There is no option $1." "See ./migrate-state.sh --help." ;;
    esac
    shift
  done
  case $target in auto | compose | embedded) ;; *) fail 2 "--target is compose or embedded, not $target." ;; esac
  [ "$dry_run" = yes ] || [ "$yes" = yes ] || [ -t 0 ] ||
    fail 2 'It asks first, and there is no terminal to ask on.' 'Look at it with --dry-run, then add --yes.'
}

# The one that has been started here; where none has, Compose if there is an engine.
choose_target() {
  [ "$target" = auto ] || return 0
  target=embedded
  [ ! -e "$root/state/nodes-state.json" ] || return 0
  if have_docker && docker compose version >/dev/null 2>&1; then target=compose; fi
}

# --- what is old ------------------------------------------------------------------------------------------------------

look_at_folders() {
  local folder
  for folder in "${from[@]}"; do reach_folder "$folder" "from-$found"; done
  # A clone in which the old one ran: its own folders are looked at anyway, its state may lie elsewhere.
  if [ -e "$root/backend/nodes-state.json" ]; then
    mkdir -p "$work/host"
    cp "$root/backend/nodes-state.json" "$work/host/nodes-state.json"
    reach_folder "$work/host" host
  fi
}

look_at_backend_container() {
  local state mount_type name source destination copy=$work/container
  state=$(docker inspect --type container --format '{{.State.Status}}' "$old_backend" 2>/dev/null) || return 0
  say "Found the container $old_backend ($state)."
  if [ "$state" = running ] && [ "$dry_run" = no ]; then
    fail 1 "The old SandLabX is running: its disks would change while they are copied." \
      "Stop it, and leave its container there: docker stop $old_backend"
  fi
  mkdir -p "$copy"
  # Also from a stopped one; where it has none, nothing is there to come over.
  docker cp "$old_backend:/app/nodes-state.json" "$copy/nodes-state.json" >/dev/null 2>&1 || true
  mkdir -p "$copy/state"
  docker cp "$old_backend:/app/state/nodes-state.json" "$copy/state/nodes-state.json" >/dev/null 2>&1 || true
  reach_folder "$copy" container
  while IFS='|' read -r mount_type name source destination; do
    case $destination in
      /overlays | /images) ;;
      *) continue ;;
    esac
    if [ "$mount_type" = volume ]; then look_at_volume "$name" "${destination#/}"; else reach_part "$source" "${destination#/}" "container-${destination#/}"; fi
  done < <(docker inspect --type container \
    --format '{{range .Mounts}}{{.Type}}|{{.Name}}|{{.Source}}|{{.Destination}}{{"\n"}}{{end}}' "$old_backend")
}

# A Docker volume, as the part of an installation that it is.
look_at_volume() {
  local name=$1 part=$2 place
  docker volume inspect "$name" >/dev/null 2>&1 || return 0
  case " ${seen_volumes:-} " in *" $name "*) return 0 ;; esac
  seen_volumes="${seen_volumes:-} $name"
  say "Found the volume $name."
  if [ "$target" = compose ]; then
    add_mount "$name" "/migrate/volume-$name/$part"
    folders+=("/migrate/volume-$name")
    found=$((found + 1))
    return 0
  fi
  place=$(docker volume inspect --format '{{.Mountpoint}}' "$name")
  if [ ! -r "$place" ]; then
    fail 1 "The volume $name can't be read by you." "Run this as root: sudo ./migrate-state.sh …"
  fi
  reach_part "$place" "$part" "volume-$name"
}

look_at_database() {
  local state dump=$work/postgres/postgres.sql image volume user
  mkdir -p "$work/postgres"
  state=$(docker inspect --type container --format '{{.State.Status}}' "$old_postgres" 2>/dev/null) || state=none
  if [ "$state" = none ]; then
    volume=$(docker volume ls --quiet | grep -E '(^|[_-])pgdata$' | head -n 1) || return 0
    [ -n "$volume" ] || return 0
    image=$postgres_image
    user=$postgres_user
  else
    image=$(docker inspect --type container --format '{{.Config.Image}}' "$old_postgres")
    volume=$(docker inspect --type container \
      --format '{{range .Mounts}}{{if eq .Destination "/var/lib/postgresql/data"}}{{.Name}}{{end}}{{end}}' "$old_postgres")
    user=$(docker inspect --type container --format '{{range .Config.Env}}{{println .}}{{end}}' "$old_postgres" |
      sed -n 's/^POSTGRES_USER=//p')
    user=${postgres_user:-${user:-postgres}}
    # For `docker exec -e PGPASSWORD`: some were set up to ask for it inside the container as well.
    PGPASSWORD=$(docker inspect --type container --format '{{range .Config.Env}}{{println .}}{{end}}' "$old_postgres" |
      sed -n 's/^POSTGRES_PASSWORD=//p')
    export PGPASSWORD
  fi
  if [ "$state" = running ]; then
    say "Found the database in $old_postgres."
    dump_database "$old_postgres" "$user" "$dump" || return 0
  elif [ -n "$volume" ]; then
    say "Found the database's volume $volume."
    dump_volume "$volume" "$image" "$user" "$dump" || return 0
  else
    return 0
  fi
  reach_folder "$work/postgres" postgres
}

# A throw-away server on a copy of the volume: the old one stays as it is, also its log.
dump_volume() {
  local volume=$1 image=$2 user=$3 dump=$4 version candidate
  version=$(docker run --rm --network none -v "$volume:/old:ro" --entrypoint cat "$image" /old/PG_VERSION 2>/dev/null) || {
    say "The volume $volume holds no database; left out."
    return 1
  }
  case $image in postgres:"$version"*) ;; *) [ "$image" != "$postgres_image" ] || image=postgres:$version ;; esac
  copy_volume=sandlabx-migrate-$$
  docker volume create "$copy_volume" >/dev/null
  # The copy asks nobody for a password: its only way in is this script's, and what the old one was set to is not known.
  docker run --rm --network none -v "$volume:/old:ro" -v "$copy_volume:/new" --entrypoint sh "$image" \
    -c 'cp -a /old/. /new/ && rm -f /new/postmaster.pid && echo "local all all trust" >/new/pg_hba.conf'
  copy_server=sandlabx-migrate-$$
  docker run -d --network none --name "$copy_server" -v "$copy_volume:/var/lib/postgresql/data" "$image" >/dev/null
  wait_for_server "$copy_server"
  for candidate in $user postgres sandlabx guacamole_user guacamole; do
    if docker exec "$copy_server" psql -qAt -U "$candidate" -d template1 -c 'select 1' >/dev/null 2>&1; then
      dump_database "$copy_server" "$candidate" "$dump"
      return
    fi
  done
  [ -z "$postgres_user" ] || fail 1 "The database in $volume does not let $postgres_user in." 'Give a dump of it with --from.'
  # It may be another program's.
  say "The database in $volume lets nobody in by the usual names; left out. If it is the old one, name its user with --postgres-user."
  return 1
}

wait_for_server() {
  local tries
  for tries in $(seq 1 60); do
    if docker exec "$1" pg_isready -q >/dev/null 2>&1; then return 0; fi
    [ "$(docker inspect --format '{{.State.Status}}' "$1")" = running ] ||
      fail 1 'The old database did not start on a copy of its volume:' "$(docker logs --tail 5 "$1" 2>&1)"
    sleep 1
  done
  fail 1 "The old database did not answer within $tries seconds." 'Make a dump of it yourself (pg_dump --data-only) and give its folder with --from.'
}

# The database that has the nodes; 1 when none has.
dump_database() {
  local container=$1 user=$2 dump=$3 name
  for name in $(docker exec -e PGPASSWORD "$container" psql -qAt -U "$user" -d template1 \
    -c 'select datname from pg_database where datallowconn and not datistemplate'); do
    [ "$(docker exec -e PGPASSWORD "$container" psql -qAt -U "$user" -d "$name" -c "select to_regclass('sandlabx_nodes') is not null")" = t ] || continue
    docker exec -e PGPASSWORD "$container" pg_dump --data-only -U "$user" -t sandlabx_nodes -t sandlabx_users "$name" >"$dump"
    return 0
  done
  say 'The old database has no nodes.'
  return 1
}

# --- how it is reached ------------------------------------------------------------------------------------------------

# A folder that is laid out as an installation.
reach_folder() {
  found=$((found + 1))
  if [ "$target" = compose ]; then
    add_mount "$1" "/migrate/$2"
    folders+=("/migrate/$2")
  else
    folders+=("$1")
  fi
}

# A folder that is one part of an installation: overlays, images or state.
reach_part() {
  local source=$1 part=$2 name=$3
  [ "$source" != "$root/$part" ] || return 0 # our own, which is looked at anyway
  found=$((found + 1))
  if [ "$target" = compose ]; then
    add_mount "$source" "/migrate/$name/$part"
    folders+=("/migrate/$name")
  else
    mkdir -p "$work/$name"
    ln -s "$source" "$work/$name/$part"
    folders+=("$work/$name")
  fi
}

# Read-only, unless the old disks may be deleted in the end.
add_mount() {
  local mode=ro
  if [ "$dry_run" = no ] && { [ "$delete_old" = yes ] || [ "$yes" = no ]; }; then mode=rw; fi
  mounts+=(-v "$1:$2:$mode")
}

run_migration() {
  local arguments=() folder
  if [ -n "$report" ]; then
    arguments=(--delete-old-of "$report")
  else
    for folder in "${folders[@]}"; do arguments+=(--from "$folder"); done
  fi
  if [ "$target" = embedded ]; then
    "$root/sandlabx" state migrate "${arguments[@]}" "${pass[@]}"
    return
  fi
  cd "$root"
  if [ -n "$(docker compose ps --quiet --status running backend 2>/dev/null)" ]; then
    fail 75 'SandLabX is running, and a migration needs it alone.' \
      'Stop it: docker compose stop backend     Afterwards: docker compose up -d'
  fi
  local terminal=()
  [ -t 0 ] && [ -t 1 ] || terminal=(-T)
  # Its database comes with it.
  docker compose run --rm "${terminal[@]}" "${mounts[@]}" backend sandlabx state migrate "${arguments[@]}" "${pass[@]}"
}

have_docker() { command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

clean_up() {
  if [ -n "${copy_server:-}" ]; then docker rm -f "$copy_server" >/dev/null 2>&1 || true; fi
  if [ -n "${copy_volume:-}" ]; then docker volume rm "$copy_volume" >/dev/null 2>&1 || true; fi
  rm -rf "$work"
}

say() { [ "$json" = yes ] || printf '%s\n' "$*" >&2; }

fail() {
  local code=$1
  shift
  if [ "$json" = yes ]; then
    printf '{"error":{"code":"migration","message":"%s"}}\n' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
  fi
  printf 'migrate-state.sh: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit "$code"
}

main "$@"
