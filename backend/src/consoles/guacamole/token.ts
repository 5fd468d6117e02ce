import { createCipheriv, randomBytes } from 'node:crypto'
import type { ScreenForGuacd } from './messages.js'

export const TOKEN_CYPHER = 'aes-256-cbc'
/** `VNC`'s own number; guacd asks for one, and a path needs none. */
const VNC_PORT = '5900'
const IV_BYTES = 16

/**
 * The connection's settings as guacamole-lite reads them: base64 of JSON of base64. It never leaves the process that
 * makes it and reads it: the key is that process's own, and a viewer never sees a token. guacamole-lite reads the vector
 * and the text as ASCII, so the vector has seven random bits a byte and the text is escaped.
 */
export function mintToken(key: Buffer, screen: ScreenForGuacd): string {
  const settings = {
    hostname: screen.path,
    port: VNC_PORT,
    'read-only': screen.readOnly ? 'true' : '',
    autoretry: '',
    // Nothing of a guest leaves this machine by guacd itself.
    'enable-sftp': '',
    'enable-audio': '',
    audio: [],
    image: ['image/webp', 'image/png', 'image/jpeg'],
  }
  const iv = randomBytes(IV_BYTES).map((byte) => byte & 0x7f)
  const cipher = createCipheriv(TOKEN_CYPHER, key, iv)
  const text = ascii(JSON.stringify({ connection: { type: 'vnc', settings } }))
  const value = Buffer.concat([cipher.update(text, 'latin1'), cipher.final()])
  const sealed = JSON.stringify({ iv: Buffer.from(iv).toString('base64'), value: value.toString('base64') })
  return Buffer.from(sealed).toString('base64')
}

function ascii(json: string): string {
  // Beyond ASCII's printable letters; JSON.stringify has escaped those before them.
  return json.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
