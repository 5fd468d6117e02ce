import { describe, expect, it } from '@jest/globals'
import { createSerialControl } from './serial-control.js'

const ann = { id: 'ann-1', userId: 'ann', mode: 'control' } as const
const annAgain = { id: 'ann-2', userId: 'ann', mode: 'control' } as const
const bob = { id: 'bob-1', userId: 'bob', mode: 'control' } as const
const eve = { id: 'eve-1', userId: 'eve', mode: 'view' } as const

describe('control of a serial line', () => {
  it('goes to the first who may type, and stays there when others come', () => {
    const control = createSerialControl()
    control.join(eve)
    expect(control.writerId).toBeNull()
    control.join(ann)
    control.join(bob)
    expect(control.writerId).toBe('ann-1')
  })

  it('is taken by whoever may type, never by a viewer', () => {
    const control = createSerialControl()
    for (const one of [ann, bob, eve]) control.join(one)
    control.take('bob-1')
    expect(control.writerId).toBe('bob-1')
    control.take('eve-1')
    control.take('nobody')
    expect(control.writerId).toBe('bob-1')
  })

  it('follows a person to their newer socket', () => {
    const control = createSerialControl()
    for (const one of [ann, bob, annAgain]) control.join(one)
    expect(control.writerId).toBe('ann-2')
    control.leave('ann-1')
    expect(control.writerId).toBe('ann-2')
  })

  it('goes to whoever has waited longest when the writer leaves or gives it up', () => {
    const control = createSerialControl()
    for (const one of [eve, ann, bob]) control.join(one)
    control.release('ann-1')
    expect(control.writerId).toBe('bob-1')
    control.leave('bob-1')
    expect(control.writerId).toBe('ann-1')
    control.release('ann-1')
    expect(control.writerId).toBeNull()
    control.take('ann-1')
    expect(control.writerId).toBe('ann-1')
  })

  it('is taken by a guest, never given to one, and comes back to who is at home', () => {
    const control = createSerialControl()
    const ina = { id: 'ina-1', userId: 'ina', mode: 'control', guest: true } as const
    control.join(ina)
    expect(control.writerId).toBeNull()
    control.join(ann)
    control.take('ina-1')
    expect(control.writerId).toBe('ina-1')
    control.release('ina-1')
    expect(control.writerId).toBe('ann-1')
    control.leave('ann-1')
    expect(control.writerId).toBeNull()
  })

  it('does not change more often than a person changes it', () => {
    let now = 0
    const control = createSerialControl(() => now)
    control.join(ann)
    let changes = 0
    const press = (act: 'take' | 'release') => {
      const before = control.writerId
      control[act]('ann-1')
      if (control.writerId !== before) changes += 1
    }
    for (let times = 0; times < 100; times += 1) press(control.writerId === null ? 'take' : 'release')
    expect(changes).toBe(20)
    control.join(bob)
    control.take('bob-1')
    expect(control.writerId).toBe('bob-1')
    now = 60_000
    control.take('ann-1')
    expect(control.writerId).toBe('ann-1')
  })
})
