/** A FramebufferUpdate (RFC 6143, 7.6.1) with one raw rectangle of one colour, 32 bits a pixel, BGRX. */
export function rectangle(x: number, y: number, width: number, height: number, colour: number[]): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt16BE(1, 2)
  header.writeUInt16BE(x, 4)
  header.writeUInt16BE(y, 6)
  header.writeUInt16BE(width, 8)
  header.writeUInt16BE(height, 10)
  return Buffer.concat([header, Buffer.alloc(width * height * 4, Buffer.from([...colour, 0]))])
}

/** ServerCutText (7.6.4); its letters are Latin-1. */
export function serverCutText(text: string): Buffer {
  const letters = Buffer.from(text, 'latin1')
  const header = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(letters.length, 4)
  return Buffer.concat([header, letters])
}

/** Keys that were pressed and let go of, by what a VNC server has heard: `+97`, `-97`. Other messages are passed over. */
export function keysHeard(heard: Buffer): string[] {
  const keys: string[] = []
  for (let at = 0; at < heard.length;) {
    const type = heard[at]
    if (type === 4) keys.push(`${heard[at + 1] === 1 ? '+' : '-'}${heard.readUInt32BE(at + 4)}`)
    at += messageBytes(heard, at)
  }
  return keys
}

function messageBytes(heard: Buffer, at: number): number {
  switch (heard[at]) {
    case 0:
      return 20
    case 2:
      return 4 + 4 * heard.readUInt16BE(at + 2)
    case 3:
      return 10
    case 4:
      return 8
    case 5:
      return 6
    case 6:
      return 8 + heard.readUInt32BE(at + 4)
    default:
      throw new Error(`the server heard a message of type ${heard[at]}`)
  }
}
