import { describe, expect, it } from '@jest/globals'
import { quoted, seedFiles, type Seed } from './seed-text.js'

const ada: Seed = { instanceId: 'i-1', hostName: 'web', user: 'ada', passwordHash: '$6$salt$hash', sshKeys: [] }

/** Values that would leave their place in a careless YAML writer. */
const HOSTILE = [
  '"\nroot: true\n"',
  '\\"\\',
  "' - #: {}[]&*!|>%@`",
  'tab\there',
  'nul\0 bell\x07 escape\x1b delete\x7f',
  'next\u0085line\u2028separator',
  'é ü 漢 😀',
  '\ud800 alone',
  '\ufffe\uffff\ufeff',
  '#cloud-config',
  '',
  '$(reboot) `reboot` ${x}',
]

/** The YAML 1.2 double-quoted scalar, by its grammar (section 7.3.1), for the escapes that `quoted` uses. */
function unquote(text: string): string {
  return text
    .slice(1, -1)
    .replaceAll(/\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(["\\]))/g, (_match, short, long, plain: string | undefined) =>
      plain === undefined ? String.fromCodePoint(Number.parseInt(String(short ?? long), 16)) : plain,
    )
}

describe('the texts of a seed', () => {
  it.each(HOSTILE)('keep %j in its place and give it back whole', (value) => {
    const text = quoted(value)
    expect(text).toMatch(/^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*"$/)
    expect(unquote(text)).toBe(Buffer.from(value).toString())
  })

  it.each(HOSTILE)('have the same lines whether a value is %j or harmless', (value) => {
    const plain = seedFiles({ ...ada, sshKeys: ['ssh-ed25519 AAAA'] })
    const hostile = seedFiles({
      instanceId: value,
      hostName: value,
      user: value,
      passwordHash: value,
      sshKeys: [value],
    })
    const shape = (text: string) => text.replaceAll(/"(?:\\.|[^"\\])*"/g, '"…"')
    expect(shape(hostile['user-data'])).toBe(shape(plain['user-data']))
    expect(shape(hostile['meta-data'])).toBe(shape(plain['meta-data']))
  })

  it('name the account, its password hash and its keys', () => {
    const text = seedFiles({ ...ada, sshKeys: ['ssh-ed25519 AAAA ada@home'] })['user-data']
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        '#cloud-config',
        'hostname: "web"',
        '  name: "ada"',
        '  lock_passwd: false',
        '  hashed_passwd: "$6$salt$hash"',
        '    - "ssh-ed25519 AAAA ada@home"',
        'ssh_pwauth: true',
      ]),
    )
    expect(text.startsWith('#cloud-config\n')).toBe(true)
  })

  it('lock the account and refuse passwords over SSH when there is no password', () => {
    const text = seedFiles({ ...ada, passwordHash: null })['user-data']
    expect(text).toContain('\n  lock_passwd: true\n')
    expect(text).toContain('\nssh_pwauth: false\n')
    expect(text).not.toContain('hashed_passwd')
  })

  it('tell the instance and its host name', () => {
    expect(seedFiles(ada)['meta-data']).toBe('instance-id: "i-1"\nlocal-hostname: "web"\n')
  })
})
