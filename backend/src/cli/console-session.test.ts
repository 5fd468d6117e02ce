import { describe, expect, it } from '@jest/globals'
import type { Viewer } from '../domain/console.js'
import { describeViewers, newPart } from './console-session.js'

const viewer = (id: string, changes: Partial<Viewer> = {}): Viewer => ({
  id,
  login: id,
  kind: 'serial',
  mode: 'control',
  engine: 'direct',
  writer: false,
  size: null,
  ...changes,
})

describe('newPart of a replay', () => {
  const part = (replay: string, seen: string) => newPart(Buffer.from(replay), Buffer.from(seen)).toString()

  it.each([
    ['everything at first, without the reset', '\u001Bcabc', '', 'abc'],
    ['what came after what was seen', '\u001Bcabcdef', 'bcd', 'ef'],
    ['after the last place where it fits', 'abab-abab-new', 'abab', '-new'],
    ['nothing when nothing came', 'abc', 'abc', ''],
    ['everything when what was seen is gone', 'xyz', 'abc', 'xyz'],
  ])('is %s', (_what, replay, seen, drawn) => expect(part(replay, seen)).toBe(drawn))
})

describe('describeViewers', () => {
  it.each([
    [[viewer('me', { writer: true })], 'You type. Nobody else is here.'],
    [[viewer('me', { writer: true }), viewer('bert')], 'You type. Also here: bert (watches).'],
    [
      [viewer('me'), viewer('bert', { writer: true })],
      'You watch, because bert types; Ctrl-T takes control. Also here: bert (types).',
    ],
    [[viewer('me', { mode: 'view' }), viewer('bert', { writer: true })], 'You watch. Also here: bert (types).'],
    [
      // On the screen everybody in control writes; that is no reason why we can't.
      [
        viewer('me', { writer: true }),
        viewer('carla', { kind: 'screen', writer: true }),
        viewer('dora', { kind: 'ssh' }),
      ],
      'You type. Also here: carla (on the screen), dora (over SSH).',
    ],
  ])('%#: says who types', (viewers, words) => expect(describeViewers(viewers, 'me')).toBe(words))
})
