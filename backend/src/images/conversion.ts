import { SandlabError } from '../domain/error.js'
import { formatDuration } from '../domain/units.js'
import { CommandError, runCommand } from '../system/command.js'
import type { Identity } from '../system/identity.js'
import type { CheckedDisk } from './header-check.js'
import { maxConvertedBytes, maxCpuSeconds, type ImageLimits } from './image-limits.js'
import { CONVERT_YOURSELF, refused } from './refusal.js'

export interface Conversion {
  /** Working folder; the two names below are relative to it and ours, never a person's. */
  folder: string
  source: string
  target: string
  checked: CheckedDisk
  limits: ImageLimits
  identity: Identity | undefined
  /** Our own recipe made the file: it may take an hour of processor time. */
  trusted: boolean
  /** A base image is compressed; a node's disk is not, since its guest writes to it. Default: base. */
  form?: 'base' | 'disk'
  /** The largest file that may be written; default: in proportion to the source. */
  maxBytes?: number
  signal: AbortSignal
  /** 0 to 1. */
  onProgress: (done: number) => void
}

const HOUR_SECONDS = 3600

/**
 * Writes a fresh compressed qcow2 from a checked disk, so that nothing of a stranger's metadata reaches a node. Runs
 * `qemu-img` as the worker within limits of time, memory and output; the formats are stated, and `backing: null` keeps
 * it from opening another file even if our check was wrong.
 *
 * Throws `image_refused` when it fails, dies by a signal or meets a limit; `no_space`, `cancelled`, `missing_tool`.
 * What it wrote stays: the caller owns the folder.
 */
export async function convertToBase(conversion: Conversion): Promise<void> {
  const { folder, checked, limits, identity, signal } = conversion
  const cpuSeconds = conversion.trusted ? HOUR_SECONDS : maxCpuSeconds(limits, checked.fileBytes)
  try {
    await runCommand('qemu-img', conversionArguments(conversion.source, conversion.target, checked, conversion.form), {
      cwd: folder,
      timeoutMs: cpuSeconds * 4 * 1000, // waiting for a busy disk is no processor time
      signal,
      identity,
      env: { MALLOC_ARENA_MAX: '2' }, // else each thread reserves 64 MiB of the address space
      limits: {
        cpuSeconds,
        memoryBytes: limits.converterMemoryBytes,
        fileBytes: conversion.maxBytes ?? maxConvertedBytes(checked.fileBytes),
      },
      onLine: (line) => {
        const percent = /\((\d+(?:\.\d+)?)\/100%\)/.exec(line)?.[1]
        if (percent !== undefined) conversion.onProgress(Math.min(1, Number(percent) / 100))
      },
    })
  } catch (error) {
    throw conversionFailure(error, cpuSeconds)
  }
}

/** Pure: `-p` progress, `-c` compressed. The source is JSON, where no character of a name can mean an option. */
export function conversionArguments(
  source: string,
  target: string,
  checked: Pick<CheckedDisk, 'format'>,
  form: 'base' | 'disk' = 'base',
): string[] {
  const file = { driver: 'file', filename: source }
  const node = checked.format === 'qcow2' ? { driver: 'qcow2', backing: null, file } : { driver: 'raw', file }
  const how = form === 'base' ? ['-c', '-O', 'qcow2', '-o', 'compression_type=zstd'] : ['-O', 'qcow2', '-o', DISK_FORM]
  return ['convert', '-p', ...how, `json:${JSON.stringify(node)}`, target]
}

/** As system/qcow2-overlay.ts makes the disks of nodes. */
const DISK_FORM = 'cluster_size=128k,extended_l2=on'

function conversionFailure(error: unknown, cpuSeconds: number): unknown {
  if (!(error instanceof CommandError)) return error
  if (error.cancelled) return new SandlabError('cancelled', 'It was cancelled; nothing was kept.', { cause: error })
  if (error.stderr.includes('No space left on device')) {
    return new SandlabError('no_space', 'The disk became full while the image was converted.', {
      hint: 'Free some disk space, then try again. Nothing was changed.',
      cause: error,
    })
  }
  const { found, text } = reasonOf(error, cpuSeconds)
  const refusal = refused(`The file could not be converted: ${text}`, CONVERT_YOURSELF, { found })
  refusal.cause = error
  return refusal
}

function reasonOf(error: CommandError, cpuSeconds: number): { found: string; text: string } {
  if (error.timedOut || error.signal === 'SIGXCPU') {
    return { found: 'time limit', text: `it took longer than ${formatDuration(cpuSeconds * 1000)}.` }
  }
  if (error.signal === 'SIGXFSZ' || error.stderr.includes('File too large')) {
    return { found: 'size bomb', text: 'it unpacks to far more data than it holds.' }
  }
  if (error.signal) return { found: `signal ${error.signal}`, text: 'the converter crashed on it.' }
  return { found: 'damaged', text: 'its contents are damaged.' }
}
