import { quote } from '../../config/program.ts';
import { type BootTarget, WRITTEN_BY } from './target.ts';

/** Where Node.js is installed, in the order in which it is looked for. */
const WELL_KNOWN = [
  '"$HOME"/.nvm/versions/node/*/bin',
  '"$HOME"/.local/share/fnm/node-versions/*/installation/bin',
  '"$HOME"/.volta/tools/image/node/*/bin',
  '"$HOME"/.local/share/mise/installs/node/*/bin',
  '"$HOME"/.asdf/installs/nodejs/*/bin',
  '"$HOME"/.nodenv/versions/*/bin',
  '"$HOME"/n/bin',
  '/usr/local/bin',
  '/usr/bin',
  '/opt/homebrew/bin',
];

/**
 * A shell script that starts upkeep for an init system. It finds Node.js and upkeep where the ones of today are gone, so it
 * is neither JavaScript nor a part of the package.
 * @param role of the daemon; see bin/daemon.ts.
 */
export function launcherText(
  { home, userHome, shell, nodes, program }: BootTarget,
  role: 'kept' | 'kept-until-sigterm' = 'kept',
): string {
  return `#!/bin/sh
# ${WRITTEN_BY}
# Starts upkeep with the Node.js that it was set up with or, where that is gone, as after an upgrade, with another one:
# docs/boot.md of upkeep tells which.
HOME=${quote(userHome)} UPKEEP_HOME=${quote(home)} PATH=\${PATH:-/usr/local/bin:/usr/bin:/bin}
export HOME UPKEEP_HOME PATH
shell=${quote(shell)}
program=${quote(program)}

usable() {
  [ -x "$1" ] && "$1" -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' </dev/null >/dev/null 2>&1
}

first_of() {
  for node; do usable "$node" && return; done
  return 1
}

# Of the versions of one version manager.
last_of() {
  last=
  for folder; do usable "$folder/node" && last=$folder/node; done
  node=$last
  [ -n "$node" ]
}

limited() {
  if command -v timeout >/dev/null; then timeout 10 "$@"; else perl -e 'alarm 10; exec @ARGV' "$@"; fi
}

# Where the user's shell finds a program. Version managers set PATH in files that only some kinds of shell read.
ask() {
  limited "$shell" "$1" "command -v $2" </dev/null 2>/dev/null | grep '^/' | tail -n 1
}

find_node() {
  first_of ${nodes.map(quote).join(' ')} ||
    first_of "$(ask -lc node)" ||
    first_of "$(ask -lic node)" ||
    ${WELL_KNOWN.map((folder) => `last_of ${folder}`).join(' ||\n    ')}
}

# It may be a link, as package managers make them.
is_upkeep() {
  program=$1
  [ -e "$program" ] || return 1
  [ -e "\${program%/*}/daemon.cjs" ] && return
  program=$("$node" -p 'fs.realpathSync(process.argv[1])' "$1")
  [ -e "\${program%/*}/daemon.cjs" ]
}

find_upkeep() {
  is_upkeep "$program" ||
    is_upkeep "\${node%/*}/upkeep" ||
    is_upkeep "$(ask -lc upkeep)" ||
    is_upkeep "$(ask -lic upkeep)" ||
    is_upkeep /usr/local/bin/upkeep ||
    is_upkeep /usr/bin/upkeep ||
    is_upkeep /opt/homebrew/bin/upkeep
}

give_up() {
  echo "upkeep: $1 is not found; install it, or run 'upkeep startup' with the one there is" >&2
  # The init system tries again, without end.
  sleep 5
  exit 1
}

find_node || give_up 'Node.js 20.19 or later'
find_upkeep || give_up 'upkeep itself'
[ "$1" = daemon ] || exec "$node" "$program" "$@"
exec "$node" "\${program%/*}/daemon.cjs" "$UPKEEP_HOME" ${role} "$0"
`;
}
