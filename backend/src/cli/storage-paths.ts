import { existsSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'

/**
 * A disk file as the server knows it: what begins with `/` is as records show it (`/overlays/…`) or a place on the
 * server's machine. A file that lies here is meant with its whole path, so that the Tab key helps.
 */
export function storagePath(text: string): string {
  const here = resolve(text)
  return !isAbsolute(text) && existsSync(here) ? here : text
}
