import { SandlabError } from '../domain/error.js'

/** The one error of a file that is not taken: what was found, why that is dangerous or useless, what to do instead. */
export function refused(found: string, hint: string, details: Record<string, unknown> = {}): SandlabError {
  return new SandlabError('image_refused', found, { hint, details })
}

/** For files that a clean copy mends. The new file is made on the person's own machine, with the person's rights. */
export const CONVERT_YOURSELF =
  'On your own machine run `qemu-img convert -O qcow2 OLD NEW.qcow2` and give the new file.'

export const COPY_AGAIN = 'Copy or download it again, and compare its checksum with the publisher’s.'
