import { describe, expect, it } from '@jest/globals'
import { spawn } from 'node:child_process'
import { findProcess, isSameProcess, parseStat, readProcess, signalProcess } from './processes.js'

const STAT = (name: string, state: string) =>
  `4242 (${name}) ${state} 1 4242 4242 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 4 0 98765 1 2 3`

describe('a process', () => {
  it.each(['qemu-system-x86', 'a) R 1 2', 'name with (brackets) )'])('named %j is read rightly', (name) => {
    expect(parseStat(STAT(name, 'S'))).toEqual({ dead: false, startTime: '98765' })
  })
  it('that is a zombie is dead', () => {
    expect(parseStat(STAT('qemu', 'Z'))?.dead).toBe(true)
  })
  it.each(['', '1', '1 (x', '1 (x) S 1 2'])('is not seen in %j', (text) => {
    expect(parseStat(text)).toBeUndefined()
  })

  it('is known by pid and start time, and found by its arguments', async () => {
    const us = await readProcess(process.pid)
    if (!us) throw new Error('we live')
    expect(us.exe).toBe(process.execPath)
    expect(await isSameProcess(us)).toBe(true)
    expect(await isSameProcess({ ...us, startTime: '1' })).toBe(false)
    const found = await findProcess(
      (args) => args.length === us.args.length && args.every((arg, n) => arg === us.args[n]),
    )
    expect(found?.args).toEqual(us.args)
    expect(await findProcess((args) => args.includes('no process has this argument, surely'))).toBeNull()
  })

  it('that has ended is nobody, and gets no signal', async () => {
    const child = spawn('true')
    const ended = new Promise((resolve) => child.once('exit', resolve))
    const pid = child.pid ?? 0
    await ended
    expect(await readProcess(pid)).toBeNull()
    expect(await isSameProcess({ pid, startTime: '1' })).toBe(false)
    expect(await signalProcess({ pid, startTime: '1' }, 'SIGTERM')).toBe(false)
  })

  it('gets a signal only when it is the same', async () => {
    const child = spawn('sleep', ['60'])
    const facts = await readProcess(child.pid ?? 0)
    if (!facts) throw new Error('it sleeps')
    const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)))
    expect(await signalProcess({ ...facts, startTime: '1' }, 'SIGKILL')).toBe(false)
    expect(child.signalCode).toBeNull()
    expect(await signalProcess(facts, 'SIGTERM')).toBe(true)
    expect(await ended).toBe('SIGTERM')
  })
})
