import { describe, expect, it } from '@jest/globals'
import { isSandlabError } from '../../domain/error.js'
import { parseNodeConfig } from './config-yaml.js'

const refusal = (text: string): string => {
  try {
    parseNodeConfig(text)
    return 'taken'
  } catch (error) {
    if (isSandlabError(error, 'bad_node_config')) return error.message
    throw error
  }
}

const BOMB = `a: &a ["x","x","x","x","x","x","x","x","x"]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]
e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]
name: web
`

describe('a YAML file from a stranger', () => {
  it('with aliases in aliases is refused at once', () => {
    const before = process.cpuUsage() // our own time: the machine may be busy
    expect(refusal(BOMB)).toContain('aliases')
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })

  it.each([
    ['a tag of its own', 'name: !!js/function "x"', 'tag'],
    ['a local tag', 'name: !exec id', 'tag'],
    ['binary text', 'name: !!binary aGVsbG8=', 'tag'],
    ['a key twice', 'name: web\nname: db', 'unique'],
    ['a prototype', '__proto__: {name: evil}\nname: web', '__proto__'],
    ['a constructor', 'guest: {constructor: {prototype: {x: 1}}}', 'constructor'],
    ['a map as key', '? {a: 1}\n: x', 'no text'],
    ['two documents', 'name: web\n---\nname: db', ''],
    ['a merge key', 'network: [{<<: {type: user}}]', '<<'],
    ['text that is no YAML', 'name: [web', ''],
    ['a list', '- name: web', 'Invalid input'],
  ])('with %s is refused, and told so', (_what, text, word) => {
    expect(refusal(text)).not.toBe('taken')
    expect(refusal(text)).toContain(word)
    expect(({} as Record<string, unknown>)['name']).toBeUndefined()
  })

  it('nested without end is refused', () => {
    expect(refusal('['.repeat(20_000))).toContain('deeply')
    expect(refusal('- '.repeat(20_000))).toContain('deeply')
  })

  it('of more than 64 KiB is refused, also when it is short in letters', () => {
    expect(refusal(`name: web # ${'é'.repeat(40_000)}`)).toContain('64 KiB')
  })

  it('that is plain is read', () => {
    expect(parseNodeConfig('name: web\narguments:\n  - m: "4G"\n  - enable-kvm: null\n')).toMatchObject({
      name: 'web',
      memoryMib: 4096,
    })
    expect(parseNodeConfig('')).toMatchObject({ name: null })
  })
})
