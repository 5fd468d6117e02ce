/** What a guest is told about itself. The shape of `GuestSeed` in hosts/engine.ts. */
export interface Seed {
  /** A new one makes the guest do its first-boot steps again. */
  instanceId: string
  hostName: string
  user: string
  /** crypt(3); null: the account is locked, only SSH keys sign in. */
  passwordHash: string | null
  /** OpenSSH public keys, one each. */
  sshKeys: readonly string[]
}

/**
 * The NoCloud files, by name (docs.cloudinit.io, NoCloud). `user-data` has one double-quoted value a line: that is what
 * recipes/initrd/apply-seed of our own images reads, without a YAML parser.
 *
 * There is no `network-config`: then cloud-init asks for an address by DHCP on the first card, in the words of whatever
 * distribution it runs on. A file of ours would have to name the card, and no name fits all.
 */
export function seedFiles(seed: Seed): Record<'meta-data' | 'user-data', string> {
  return { 'meta-data': metaData(seed), 'user-data': userData(seed) }
}

function metaData(seed: Seed): string {
  return lines([`instance-id: ${quoted(seed.instanceId)}`, `local-hostname: ${quoted(seed.hostName)}`])
}

/**
 * `user` changes the distribution's own first account (`users: [default]`), so that it keeps the groups and the shell
 * which that distribution has: a named shell would lock people out where it is not installed (Alpine has no bash).
 */
function userData(seed: Seed): string {
  const locked = seed.passwordHash === null
  return lines([
    '#cloud-config',
    `hostname: ${quoted(seed.hostName)}`,
    'preserve_hostname: false',
    'manage_etc_hosts: true',
    'user:',
    `  name: ${quoted(seed.user)}`,
    `  sudo: ${quoted('ALL=(ALL) NOPASSWD:ALL')}`,
    `  lock_passwd: ${locked}`,
    ...(seed.passwordHash === null ? [] : [`  hashed_passwd: ${quoted(seed.passwordHash)}`]),
    ...(seed.sshKeys.length === 0 ? [] : ['  ssh_authorized_keys:']),
    ...seed.sshKeys.map((key) => `    - ${quoted(key)}`),
    'users:',
    '  - default',
    `ssh_pwauth: ${!locked}`,
    'growpart:',
    '  mode: auto',
    'resize_rootfs: true',
  ])
}

/**
 * A YAML 1.2 double-quoted scalar in printable ASCII on one line: whatever the text holds, it stays this one value.
 * JSON's escapes would not do: YAML readers refuse some characters that JSON leaves bare, and read a surrogate pair as
 * two characters.
 */
export function quoted(text: string): string {
  let inner = ''
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0
    const code = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point // half a character is none
    if (character === '"' || character === '\\') inner += `\\${character}`
    else if (code >= 0x20 && code < 0x7f) inner += character
    else if (code <= 0xffff) inner += `\\u${code.toString(16).padStart(4, '0')}`
    else inner += `\\U${code.toString(16).padStart(8, '0')}`
  }
  return `"${inner}"`
}

function lines(all: string[]): string {
  return `${all.join('\n')}\n`
}
