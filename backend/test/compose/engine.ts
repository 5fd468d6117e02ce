import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { untilSeen } from '../support/until.js'
import { docker } from './stack.js'

const run = promisify(execFile)

/**
 * A program that starts this machine's engine (`… up`), where the tests may end it: in CI. On a developer's machine other
 * things run on the engine, and these tests are not among those that are run.
 */
export const ENGINE = process.env['SANDLABX_TEST_ENGINE']

/** Asks the engine to end, as an upgrade of its package does, and starts it. */
export async function restartEngine(): Promise<void> {
  const pid = await enginePid()
  process.kill(pid, 'SIGTERM')
  await untilGone(pid, 240_000)
  await startEngine()
}

/**
 * The nearest to a power cut that a running machine allows: the engine and every process of these containers are gone at
 * once, without a word. What they had written and not flushed stays; that is tried in test/faults.
 */
export async function cutPower(containers: readonly string[]): Promise<void> {
  const format = '{{.State.Pid}}'
  const pids = (await docker('inspect', '--format', format, ...containers)).split('\n').map(Number)
  const engine = await enginePid()
  const supervisor = await childOf(engine, 'containerd')
  for (const pid of [engine, ...(supervisor === undefined ? [] : [supervisor]), ...pids.filter((one) => one > 0)])
    process.kill(pid, 'SIGKILL')
  await untilGone(engine, 20_000)
  await startEngine()
}

async function enginePid(): Promise<number> {
  const file = await readFile('/var/run/docker.pid', 'utf8')
  return Number(file.trim())
}

async function childOf(parent: number, name: string): Promise<number | undefined> {
  const children = (await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')).trim().split(' ')
  for (const child of children.filter((one) => one !== '')) {
    const comm = await readFile(`/proc/${child}/comm`, 'utf8').catch(() => '')
    if (comm.trim() === name) return Number(child)
  }
  return undefined
}

function untilGone(pid: number, withinMs: number) {
  const look = () =>
    readFile(`/proc/${pid}/stat`, 'utf8').then(
      (stat) => / Z /.test(stat),
      () => true,
    )
  return untilSeen(`the end of process ${pid}`, look, withinMs)
}

async function startEngine(): Promise<void> {
  if (ENGINE === undefined) throw new Error('SANDLABX_TEST_ENGINE does not say how the engine is started')
  await run(ENGINE, ['up'], { timeout: 120_000 })
}
