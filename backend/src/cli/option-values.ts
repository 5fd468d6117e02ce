import { InvalidArgumentError } from 'commander'
import { GIB, MIB, parseBytes } from '../domain/units.js'

// Readers of option values for commander: what can't be read is a usage error (exit 2). Limits are the server's.

/** `512M`, `2G`, or a bare number of MiB. → MiB */
export function memoryMib(text: string): number {
  const bytes = /^\d+$/.test(text) ? Number(text) * MIB : parseBytes(text)
  if (bytes === undefined || bytes < MIB) throw new InvalidArgumentError('Give a size like 512M or 2G.')
  return Math.round(bytes / MIB)
}

/** `10G`, or a bare number of GiB. → bytes */
export function diskBytes(text: string): number {
  const bytes = /^\d+$/.test(text) ? Number(text) * GIB : parseBytes(text)
  if (bytes === undefined || bytes < MIB) throw new InvalidArgumentError('Give a size like 10G.')
  return bytes
}

/** Bytes per second like `20M`, operations per second like `500`; `off` or `none`: 0, which means no limit. */
export function rate(text: string): number {
  if (text === 'off' || text === 'none') return 0 // commander takes null for a value that is missing
  const number = parseBytes(text)
  if (number === undefined || number < 1) throw new InvalidArgumentError('Give a number like 500 or 20M, or "off".')
  return number
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.')
  return Number(text)
}

export function port(text: string): number {
  const number = wholeNumber(text)
  if (number > 65_535) throw new InvalidArgumentError('A port is at most 65535.')
  return number
}

/** For options that may be given several times. */
export function collect(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text]
}
