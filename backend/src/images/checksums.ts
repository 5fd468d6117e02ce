import { SandlabError } from '../domain/error.js'
import { sha256Of } from './file-blocks.js'
import { openSuspect } from './suspect-file.js'

/** Throws `checksum_mismatch` for a file that is not what was announced; `image_refused` for one that is no file. */
export async function requireChecksums(
  files: readonly { path: string; sha256: string }[],
  signal: AbortSignal,
): Promise<void> {
  for (const { path, sha256 } of files) {
    const { file, stats } = await openSuspect(path)
    try {
      const actual = await sha256Of(file, stats.size, { signal })
      if (actual === sha256) continue
      throw new SandlabError('checksum_mismatch', 'What has arrived is not what was announced: its sha256 differs.', {
        hint: 'Send it again.',
        details: { algorithm: 'sha256', expected: sha256, actual },
      })
    } finally {
      await file.close()
    }
  }
}
