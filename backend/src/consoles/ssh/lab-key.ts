import { readFile } from 'node:fs/promises'
import ssh2 from 'ssh2'
import { type Layout, sshKeyFile } from '../../domain/layout.js'
import { SandlabError } from '../../domain/error.js'
import { errnoOf, writeFileDurably } from '../../system/durable-file.js'

/** The key pair by which this installation signs in to its guests. */
export interface LabKey {
  /** OpenSSH's own format; never leaves the backend. */
  privateKey: string
  /** One line, as in `authorized_keys`. */
  publicKey: string
}

const COMMENT = 'SandLabX console'

/**
 * The key pair that is kept in `state/ssh-key`, mode 0600; made at the first start. Throws `state_io` for a file that is no
 * private key, or can't be read: a new one would lock SandLabX out of every guest that knows the old.
 */
export async function openLabKey(layout: Layout): Promise<LabKey> {
  const file = sshKeyFile(layout)
  const kept = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw unusable(file, error)
  })
  const privateKey = kept ?? ssh2.utils.generateKeyPairSync('ed25519', { comment: COMMENT }).private
  const parsed = ssh2.utils.parseKey(privateKey)
  if (parsed instanceof Error) throw unusable(file, parsed)
  if (kept === undefined) await writeFileDurably(file, privateKey)
  return { privateKey, publicKey: `${parsed.type} ${parsed.getPublicSSH().toString('base64')} ${COMMENT}` }
}

function unusable(file: string, cause: unknown): SandlabError {
  return new SandlabError('state_io', `The key by which SSH consoles sign in, ${file}, can not be used.`, {
    hint: 'Put it back from a backup. Or move it away: a new one is made, which only nodes made from then on will know.',
    cause,
  })
}
