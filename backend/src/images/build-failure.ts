import { SandlabError, type ErrorCode } from '../domain/error.js'
import { CommandError } from '../system/command.js'

const NO_NETWORK =
  /Failed to fetch|Temporary failure resolving|Could not resolve|Could not connect|Unable to connect|no longer has a Release file|does not have a Release file|Some index files failed/
const NO_SPACE = /No space left on device|Disk quota exceeded|not enough free space|Could not allocate block/i

/** Says in our terms why a step of a build failed; `what` completes "Could not …". Other errors pass unchanged. */
export function buildFailure(what: string, error: unknown, code: ErrorCode = 'build_failed'): unknown {
  if (!(error instanceof CommandError)) return error
  if (error.cancelled) return new SandlabError('cancelled', 'It was cancelled; nothing was kept.', { cause: error })
  const output = `${error.stdout}\n${error.stderr}`
  if (NO_SPACE.test(output)) {
    return new SandlabError('no_space', `Could not ${what}: the disk is full.`, {
      hint: 'Free some disk space, then try again. Nothing was kept.',
      cause: error,
    })
  }
  const reason = reasonIn(output) ?? (error.timedOut ? 'it took too long.' : `\`${error.binary}\` failed.`)
  if (code === 'download_failed' || NO_NETWORK.test(output)) {
    return new SandlabError('download_failed', `Could not ${what}: ${reason}`, {
      hint: 'See whether `apt-get update` works on this machine: a build uses the same mirror. Then try again.',
      cause: error,
    })
  }
  return new SandlabError(code, `Could not ${what}: ${reason}`, {
    hint: 'The log of this operation shows the last lines of the build.',
    cause: error,
  })
}

/** The first thing that apt, dpkg or mmdebstrap called an error; later ones follow from it. */
function reasonIn(output: string): string | undefined {
  const line = output.split('\n').find((one) => /^(E|Err|dpkg|dpkg-deb|tar|mke2fs|chroot): ?(error: )?\S/.test(one))
  return line?.replace(/^E: /, '').slice(0, 300)
}
