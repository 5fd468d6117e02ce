import { describe, expect, it } from '@jest/globals'
import { parseMountPoints, readMountPoints } from './mounts.js'

const TABLE = [
  '22 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/a',
  '23 22 8:1 /lab/overlays /overlays rw,relatime - ext4 /dev/sda1 rw',
  String.raw`25 22 8:1 /x /my\040lab rw,relatime shared:2 master:1 - ext4 /dev/sda1 rw`,
].join('\n')

describe('the table of mounts', () => {
  it('names each place as people write it', () => {
    expect(parseMountPoints(`${TABLE}\n`)).toEqual(['/', '/overlays', '/my lab'])
  })

  it('can be read here', async () => {
    expect(await readMountPoints()).toContain('/')
  })
})
