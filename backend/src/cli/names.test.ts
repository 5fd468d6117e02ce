import { describe, expect, it } from '@jest/globals'
import { idFromFile } from './image-commands.js'
import { normalUrl } from './credentials.js'
import { checkMemory, checkNode } from './local-checks.js'

describe('names that people give', () => {
  it.each([
    ['lab.example:8080', 'http://lab.example:8080'],
    ['https://lab.example/', 'https://lab.example'],
    ['https://lab.example/sandlabx//', 'https://lab.example/sandlabx'],
    ['HTTP://Lab.Example', 'http://lab.example'],
  ])('the address %j is %j', (text, url) => expect(normalUrl(text)).toBe(url))

  it.each(['ftp://lab', 'http://', 'http://a b'])('%j is no web address', (text) => {
    expect(() => normalUrl(text)).toThrow('no web address')
  })

  it.each([
    ['/tmp/Debian 12 (generic).qcow2', 'debian-12-generic'],
    ['--x.RAW', 'x'],
    ['a'.repeat(80), 'a'.repeat(63)],
  ])('the file %j makes the image id %j', (file, id) => expect(idFromFile(file)).toBe(id))

  it('asks for an id where the file gives none', () => {
    expect(() => idFromFile('/tmp/日本.img')).toThrow('No image id')
  })
})

describe('checks of this machine', () => {
  it.each([
    ['20.18.9', 'failed'],
    ['20.19.0', 'ok'],
    ['22.1.0', 'ok'],
    ['18.20.0', 'failed'],
  ])('Node.js %s is %s', (version, state) => expect(checkNode(version).state).toBe(state))

  it('warns below 2 GiB of memory', () => {
    expect(checkMemory(1024 ** 3).state).toBe('warning')
    expect(checkMemory(4 * 1024 ** 3).state).toBe('ok')
  })
})
