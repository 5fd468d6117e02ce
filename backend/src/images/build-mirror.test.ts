import { describe, expect, it } from '@jest/globals'
import { aptSettings, parseIndexTargets, sourcesList } from './build-mirror.js'

const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg'

describe('the mirror of a build', () => {
  it('is the one of the machine, with updates and security', () => {
    const targets = parseIndexTargets(
      'bookworm|main|Debian|Debian|http://mirror.example/debian/\n' +
        'bookworm-updates|main|Debian|Debian|http://mirror.example/debian/\n' +
        'bookworm-security|main|Debian|Debian-Security|http://mirror.example/security/\n',
    )
    expect(sourcesList(targets, KEYS)).toBe(
      `deb [signed-by=${KEYS}] http://mirror.example/debian/ bookworm main\n` +
        `deb [signed-by=${KEYS}] http://mirror.example/debian/ bookworm-updates main\n` +
        `deb [signed-by=${KEYS}] http://mirror.example/security/ bookworm-security main\n`,
    )
  })

  it('has bookworm on a machine with another release, and nothing of third parties', () => {
    const targets = parseIndexTargets(
      'nodistro|main|. nodistro|. nodistro|https://deb.nodesource.com/node_20.x/\n' +
        'trixie|main|Debian|Debian|https://a.example/d/\n' +
        'trixie|non-free|Debian|Debian|https://b.example/d/\n',
    )
    expect(sourcesList(targets, null)).toBe('deb https://a.example/d/ bookworm main\n')
  })

  it('is the public one where the machine has no lists, a local folder or a mirror list', () => {
    const list = `deb [signed-by=${KEYS}] http://deb.debian.org/debian/ bookworm main\n`
    expect(sourcesList([], KEYS)).toBe(list)
    const others = 'bookworm|main|Debian|Debian|mirror+file:/etc/apt/m.list\nbookworm|main|Debian|Debian|file:/srv/d/\n'
    expect(sourcesList(parseIndexTargets(others), KEYS)).toBe(list)
  })

  it('never takes an address that would be more than one word of the list', () => {
    const targets = parseIndexTargets('bookworm|main|Debian|Debian|http://x/ evil main [trusted=yes]\n')
    expect(sourcesList(targets, null)).toBe('deb http://deb.debian.org/debian/ bookworm main\n')
  })
})

describe("the machine's apt settings", () => {
  it('are taken over where a mirror needs them, and no others', () => {
    const dump = [
      'Acquire::http "";',
      'Acquire::http::Proxy "http://proxy.example:3128/";',
      'Acquire::https::Proxy "DIRECT";',
      'Acquire::Check-Valid-Until "false";',
      'Acquire::AllowInsecureRepositories "1";',
      'APT::Update::Post-Invoke:: "rm -rf /";',
      'Dir::Etc "etc/apt";',
    ].join('\n')
    expect(aptSettings(dump).split('\n')).toEqual([
      'Acquire::http::Proxy "http://proxy.example:3128/";',
      'Acquire::https::Proxy "DIRECT";',
      'Acquire::Check-Valid-Until "false";',
      '',
    ])
  })
})
