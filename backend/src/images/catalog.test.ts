import { readFile } from 'node:fs/promises'
import { describe, expect, it } from '@jest/globals'
import { layoutOf } from '../domain/layout.js'
import { parseCatalog, readCatalog } from './catalog.js'

const shipped = () => readFile(new URL('../../../images/catalog.json', import.meta.url), 'utf8')

describe('the shipped catalogue', () => {
  it('is valid, and found for a data folder without its own', async () => {
    expect(await readCatalog(layoutOf('/nowhere'))).toEqual(parseCatalog(await shipped(), 'shipped'))
  })

  it('has the systems that a lab begins with, on BIOS and on UEFI', async () => {
    const images = parseCatalog(await shipped(), 'shipped')
    const titles = images.map((image) => image.title).join('\n')
    for (const name of ['Debian 12', 'Debian 13', 'Ubuntu 24.04', 'Alpine', 'CirrOS', 'Fedora', 'OpenWrt']) {
      expect(titles).toContain(name)
    }
    expect(new Set(images.map((image) => image.firmware))).toEqual(new Set(['bios', 'uefi']))
  })

  it('names each image once, none like a recipe, each at a versioned https address', async () => {
    const images = parseCatalog(await shipped(), 'shipped')
    const ids = images.map((image) => image.id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const recipe of ['tiny', 'debian-12', 'debian-12-systemd']) expect(ids).not.toContain(recipe)
    for (const { url, version } of images) {
      expect(url).toMatch(/^https:\/\//)
      expect(url).not.toMatch(/latest|current/)
      expect(url).toContain(version)
    }
  })

  it('can verify every download, by a digest of the right length or the publisher’s checksum file', async () => {
    for (const { checksum } of parseCatalog(await shipped(), 'shipped')) {
      if (checksum.value === null) expect(checksum.url).toMatch(/^https:\/\//)
      else expect(checksum.value).toMatch(checksum.algorithm === 'sha256' ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{128}$/)
    }
  })

  it('unpacks exactly what is packed', async () => {
    for (const { url, compression } of parseCatalog(await shipped(), 'shipped')) {
      expect(compression).toBe(url.endsWith('.gz') ? 'gzip' : url.endsWith('.xz') ? 'xz' : 'none')
    }
  })
})

describe('a catalogue that somebody edited', () => {
  it.each([
    ['no JSON', '{', /not valid JSON/],
    ['an unknown field', '{"images":[],"extra":1}', /extra/],
    ['a half entry', '{"images":[{"id":"x"}]}', /images\.0\.title/],
    ['an id that is a path', '{"images":[{"id":"../x"}]}', /images\.0\.id/],
  ])('with %s is refused, naming the fault', (_name, text, says) => {
    expect(() => parseCatalog(text, '/data/images/catalog.json')).toThrow(says)
  })
})
