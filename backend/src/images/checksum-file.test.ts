import { describe, expect, it } from '@jest/globals'
import { checksumIn } from './checksum-file.js'

const A = 'a'.repeat(64)
const B = 'b'.repeat(64)
const LONG = 'c'.repeat(128)

describe('checksumIn', () => {
  it.each([
    ['coreutils, text', `${A}  disk.img\n${B}  other.img\n`],
    ['coreutils, binary', `${B} *other.img\n${A} *disk.img\n`],
    ['coreutils, Windows line ends', `${A}  disk.img\r\n${B}  other.img\r\n`],
    ['coreutils, with ./', `${A}  ./disk.img\n`],
    ['BSD', `SHA256 (other.img) = ${B}\nSHA256 (disk.img) = ${A}\n`],
    [
      'Fedora, signed',
      `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# disk.img: 583729152 bytes\nSHA256 (disk.img) = ${A}\n-----BEGIN PGP SIGNATURE-----\nxyz\n`,
    ],
    ['capital digits', `${A.toUpperCase()}  disk.img\n`],
    ['a bare digest beside the file', `${A}\n`],
  ])('reads %s', (_name, text) => {
    expect(checksumIn(text, 'disk.img', 'sha256')).toBe(A)
  })

  it('reads SHA-512', () => {
    expect(checksumIn(`${LONG}  disk.img`, 'disk.img', 'sha512')).toBe(LONG)
  })

  it.each([
    ['another file only', `${A}  other.img\n`],
    ['a file whose name only ends like it', `${A}  old-disk.img\n`],
    ['another algorithm', `${LONG}  disk.img\n`],
    ['two different answers', `${A}  disk.img\n${B}  disk.img\n`],
    ['a page instead of a file', '<html>404</html>'],
    ['nothing', ''],
  ])('finds nothing in %s', (_name, text) => {
    expect(checksumIn(text, 'disk.img', 'sha256')).toBeUndefined()
  })
})
