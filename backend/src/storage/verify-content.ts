import { basename } from 'node:path'
import { z } from 'zod'
import { CommandError, runCommand } from '../system/command.js'
import { withOpenChain } from './chain-files.js'
import { limited, readerOf } from './layer-copies.js'
import type { Seen } from './verify-disk.js'

const checkSchema = z.object({
  corruptions: z.int().nonnegative().optional(),
  leaks: z.int().nonnegative().optional(),
  'check-errors': z.int().nonnegative(),
})

/**
 * Lets `qemu-img check` look at one qcow2 file of a stopped node: as the user of that disk, read-only, slowly, within
 * bounds, without taking QEMU's lock, so that it stands in nobody's way. What it stands on is not opened. Leaked clusters
 * are told and no fault: they take room, and no data is wrong. Throws when aborted.
 */
export async function verifyContent(path: string, name: string, signal: AbortSignal): Promise<Seen> {
  const seen = (ok: boolean, message: string): Seen => ({ check: 'content', path: name, ok, message })
  const said = await check(path, signal)
  if (typeof said === 'string') return seen(false, `qemu-img can't look at it: ${said}`)
  const { corruptions = 0, leaks = 0, 'check-errors': errors } = said
  if (corruptions + errors > 0) return seen(false, `qemu-img check found ${corruptions + errors} errors`)
  return seen(true, leaks === 0 ? 'content is sound' : `content is sound; ${leaks} clusters are taken for nothing`)
}

async function check(path: string, signal: AbortSignal): Promise<z.infer<typeof checkSchema> | string> {
  signal.throwIfAborted()
  try {
    const identity = await readerOf(path)
    return await withOpenChain([path], async (chain, extraFds) => {
      const args = ['qemu-img', 'check', '-U', '--output=json', `json:${JSON.stringify(chain)}`]
      const { stdout } = await runCommand('nice', ['-n', '15', ...args], {
        ...limited(identity, signal, 0),
        extraFds,
      }).catch((error: unknown) => {
        // 2: errors, 3: leaks; both with a report.
        if (error instanceof CommandError && (error.exitCode === 2 || error.exitCode === 3)) return error
        throw error
      })
      return checkSchema.parse(JSON.parse(stdout))
    })
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof CommandError) {
      const last = error.stderr.trim().split('\n').at(-1)
      return last === undefined || last === ''
        ? error.message
        : last.replaceAll(/\/proc\/self\/fd\/\d+/g, basename(path))
    }
    return error instanceof Error ? error.message : String(error)
  }
}
